"""Reads `usageMetadata` as exact counts.

total = prompt + candidates + thoughts + toolUsePrompt. Cached tokens are within the prompt. A count that is zero is
absent. A report that cannot be right is left out.
"""

from collections.abc import Mapping
from typing import Any

from domain.pricing import Usage, UsageSource
from providers.upstream_json import integer

MAX_TOKENS = 10_000_000
"""The most input or output tokens of one call. A report with a count above it is ignored."""
_TIERS: Mapping[str, str] = {
    "standard": "default",
    "unspecified": "default",
    "on_demand": "default",
    "provisioned_throughput": "default",
    "flex": "flex",
    "on_demand_flex": "flex",
    "priority": "priority",
    "on_demand_priority": "priority",
}


def of_report(report: Any, *, spoken: bool, searches: int | None) -> Usage | None:
    """Read a report. `spoken`: the answer has had output, so a report without any is none.

    `searches` is the number of web searches that the answer shows; None if none were asked for.
    """
    if not isinstance(report, Mapping):
        return None
    prompt, tools = _count(report, "promptTokenCount"), _count(report, "toolUsePromptTokenCount")
    candidates, thoughts = _count(report, "candidatesTokenCount"), _count(report, "thoughtsTokenCount")
    total = _count(report, "totalTokenCount")
    if prompt is None or tools is None or candidates is None or thoughts is None or total is None:
        return None
    given = prompt + tools
    output = max(candidates + thoughts, total - given)
    if not prompt or (spoken and output <= thoughts):
        return None
    if max(given, output) > MAX_TOKENS:
        return None
    read, cached = _by_modality(report, "promptTokensDetails"), _by_modality(report, "cacheTokensDetails")
    from_tools = _by_modality(report, "toolUsePromptTokensDetails")
    written = _by_modality(report, "candidatesTokensDetails")
    in_cache = min(_count(report, "cachedContentTokenCount") or 0, given)
    audio_in = min(_fresh("AUDIO", read, from_tools, cached), given - in_cache)
    reasoning = min(thoughts, output)
    audio_out = min(written.get("AUDIO", 0), output - reasoning)
    return Usage(
        input_tokens=given,
        output_tokens=output,
        source=UsageSource.PROVIDER,
        cached_tokens=in_cache,
        audio_input_tokens=audio_in,
        image_input_tokens=min(_fresh("IMAGE", read, from_tools, cached), given - in_cache - audio_in),
        reasoning_tokens=reasoning,
        audio_output_tokens=audio_out,
        image_output_tokens=min(written.get("IMAGE", 0), output - reasoning - audio_out),
        web_searches=searches,
        service_tier=_tier(report),
    )


def of_blocked(report: Any) -> Usage | None:
    """Read the report of a prompt that was blocked. One without counts is of no tokens: the model has read none."""
    if isinstance(report, Mapping) and "promptTokenCount" not in report and "totalTokenCount" not in report:
        return Usage(0, 0, UsageSource.PROVIDER)
    return of_report(report, spoken=False, searches=None)


def _fresh(name: str, read: Mapping[str, int], tools: Mapping[str, int], cached: Mapping[str, int]) -> int:
    """Tokens of one modality that were not read from the cache."""
    return max(0, read.get(name, 0) + tools.get(name, 0) - cached.get(name, 0))


def _by_modality(report: Mapping[str, Any], name: str) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    details = report.get(name)
    for each in details if isinstance(details, list) else ():
        if isinstance(each, Mapping) and isinstance(modality := each.get("modality"), str):
            counts[modality] = counts.get(modality, 0) + (_count(each, "tokenCount") or 0)
    return counts


def _count(report: Mapping[str, Any], name: str) -> int | None:
    """Return the count, 0 if it is absent, and None if it is not one."""
    value = report.get(name)
    if value is None:
        return 0
    count = None if isinstance(value, str) else integer(value)
    return count if count is not None and 0 <= count <= MAX_TOKENS else None


def _tier(report: Mapping[str, Any]) -> str | None:
    tier = report.get("serviceTier") or report.get("trafficType")
    return _TIERS.get(tier.lower()) if isinstance(tier, str) else None
