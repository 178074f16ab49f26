"""Which usage is billed: the provider's report within bounds, else what we counted.

Zero is zero. Negative, absurd or non-integer numbers are discarded. Input up to the context window is accepted even
above our own estimate; output up to what the model can say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from domain.pricing import Usage, UsageSource


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that a report may claim and still be believed."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class UsageEntry:
    """One row per charged call: model, tokens, credits; never content."""

    hold_id: UUID
    account_id: UUID
    key_id: UUID | None
    kind: str
    model: str
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    credits: int
    written_off: int
    source: UsageSource
    provider: str | None = None
    provider_cost: str | None = None
    """In credits, exact."""
    meters: dict[str, int] = field(default_factory=dict)
    """All counts by meter, disjoint, when one of them is in no column of its own; else empty."""
    service_tier: str | None = None
    """By whose prices it was billed, when those are not the prices of the tier that was requested."""


def reported(report: object, bounds: Bounds) -> Usage | None:
    """The provider's usage object in OpenAI's words, if it can be believed."""
    if not isinstance(report, Mapping):
        return None
    input_tokens = _tokens(report.get("prompt_tokens"), bounds.input_tokens)
    output_tokens = _tokens(report.get("completion_tokens"), bounds.output_tokens)
    if input_tokens is None or output_tokens is None:
        return None
    output_tokens += _beside(report, input_tokens, output_tokens)
    if output_tokens > bounds.output_tokens:
        return None
    cached, written = _cached(report.get("prompt_tokens_details"), input_tokens)
    return Usage(input_tokens, output_tokens, UsageSource.PROVIDER, cached, written)


def _beside(report: Mapping[str, Any], input_tokens: int, output_tokens: int) -> int:
    """Reasoning that some vendors count into the total alone, not into the completion."""
    details = report.get("completion_tokens_details")
    reasoning = details.get("reasoning_tokens") if isinstance(details, Mapping) else None
    if type(reasoning) is not int or reasoning <= 0:
        return 0
    return reasoning if report.get("total_tokens") == input_tokens + output_tokens + reasoning else 0


def _cached(details: object, input_tokens: int) -> tuple[int, int]:
    """Cached and cache-writing parts of the input; neither when the two do not fit into it."""
    if not isinstance(details, Mapping):
        return 0, 0
    cached = _tokens(details.get("cached_tokens"), input_tokens) or 0
    written = _tokens(details.get("cache_write_tokens"), input_tokens) or 0
    return (cached, written) if cached + written <= input_tokens else (0, 0)


def kept(before: object, report: object, bounds: Bounds) -> object:
    """Which of two reports of one stream counts: they are cumulative, and one that cannot be believed says nothing."""
    known, new = reported(before, bounds), reported(report, bounds)
    if known is None or new is None:
        return before if new is None and before is not None else report
    return before if new.output_tokens < known.output_tokens else report


def billed(report: object, bounds: Bounds, counted: Usage) -> Usage:
    return reported(report, bounds) or counted


def counted(input_tokens: int, output_tokens: int) -> Usage:
    return Usage(input_tokens, output_tokens, UsageSource.COUNTED)


def believed(used: Usage, bounds: Bounds) -> Usage | None:
    """A provider's report, if it is within what the call can have used."""
    fits = 0 <= used.input_tokens <= bounds.input_tokens and 0 <= used.output_tokens <= bounds.output_tokens
    return used if fits else None


def latest(before: Usage | None, report: Usage) -> Usage:
    """Which of two reports of one stream counts: they are cumulative, so one that goes back says nothing."""
    return before if before is not None and report.output_tokens < before.output_tokens else report


def with_search(used: Usage) -> Usage:
    """Of a call that asked for a web search: one search, unless the provider reports how many it made."""
    return used if used.web_searches else replace(used, web_searches=1)


def within_limit(used: Usage, limit: int) -> tuple[Usage, int]:
    """The usage with at most `limit` output tokens, and how many were left out. Parts stay within their whole."""
    above = used.output_tokens - limit
    if above <= 0:
        return used, 0
    capped = replace(
        used,
        output_tokens=limit,
        reasoning_tokens=min(used.reasoning_tokens, limit),
        audio_output_tokens=min(used.audio_output_tokens, limit),
        image_output_tokens=min(used.image_output_tokens, limit),
    )
    return capped, above


def _tokens(value: Any, most: int) -> int | None:
    if type(value) is not int:  # a bool is an int to isinstance, and no number of tokens
        return None
    return value if 0 <= value <= most else None
