"""The pure parts of the measurement of media jobs: figures, ratios, and the page."""

from collections.abc import Mapping

import pytest

from bench.media import document
from bench.media.accepting import compared
from bench.media.figures import Figure, Part, Plan, Result

PAGE = "# Benchmark\n\n## Calls\n\nfast\n\n## Running it\n\n    make bench\n"


@pytest.fixture
def results() -> Mapping[str, Result]:
    older, newer = Result(Plan()), Result(Plan())
    for result in (older, newer):
        result.machine.load = [2.0, 5.0]
        result.figures.append(Figure(Part.MAKE, "jobs a second", [5, 7, 6]))
    newer.figures.append(Figure(Part.WAIT, "events", [12_345], 0))
    return {"abc": older, "this tree": newer}


def test_a_figure_is_the_median_of_its_rounds_with_their_spread() -> None:
    figure = Figure(Part.MAKE, "jobs a second", [5, 70, 6])
    assert (figure.value, figure.spread) == ("6.0", "5.0 to 70.0")
    alone = Figure(Part.WAIT, "events", [12_345], 0)
    assert (alone.value, alone.spread) == ("12,345", "")


def test_a_ratio_compares_within_a_round() -> None:
    times = {"a job": [[0.2], [0.4]], "a chat": [[0.1], [0.1]]}
    ratios = {figure.name: figure.rounds for figure in compared(Part.ACCEPT, times, "a job")}
    assert ratios["a job, times a chat, p50"] == pytest.approx([2, 4])
    assert ratios["a chat, p99 ms"] == pytest.approx([100, 100])
    assert "a job, times a job, p50" not in ratios


def test_the_section_has_a_table_for_each_part_that_was_measured(results: Mapping[str, Result]) -> None:
    section = document.section(results)
    assert "| jobs a second | 6.0 (5.0 to 7.0) | 6.0 (5.0 to 7.0) |" in section
    assert "| events |  | 12,345 |" in section
    assert "2 to 5" in section
    assert document.TITLES[Part.LISTEN] not in section
    assert [str(column.header) for column in document.table(results).columns][1:] == [
        "abc (load 2 to 5)",
        "this tree (load 2 to 5)",
    ]


def test_the_section_replaces_the_one_before(results: Mapping[str, Result]) -> None:
    section = document.section(results)
    page = document.with_media(document.with_media(PAGE, document.HEADING + "\nold\n"), section)
    assert document.media_of(page).rstrip() == section.rstrip()
    assert "old" not in page
    assert page.startswith("# Benchmark\n\n## Calls\n\nfast\n\n## Media jobs\n")
    assert page.endswith("\n\n## Running it\n\n    make bench\n")
    assert document.media_of(PAGE) == ""
    more = page.replace("## Running", "## Pages\n\nlight\n\n## Running")
    assert document.with_media(more, section) == more
