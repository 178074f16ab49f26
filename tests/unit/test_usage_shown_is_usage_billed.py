"""Details of a report that was not believed are not shown beside the numbers that were billed."""

from api.wire import chat as wire
from domain import usage
from domain.usage import Bounds


def test_details_of_a_discarded_report_are_not_shown() -> None:
    report = {
        "prompt_tokens": -1,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 10**12},
        "completion_tokens_details": {"reasoning_tokens": 777},
    }
    billed = usage.billed(report, Bounds(1000, 1000), usage.counted(8, 1))
    assert set(wire.usage_object(billed, report)) == {"prompt_tokens", "completion_tokens", "total_tokens"}


def test_cached_tokens_are_shown_as_they_were_billed() -> None:
    report = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 9, "cache_write_tokens": 9},
    }
    billed = usage.billed(report, Bounds(1000, 1000), usage.counted(8, 1))
    shown = wire.usage_object(billed, report).get("prompt_tokens_details") or {}
    assert shown.get("cached_tokens", 0) == billed.cached_tokens
