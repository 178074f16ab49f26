"""Reads the usage that a provider reports, in the form of every compatible vendor, as exact counts.

A count that is negative, absurd or not an integer is ignored. In the result, parts are included in their whole: if a
vendor counts cached tokens beside the input, they are added to it.
"""

import re
from collections.abc import Mapping
from typing import Any

from domain.pricing import Usage, UsageSource
from providers.upstream_json import integer

MAX_TOKENS = 10_000_000
"""The most input or output tokens of one call. A count above it is ignored."""
MAX_SEARCHES = 10_000
_INPUT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details")
_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens", "cache_read_tokens")
_WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens")
_CREATION = ("cache_creation", "cache_creation_token_details")
_ANTHROPIC = ("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation")
_SEARCHES = ("web_search_requests", "num_search_queries", "web_searches")
_DEFAULT_TIERS = ("standard", "on_demand")
"""Other vendors' names for the tier `default`."""
_TIER = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_NOTHING: Mapping[str, Any] = {}
_PARTS = frozenset(
    {*_INPUT_DETAILS, *_OUTPUT_DETAILS, *_CACHED, *_WRITTEN, *_CREATION, *_SEARCHES, "reasoning_tokens"}
    | {"server_tool_use", "server_tool_use_details", "service_tier"}
)
"""A report without any of these has input and output only."""


def report_in(body: Mapping[str, Any]) -> object:
    """Return the report in an answer or a chunk: beside the choices, within one of them, or in `x_groq`."""
    report = body.get("usage")
    if report is not None:
        return report
    choices, groq = body.get("choices"), body.get("x_groq")
    for place in (*(choices if isinstance(choices, list) else ()), groq):
        if isinstance(place, Mapping) and place.get("usage") is not None:
            return place["usage"]
    return None


def of_report(report: object, service_tier: object = None) -> Usage | None:
    """Read a report. None unless it gives the input, and the output or a total.

    Output is at least `total_tokens` less the input, since some vendors count reasoning in the total only.
    `service_tier` is the one that the answer names beside the report.
    """
    if not isinstance(report, Mapping):
        return None
    prompt, completion = _first(report, _INPUT), _first(report, _OUTPUT)
    total = tokens_of(report.get("total_tokens"))
    if completion is None and (total is None or any(report.get(name) is not None for name in _OUTPUT)):
        return None
    if prompt is None:
        return None
    if service_tier is None and _PARTS.isdisjoint(report) and prompt + (completion or 0) >= (total or 0):
        return Usage(prompt, completion or 0, UsageSource.PROVIDER)
    within, spoken = _details(report, _INPUT_DETAILS), _details(report, _OUTPUT_DETAILS)
    cached, written, written_1h = _cached(report, within)
    cache = cached + written + written_1h
    reasoned = _count(spoken, "reasoning_tokens") or _count(report, "reasoning_tokens")
    shown = None if total is not None and total == prompt + (completion or 0) + reasoned else total
    if _beside(cache, prompt, completion, shown) or (total is None and _counts_as_anthropic(report)):
        prompt += cache
    if prompt > MAX_TOKENS:
        return None
    output = max(completion or 0, (total or 0) - prompt)
    rest = prompt - cached - written - written_1h
    audio_in = min(_count(within, "audio_tokens"), rest)
    reasoning = min(reasoned, output)
    audio_out = min(_count(spoken, "audio_tokens"), output - reasoning)
    tier = service_tier or report.get("service_tier")
    tier = "default" if tier in _DEFAULT_TIERS else tier
    return Usage(
        input_tokens=prompt,
        output_tokens=output,
        source=UsageSource.PROVIDER,
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=written_1h,
        audio_input_tokens=audio_in,
        image_input_tokens=min(_count(within, "image_tokens"), rest - audio_in),
        reasoning_tokens=reasoning,
        audio_output_tokens=audio_out,
        image_output_tokens=min(_count(spoken, "image_tokens"), output - reasoning - audio_out),
        web_searches=_searches(report),
        service_tier=tier if isinstance(tier, str) and _TIER.fullmatch(tier) else None,
    )


def _cached(report: Mapping[str, Any], within: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return three counts of tokens: read from a cache, written for the default time, written for an hour."""
    cached = _first(within, _CACHED) or _first(report, _CACHED) or 0
    written = _first(within, _WRITTEN) or _first(report, _WRITTEN) or 0
    creation = _details(report, _CREATION) or _details(within, _CREATION)
    hour = _count(creation, "ephemeral_1h_input_tokens")
    written = max(written, hour + _count(creation, "ephemeral_5m_input_tokens"))
    return cached, written - hour, hour


def _beside(cache: int, prompt: int, completion: int | None, total: int | None) -> bool:
    """Tell whether cached tokens are counted beside the input: they exceed it, or the total shows it.

    A total that reasoning explains, which some count beside the output, shows nothing.
    """
    return cache > prompt or bool(cache and completion is not None and total == prompt + cache + completion)


def _counts_as_anthropic(report: Mapping[str, Any]) -> bool:
    """Tell whether this is Anthropic's form, whose input excludes cached tokens."""
    return _INPUT[0] not in report and any(report.get(name) is not None for name in _ANTHROPIC)


def _searches(report: Mapping[str, Any]) -> int | None:
    tools = report.get("server_tool_use") or report.get("server_tool_use_details")
    for source in (tools, report):
        if isinstance(source, Mapping) and (count := _first(source, _SEARCHES)) is not None:
            return count if count <= MAX_SEARCHES else None
    return None


def _details(report: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        details = report.get(name)
        if isinstance(details, Mapping):
            return details
    return _NOTHING


def _count(details: Mapping[str, Any], name: str) -> int:
    return tokens_of(details.get(name)) or 0


def _first(report: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        if name in report and (tokens := tokens_of(report[name])) is not None:
            return tokens
    return None


def tokens_of(value: object) -> int | None:
    """Read a count. None if it is none that can be right."""
    count = None if isinstance(value, str) else integer(value)
    return count if count is not None and 0 <= count <= MAX_TOKENS else None
