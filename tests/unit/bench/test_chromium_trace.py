"""Chromium's trace as the measurement of a long answer reads it."""

from typing import Any

from bench import texts
from bench.chromium_trace import tasks


def event(name: str, process: int, begins: int, lasts: int, cpu: int = 0) -> dict[str, Any]:
    return {"name": name, "ph": "X", "pid": process, "tid": 1, "ts": begins, "dur": lasts, "tdur": cpu or lasts}


def test_the_tasks_are_those_of_the_page_that_works() -> None:
    main = {"name": "thread_name", "ph": "M", "tid": 1, "args": {"name": "CrRendererMain"}}
    events = [
        *({**main, "pid": process} for process in (7, 8)),
        event("RunTask", 7, 0, 1000),
        event("RunTask", 8, 30_000, 2000),
        event("RunTask", 8, 10_000, 20_000, 5000),
        event("Layout", 8, 11_000, 3000),
        event("FireAnimationFrame", 8, 10_500, 4000),
        {**event("RunTask", 8, 0, 90_000), "tid": 2},
    ]
    process, (frame, other) = tasks({"traceEvents": events})
    assert process == 8
    assert (frame.wall, frame.cpu, frame.paints) == (20, 5, True)
    assert dict(frame.parts) == {"Layout": 3, "FireAnimationFrame": 4}
    assert (other.wall, other.paints) == (2, False)


def test_an_answer_has_as_many_pieces_as_are_wanted() -> None:
    for kind in texts.KINDS:
        pieces = texts.tokens(kind, 2000)
        assert len(pieces) == 2000
        assert max(map(len, pieces)) < 24
    assert "".join(texts.tokens("markdown", 400)).startswith("## Part 1: what a gateway counts\n\nA gateway")
    assert "".join(texts.tokens("fence", 400)).count("```") == 1
    assert "\n" not in "".join(texts.tokens("paragraph", 400))
