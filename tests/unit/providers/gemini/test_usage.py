"""Usage reports as exact counts, on every meter."""

from typing import Any

import pytest

from domain.pricing import Usage, UsageSource
from providers.gemini import usage


def used(given: int, output: int, **parts: Any) -> Usage:
    return Usage(given, output, UsageSource.PROVIDER, **parts)


def details(**counts: int) -> list[dict[str, Any]]:
    return [{"modality": name.upper(), "tokenCount": count} for name, count in counts.items()]


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ({"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}, used(9, 2)),
        (
            {"promptTokenCount": 17, "candidatesTokenCount": 201, "thoughtsTokenCount": 213}
            | {"toolUsePromptTokenCount": 119, "totalTokenCount": 550},
            used(136, 414, reasoning_tokens=213),
        ),
        (
            {"promptTokenCount": 100, "candidatesTokenCount": 1, "cachedContentTokenCount": 60}
            | {"promptTokensDetails": details(text=40, audio=40, image=20)}
            | {"cacheTokensDetails": details(audio=30, text=30)},
            used(100, 1, cached_tokens=60, audio_input_tokens=10, image_input_tokens=20),
        ),
        (
            {"promptTokenCount": 266, "candidatesTokenCount": 1355, "candidatesTokensDetails": details(image=1290)},
            used(266, 1355, image_output_tokens=1290),
        ),
        (
            {"promptTokenCount": 11, "candidatesTokenCount": 111, "candidatesTokensDetails": details(audio=111)}
            | {"serviceTier": "standard"},
            used(11, 111, audio_output_tokens=111, service_tier="default"),
        ),
        (
            {"promptTokenCount": 9, "candidatesTokenCount": 2, "trafficType": "ON_DEMAND_FLEX"},
            used(9, 2, service_tier="flex"),
        ),
        ({"promptTokenCount": 35, "candidatesTokenCount": 12, "totalTokenCount": 109}, used(35, 74)),
        (
            {"promptTokenCount": 9, "candidatesTokenCount": 2, "cachedContentTokenCount": 99},
            used(9, 2, cached_tokens=9),
        ),
        ({"promptTokenCount": 9}, None),
        ({"candidatesTokenCount": 2}, None),
        ({"promptTokenCount": -9, "candidatesTokenCount": 2}, None),
        ({"promptTokenCount": 9, "candidatesTokenCount": 10**12}, None),
        ({"promptTokenCount": "9", "candidatesTokenCount": 2}, None),
        ({"promptTokenCount": 1.5, "candidatesTokenCount": 2}, None),
        ({}, None),
        ([], None),
    ],
)
def test_a_report(report: Any, expected: Usage | None) -> None:
    assert usage.of_report(report, spoken=True, searches=None) == expected


def test_an_answer_without_output_has_none_to_report() -> None:
    assert usage.of_report({"promptTokenCount": 9}, spoken=False, searches=2) == used(9, 0, web_searches=2)


def test_a_blocked_prompt_costs_what_google_counts() -> None:
    assert usage.of_blocked({"trafficType": "ON_DEMAND"}) == used(0, 0)
    assert usage.of_blocked({"promptTokenCount": 14}) == used(14, 0)
    assert usage.of_blocked(None) is None
