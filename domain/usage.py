"""Which usage is billed: the provider's report within bounds, else what we counted.

An adapter reads the report and leaves out what is no count. Zero is zero. Input up to the context window is believed
even above our own estimate. Output is believed too, and billed up to the limit that was sent.
"""

from dataclasses import field, replace
from datetime import datetime
from uuid import UUID

from domain.pricing import MAX_TOKENS, Usage, UsageSource
from domain.records import record

_SUMMED = (
    *("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    *("audio_input_tokens", "image_input_tokens", "reasoning_tokens", "audio_output_tokens", "image_output_tokens"),
)


@record
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
    created_at: datetime
    """When it was charged."""
    provider: str | None = None
    provider_cost: str | None = None
    """In credits, exact."""
    meters: dict[str, int] = field(default_factory=dict)
    """All counts by meter, disjoint, when one of them is in no column of its own; else empty."""
    service_tier: str | None = None
    """By whose prices it was billed, when those are not the prices of the tier that was requested."""
    epoch: int = 1
    """Of the hold."""


def counted(input_tokens: int, output_tokens: int) -> Usage:
    return Usage(input_tokens, output_tokens, UsageSource.COUNTED)


def believed(used: Usage, max_input: int) -> Usage | None:
    """Return a provider's report when the call can have had so much input and a count can be so large, else None."""
    fits = 0 <= used.input_tokens <= max_input and 0 <= used.output_tokens <= MAX_TOKENS
    return used if fits else None


def latest(before: Usage | None, report: Usage) -> Usage:
    """Which of two reports of one stream counts: they are cumulative, so one that goes back says nothing.

    Searches that were reported once were made, whatever a later report leaves out.
    """
    if before is None:
        return report
    if report.output_tokens < before.output_tokens:
        return before
    if (before.web_searches or 0) > (report.web_searches or 0):
        return replace(report, web_searches=before.web_searches)
    return report


def at_least(report: Usage, counted: Usage) -> Usage:
    """What an early report says, with the output that was counted since. Its source stays the provider.

    So the receipt and the client's `usage` name the parts of the input that the provider reported.
    """
    return replace(report, output_tokens=max(report.output_tokens, counted.output_tokens))


def together(before: Usage, report: Usage) -> Usage:
    """Return what two parts of one answer used."""
    sums = {name: getattr(before, name) + getattr(report, name) for name in _SUMMED}
    searches = (before.web_searches, report.web_searches)
    total = None if searches == (None, None) else sum(each or 0 for each in searches)
    return replace(report, **sums, web_searches=total, service_tier=report.service_tier or before.service_tier)


def with_search(used: Usage) -> Usage:
    """Of a call that asked for a web search: one search, unless the provider reports how many it made."""
    return used if used.web_searches is not None else replace(used, web_searches=1)


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
