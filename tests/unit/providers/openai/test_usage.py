"""Usage reports in every compatible vendor's words."""

from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.pricing import Usage, UsageSource
from providers.openai import usage


def report(prompt: Any = 100, completion: Any = 20, **fields: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": None} | fields


def used(**counts: Any) -> Usage:
    return Usage(**({"input_tokens": 100, "output_tokens": 20, "source": UsageSource.PROVIDER} | counts))  # type: ignore[arg-type]


CASES = [
    (report(), {}),
    (report(total_tokens=120), {}),
    (report(completion=1, total_tokens=391), {"output_tokens": 291}),
    (report(total_tokens=615), {"output_tokens": 515}),
    (report(total_tokens=110), {}),
    (report(total_tokens=10**12), {}),
    (report(total_tokens=-5), {}),
    (report(completion=None, total_tokens=130), {"output_tokens": 30}),
    ({"input_tokens": 100, "output_tokens": 20}, {}),
    (
        report(prompt_tokens_details={"cached_tokens": 60, "cache_write_tokens": 10}),
        {"cached_tokens": 60, "cache_write_tokens": 10},
    ),
    (report(input_tokens_details={"cached_tokens": 60}), {"cached_tokens": 60}),
    (report(cached_tokens=60), {"cached_tokens": 60}),
    (report(prompt_cache_hit_tokens=60, prompt_cache_miss_tokens=40), {"cached_tokens": 60}),
    (report(prompt_tokens_details={"cached_tokens": 900}), {"input_tokens": 1000, "cached_tokens": 900}),
    (
        report(cache_read_input_tokens=900, cache_creation_input_tokens=50, total_tokens=1070),
        {"input_tokens": 1050, "cached_tokens": 900, "cache_write_tokens": 50},
    ),
    (
        report(cache_read_input_tokens=50, cache_creation_input_tokens=30, total_tokens=200),
        {"input_tokens": 180, "cached_tokens": 50, "cache_write_tokens": 30},
    ),
    (report(cache_read_input_tokens=50, total_tokens=120), {"cached_tokens": 50}),
    (
        report(cache_creation_input_tokens=50, cache_creation={"ephemeral_1h_input_tokens": 30}),
        {"cache_write_tokens": 20, "cache_write_1h_tokens": 30},
    ),
    (
        report(cache_creation={"ephemeral_1h_input_tokens": 30, "ephemeral_5m_input_tokens": 5}),
        {"cache_write_tokens": 5, "cache_write_1h_tokens": 30},
    ),
    (
        report(prompt_tokens_details={"cache_creation_token_details": {"ephemeral_1h_input_tokens": 30}}),
        {"cache_write_1h_tokens": 30},
    ),
    (
        report(cache_creation_input_tokens=10, cache_creation={"ephemeral_1h_input_tokens": 30}),
        {"cache_write_1h_tokens": 30},
    ),
    (
        {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 8},
        {"input_tokens": 158, "cached_tokens": 50, "cache_write_tokens": 8},
    ),
    (
        {"input_tokens": 100, "output_tokens": 20, "cache_creation": {"ephemeral_1h_input_tokens": 30}},
        {"input_tokens": 130, "cache_write_1h_tokens": 30},
    ),
    (
        {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 50, "total_tokens": 120},
        {"cached_tokens": 50},
    ),
    ({"input_tokens": 100, "output_tokens": 20, "input_tokens_details": {"cached_tokens": 50}}, {"cached_tokens": 50}),
    (report(cache_read_input_tokens=50), {"cached_tokens": 50}),
    (report(prompt_tokens_details={"audio_tokens": 44}), {"audio_input_tokens": 44}),
    (report(prompt_tokens_details={"audio_tokens": 900}), {"audio_input_tokens": 100}),
    (
        report(completion_tokens_details={"reasoning_tokens": 11, "audio_tokens": 5}),
        {"reasoning_tokens": 11, "audio_output_tokens": 5},
    ),
    (report(completion_tokens_details={"reasoning_tokens": 21}), {"reasoning_tokens": 20}),
    (report(prompt_tokens_details={"image_tokens": 30}), {"image_input_tokens": 30}),
    (report(completion_tokens_details={"image_tokens": 30}), {"image_output_tokens": 20}),
    (report(service_tier="flex"), {"service_tier": "flex"}),
    (report(service_tier="x" * 33), {}),
    (report(service_tier=5), {}),
    (report(service_tier=["flex"]), {}),
    (report(service_tier="standard"), {"service_tier": "default"}),
    (report(service_tier="on_demand"), {"service_tier": "default"}),
    (report(reasoning_tokens=7), {"reasoning_tokens": 7}),
    (
        report(cached_tokens=40, reasoning_tokens=40, total_tokens=160),
        {"cached_tokens": 40, "output_tokens": 60, "reasoning_tokens": 40},
    ),
    (report(server_tool_use={"web_search_requests": 3}), {"web_searches": 3}),
    (report(num_search_queries=2), {"web_searches": 2}),
    (report(server_tool_use_details={"web_search_requests": 0}), {"web_searches": 0}),
    (report(num_search_queries=10**6), {}),
    (report(prompt_tokens_details={"cached_tokens": -1}, completion_tokens_details=[5], cost=1e9), {}),
    (report(prompt_tokens_details={"cached_tokens": True}), {}),
    (report(prompt=0, completion=0, total_tokens=0), {"input_tokens": 0, "output_tokens": 0}),
]


@pytest.mark.parametrize(("given", "counts"), CASES)
def test_a_report(given: dict[str, Any], counts: dict[str, Any]) -> None:
    assert usage.of_report(given) == used(**counts)


def test_the_service_tier_that_the_answer_names() -> None:
    assert usage.of_report(report(service_tier="flex"), "priority") == used(service_tier="priority")


@pytest.mark.parametrize(
    "given",
    [
        *(None, 5, "x", [], {}),
        *(report(prompt=value) for value in (None, -1, 10**12, "12", 1.5, True)),
        *(report(completion=value, total_tokens=120) for value in (-1, 10**12, "12", 1.5, True)),
        report(completion=None),
    ],
)
def test_what_cannot_be_believed(given: object) -> None:
    assert usage.of_report(given) is None


COUNTS = st.none() | st.integers(-5, 2000) | st.just(10**12)
DETAILS = st.dictionaries(
    st.sampled_from(["cached_tokens", "cache_write_tokens", "audio_tokens", "reasoning_tokens", "image_tokens"]), COUNTS
)
REPORTS = st.fixed_dictionaries(
    {
        **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens", "cache_read_input_tokens"), COUNTS),
        **{name: st.none() | DETAILS for name in ("prompt_tokens_details", "completion_tokens_details")},
    }
)


@given(REPORTS)
def test_parts_are_inside_their_whole(given: dict[str, Any]) -> None:
    counts = usage.of_report(given)
    if counts is None:
        return
    assert min(value for value in astuple(counts) if isinstance(value, int)) >= 0
    written = counts.cache_write_tokens + counts.cache_write_1h_tokens
    assert counts.cached_tokens + written + counts.audio_input_tokens + counts.image_input_tokens <= counts.input_tokens
    assert counts.reasoning_tokens + counts.audio_output_tokens + counts.image_output_tokens <= counts.output_tokens
    assert counts.output_tokens >= (given["completion_tokens"] or 0)
    assert counts.input_tokens >= given["prompt_tokens"]
