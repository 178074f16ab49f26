from dataclasses import replace

import pytest

from domain import usage
from domain.pricing import Usage, UsageSource
from domain.usage import counted
from providers.openai.usage import of_report

MAX_INPUT = 1000
OURS = counted(10, 5)


def billed(report: object, max_input: int, ours: Usage) -> Usage:
    """What a provider's report comes to: read by its adapter, believed within bounds, else our own count."""
    reported = of_report(report)
    return (usage.believed(reported, max_input) if reported else None) or ours


def latest(reports: list[object], max_input: int) -> Usage | None:
    """Which of a stream's reports counts."""
    counts: Usage | None = None
    for reported in map(of_report, reports):
        if reported is not None and (believed := usage.believed(reported, max_input)) is not None:
            counts = usage.latest(counts, believed)
    return counts


def provider(given_in: int, given_out: int, cached: int = 0, written: int = 0) -> Usage:
    return Usage(given_in, given_out, UsageSource.PROVIDER, cached, written)


@pytest.mark.parametrize(
    ("report", "usage"),
    [
        ({"prompt_tokens": 12, "completion_tokens": 3}, provider(12, 3)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, provider(0, 0)),
        ({"prompt_tokens": 1000, "completion_tokens": 100}, provider(1000, 100)),
        ({"prompt_tokens": 1001, "completion_tokens": 3}, OURS),
        ({"prompt_tokens": 12, "completion_tokens": 64_000}, provider(12, 64_000)),
        ({"prompt_tokens": 12, "completion_tokens": 10_000_001}, OURS),
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
            provider(25, 3, 8, 5),  # counted beside the input
        ),
        (
            {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 99}},
            provider(111, 3, 99),
        ),
    ],
)
def test_reports_are_believed_within_bounds(report: object, usage: Usage) -> None:
    assert billed(report, MAX_INPUT, OURS) == usage


GOOD, LESS = {"prompt_tokens": 12, "completion_tokens": 30}, {"prompt_tokens": 12, "completion_tokens": 5}


@pytest.mark.parametrize(
    ("reports", "counts"),
    [
        ([None, GOOD], provider(12, 30)),
        ([None, {"prompt_tokens": -1}], None),
        ([LESS, GOOD], provider(12, 30)),
        ([GOOD, LESS], provider(12, 30)),
        ([GOOD, {"prompt_tokens": -1, "completion_tokens": 99}], provider(12, 30)),
        ([GOOD, {"prompt_tokens": 1001, "completion_tokens": 99}], provider(12, 30)),
        ([{"prompt_tokens": "x"}, GOOD], provider(12, 30)),
    ],
)
def test_of_several_reports_the_largest_that_can_be_believed_counts(
    reports: list[object], counts: Usage | None
) -> None:
    assert latest(reports, MAX_INPUT) == counts


def test_reasoning_that_only_the_total_has_is_billed() -> None:
    report = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 1015,
        "completion_tokens_details": {"reasoning_tokens": 1000},
    }
    assert billed(report, 100_000, OURS).output_tokens == 1005


@pytest.mark.parametrize(
    ("completion", "total", "output"), [(5, 515, 505), (5, 15, 5), (5, 12, 5), (0, 10, 0), (None, 515, 505)]
)
def test_output_that_only_the_total_has_is_billed(completion: int | None, total: int, output: int) -> None:
    report = {"prompt_tokens": 10, "completion_tokens": completion, "total_tokens": total}
    assert billed(report, 100_000, OURS) == provider(10, output)


def test_a_total_that_no_count_can_be_adds_nothing() -> None:
    report = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 10_000_001}
    assert billed(report, 100_000, OURS) == provider(10, 5)


@pytest.mark.parametrize(("limit", "above"), [(10, 190), (199, 1), (200, 0), (10_000, 0)])
def test_output_above_the_limit_that_was_sent_is_not_billed_nor_its_parts(limit: int, above: int) -> None:
    used = replace(provider(10, 200), reasoning_tokens=50, audio_output_tokens=60, image_output_tokens=70)
    capped, left_out = usage.within_limit(used, limit)
    assert (capped.output_tokens, left_out) == (200 - above, above)
    parts = (capped.reasoning_tokens, capped.audio_output_tokens, capped.image_output_tokens)
    assert parts == tuple(min(part, limit) for part in (50, 60, 70))


def test_a_call_that_asked_for_a_search_made_one_unless_the_provider_says_how_many() -> None:
    report = Usage(10, 5, UsageSource.PROVIDER)
    assert usage.with_search(report) == Usage(10, 5, UsageSource.PROVIDER, web_searches=1)
    assert usage.with_search(replace(report, web_searches=3)).web_searches == 3
    assert usage.with_search(replace(report, web_searches=0)).web_searches == 0


def test_searches_that_a_later_report_leaves_out_were_made_all_the_same() -> None:
    early, late = replace(provider(10, 5), web_searches=2), provider(10, 9)
    assert usage.latest(early, late) == replace(late, web_searches=2)
    assert usage.latest(early, replace(late, web_searches=3)).web_searches == 3
    assert usage.latest(late, early) == late
