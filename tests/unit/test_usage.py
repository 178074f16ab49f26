from dataclasses import replace

import pytest

from domain import usage
from domain.pricing import Usage, UsageSource
from domain.usage import Bounds, billed, counted, kept

BOUNDS = Bounds(input_tokens=1000, output_tokens=100)
OURS = counted(10, 5)


def provider(given_in: int, given_out: int, cached: int = 0, written: int = 0) -> Usage:
    return Usage(given_in, given_out, UsageSource.PROVIDER, cached, written)


@pytest.mark.parametrize(
    ("report", "usage"),
    [
        ({"prompt_tokens": 12, "completion_tokens": 3}, provider(12, 3)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, provider(0, 0)),
        ({"prompt_tokens": 1000, "completion_tokens": 100}, provider(1000, 100)),
        ({"prompt_tokens": 1001, "completion_tokens": 3}, OURS),
        ({"prompt_tokens": 12, "completion_tokens": 101}, OURS),
        ({"prompt_tokens": -1, "completion_tokens": 3}, OURS),
        ({"prompt_tokens": "12", "completion_tokens": 3}, OURS),
        ({"prompt_tokens": 1.5, "completion_tokens": 3}, OURS),
        ({"prompt_tokens": True, "completion_tokens": 3}, OURS),
        ({"prompt_tokens": 12}, OURS),
        ({}, OURS),
        (None, OURS),
        ([], OURS),
        (
            {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8}},
            provider(12, 3, 8),
        ),
        (
            {
                "prompt_tokens": 12,
                "completion_tokens": 3,
                "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 4},
            },
            provider(12, 3, 8, 4),
        ),
        (
            {
                "prompt_tokens": 12,
                "completion_tokens": 3,
                "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 5},
            },
            provider(12, 3),
        ),
        (
            {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 99}},
            provider(12, 3),
        ),
    ],
)
def test_reports_are_believed_within_bounds(report: object, usage: Usage) -> None:
    assert billed(report, BOUNDS, OURS) == usage


GOOD, LESS = {"prompt_tokens": 12, "completion_tokens": 30}, {"prompt_tokens": 12, "completion_tokens": 5}


@pytest.mark.parametrize(
    ("before", "report", "counts"),
    [
        (None, GOOD, GOOD),
        (None, {"prompt_tokens": -1}, {"prompt_tokens": -1}),
        (LESS, GOOD, GOOD),
        (GOOD, LESS, GOOD),
        (GOOD, {"prompt_tokens": -1, "completion_tokens": 99}, GOOD),
        ({"prompt_tokens": "x"}, GOOD, GOOD),
    ],
)
def test_of_several_reports_the_largest_that_can_be_believed_counts(
    before: object, report: object, counts: object
) -> None:
    assert kept(before, report, BOUNDS) == counts


def test_reasoning_that_only_the_total_has_is_billed() -> None:
    report = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 1015,
        "completion_tokens_details": {"reasoning_tokens": 1000},
    }
    found = usage.reported(report, Bounds(100_000, 8000))
    assert found is not None
    assert found.output_tokens == 1005


def test_a_call_that_asked_for_a_search_made_one_unless_the_provider_says_how_many() -> None:
    report = Usage(10, 5, UsageSource.PROVIDER)
    assert usage.with_search(report) == Usage(10, 5, UsageSource.PROVIDER, web_searches=1)
    assert usage.with_search(replace(report, web_searches=3)).web_searches == 3
