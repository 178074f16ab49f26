"""A round of maintenance: each item by itself."""

import re
from collections.abc import Callable

import pytest

from domain.errors import GatewayError, ServiceUnavailable, where
from domain.rounds import MAX_UNAVAILABLE_IN_A_ROW, TASKS, MaintenanceErrors, Round
from tests.support.stack import ROOT


class Log:
    """A line for each report, and for each end of what was reported."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.lasting: set[str] = set()

    def report(self, what: str, *, where: str, remedy: str, **values: object) -> None:
        self.lasting.add(where)
        self.lines.append(f"{where}: {values['fault']}")

    def clear(self, where: str) -> None:
        if where in self.lasting:
            self.lasting.discard(where)
            self.lines.append(f"{where}: mended")


class Bench:
    """Items are numbers; those of a group have the same tens."""

    def __init__(self, error_of: Callable[[int], Exception | None]) -> None:
        self.log, self.error_of, self.tried = Log(), error_of, list[int]()
        self.errors = MaintenanceErrors(self.log, where)
        self.round: Round[int] = Round("count", str, lambda item: item // 10, self.errors)

    async def act(self, item: int) -> int:
        self.tried.append(item)
        if error := self.error_of(item):
            raise error
        return 1


async def test_every_item_but_the_bad_ones() -> None:
    bench = Bench(lambda item: ValueError("a user's text") if item % 2 else None)
    assert await bench.round.run(range(6), bench.act) == 3
    assert [line.partition(": ")[0] for line in bench.log.lines] == ["count 1", "count 3", "count 5"]
    assert "user" not in "".join(bench.log.lines)
    assert bench.errors.by_task["count"] == 3


async def test_one_that_is_mended_is_told() -> None:
    bench = Bench(lambda item: ValueError() if item == 1 else None)
    await bench.round.run(range(3), bench.act)
    bench.error_of = lambda _: None
    for _ in range(2):
        await bench.round.run(range(3), bench.act)
    assert bench.log.lines[1:] == ["count 1: mended"]


async def test_what_the_log_has_already_is_not_told_again() -> None:
    """A database that is away: the round says nothing of each of its items, nor of itself."""
    bench = Bench(lambda _: ServiceUnavailable(reported=True))
    with pytest.raises(ServiceUnavailable) as away:
        await bench.round.run([1, 2, 11, 21], bench.act)
    bench.errors.failed("count", "round", away.value)
    assert (bench.log.lines, bench.errors.by_task.total()) == ([], 0)


async def test_the_rest_of_a_locked_group_waits() -> None:
    bench = Bench(lambda item: ServiceUnavailable() if item // 10 == 1 else None)
    assert await bench.round.run([1, 11, 12, 13, 21, 14], bench.act) == 2
    assert bench.tried == [1, 11, 21]
    assert [line.partition(": ")[0] for line in bench.log.lines] == ["count 11"]


async def test_locked_groups_are_not_a_service_that_is_away() -> None:
    bench = Bench(lambda item: ServiceUnavailable() if item // 10 % 2 else None)
    assert await bench.round.run(range(0, 200, 10), bench.act) == 10
    assert bench.errors.by_task["count"] == 10


@pytest.mark.parametrize("items", [1, 2, 9])
async def test_a_service_that_is_away_ends_the_round(items: int) -> None:
    bench = Bench(lambda _: ServiceUnavailable())
    with pytest.raises(ServiceUnavailable):
        await bench.round.run(range(0, 10 * items, 10), bench.act)
    assert len(bench.tried) == min(items, MAX_UNAVAILABLE_IN_A_ROW)


async def test_a_refusal_that_the_log_has_is_counted_alone() -> None:
    """Temporal refuses the start of each job that waits: it says so once, and the round asks for all of them."""
    refused = GatewayError()
    refused.reported = True
    bench = Bench(lambda _: refused)
    assert await bench.round.run(range(0, 100, 10), bench.act) == 0
    assert (bench.log.lines, bench.errors.by_task["count"]) == ([], 10)


def test_each_task_is_counted_from_nothing() -> None:
    """Prometheus sees no increase in a counter that begins with 1."""
    sources = [ROOT / "server.py", *(path for name in ("api", "db", "gateway") for path in (ROOT / name).rglob("*.py"))]
    named = re.compile(
        r'(?:\b|_)(?:[Rr]ound(?:\[\w+\])?|MaintenanceTask|errors\.failed)\(\s*"(\w+)"|^_?TASK = "(\w+)"', re.MULTILINE
    )
    found = {name for path in sources for match in named.findall(path.read_text()) for name in match if name}
    assert found == set(TASKS)
    assert MaintenanceErrors(Log(), where).by_task == dict.fromkeys(TASKS, 0)
