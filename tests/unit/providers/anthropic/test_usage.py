"""Anthropic's counts: cached input lies beside the input, reports are cumulative, passes are added."""

from typing import Any

import pytest

from domain.pricing import Usage, UsageSource
from providers.anthropic.usage import UsageReports

SPLIT = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 70}
WHOLE = {
    "input_tokens": 10,
    "output_tokens": 20,
    "cache_read_input_tokens": 1000,
    "cache_creation_input_tokens": 100,
    "cache_creation": SPLIT,
    "output_tokens_details": {"thinking_tokens": 5},
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
    "service_tier": "standard",
}


def used(given: int, output: int, **parts: Any) -> Usage:
    return Usage(given, output, UsageSource.PROVIDER, **parts)


def test_every_meter() -> None:
    assert UsageReports().end(WHOLE) == used(
        1110,
        20,
        cached_tokens=1000,
        cache_write_tokens=30,
        cache_write_1h_tokens=70,
        reasoning_tokens=5,
        web_searches=2,
        service_tier="default",
    )


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ({"input_tokens": 10, "output_tokens": 20}, used(10, 20)),
        ({"input_tokens": 0, "output_tokens": 0}, used(0, 0)),
        ({"input_tokens": 10, "output_tokens": 20, "cache_creation": None, "server_tool_use": None}, used(10, 20)),
        ({"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 9}, used(10, 2, cache_write_tokens=9)),
        (
            {"input_tokens": 1, "output_tokens": 2, "cache_creation": SPLIT},
            used(101, 2, cache_write_tokens=30, cache_write_1h_tokens=70),
        ),
        ({"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": -1}, used(1, 2)),
        (
            {"input_tokens": 1, "output_tokens": 2, "output_tokens_details": {"thinking_tokens": 9}},
            used(1, 2, reasoning_tokens=2),
        ),
        ({"input_tokens": 1, "output_tokens": 2, "service_tier": "priority"}, used(1, 2, service_tier="priority")),
        ({"input_tokens": 1, "output_tokens": 2, "service_tier": "<script>"}, used(1, 2)),
        ({"input_tokens": 1, "output_tokens": 2, "server_tool_use": {"web_search_requests": 10**9}}, used(1, 2)),
        ({"output_tokens": 20}, None),
        ({"input_tokens": 10}, None),
        ({"input_tokens": -1, "output_tokens": 2}, None),
        ({"input_tokens": "1", "output_tokens": 2}, None),
        ({"input_tokens": 1.5, "output_tokens": 2}, None),
        ({"input_tokens": 10**12, "output_tokens": 2}, None),
        ({"input_tokens": 9_999_999, "output_tokens": 2, "cache_read_input_tokens": 9}, None),
        (None, None),
        ([], None),
    ],
)
def test_reports(report: Any, expected: Usage | None) -> None:
    assert UsageReports().end(report) == expected


def test_the_counts_of_all_passes_are_billed() -> None:
    passes = [
        {"input_tokens": 100, "output_tokens": 83, "cache_read_input_tokens": 55_096, "cache_creation": SPLIT},
        {"input_tokens": 181, "output_tokens": 8, "cache_creation_input_tokens": 100},
    ]
    report = {"input_tokens": 181, "output_tokens": 8, "cache_read_input_tokens": 0, "iterations": passes}
    assert UsageReports().end(report) == used(
        281 + 55_096 + 100, 91, cached_tokens=55_096, cache_write_tokens=30, cache_write_1h_tokens=70
    )
    assert UsageReports().end(report | {"iterations": ["x", None]}) == used(181, 8)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (WHOLE, {"output_tokens": 7}, 7),
        (WHOLE, {"output_tokens": 7, "input_tokens": None}, 7),
        (WHOLE, {"input_tokens": 10, "output_tokens": 7, "cache_creation_input_tokens": 100}, 7),
    ],
)
def test_a_stream(first: Any, last: Any, expected: int) -> None:
    """The parts of the cache writes are in the first report only; its output is an estimate."""
    reports = UsageReports()
    begun = reports.begin(first)
    assert begun is not None
    assert (begun.input_tokens, begun.output_tokens) == (1110, 0)
    ended = reports.end(last)
    assert ended is not None
    assert (ended.input_tokens, ended.output_tokens, ended.cache_write_1h_tokens) == (1110, expected, 70)


def test_the_last_report_corrects_the_first() -> None:
    reports = UsageReports()
    reports.begin({"input_tokens": 2225, "output_tokens": 25})
    last = {"input_tokens": 9447, "output_tokens": 114, "server_tool_use": {"web_search_requests": 1}}
    assert reports.end(last) == used(9447, 114, web_searches=1)
    assert reports.end({"input_tokens": 0, "output_tokens": 115}) == used(9447, 115, web_searches=1)
    assert UsageReports().end({"output_tokens": 5}) is None
    assert UsageReports().begin(None) is None
