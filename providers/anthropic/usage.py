"""Reads the usage of Anthropic's wire, where the input excludes what was read from and written into a cache.

In the result it is a part of the input. A count that is negative, absurd or no integer is left out.
"""

import re
from collections.abc import Mapping

from domain.pricing import MAX_TOKENS, Usage, UsageSource
from providers.upstream_json import integer

MAX_SEARCHES = 10_000
MAX_ITERATIONS = 1000
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_INPUT = tuple(name for name in _COUNTS if name != "output_tokens")
_HOUR, _FIVE_MINUTES = "ephemeral_1h_input_tokens", "ephemeral_5m_input_tokens"
_RESULT = "web_search_tool_result"
_TIERS = {"standard": "default"}
_TIER = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class UsageReports:
    """The reports of one answer. They are cumulative: a later count replaces an earlier one, a missing one does not."""

    def __init__(self, *, searched: bool = False) -> None:
        """`searched`: searches were asked for, so a report that says nothing of them means none."""
        self._counts: dict[str, int] = {}
        self._searches: int | None = 0 if searched else None
        self._results = 0
        """Of searches, as they were shown."""
        self._tier: str | None = None

    def begin(self, report: object) -> Usage | None:
        """Take the report of `message_start`. Its output is an estimate, and left out."""
        self._take(report)
        self._counts.pop("output_tokens", None)
        return self._usage(0)

    def shown(self, block: object) -> Usage | None:
        """Take a block that begins. A search with a result is billed, also if the answer breaks off after it."""
        if self._searches is None or not isinstance(block, Mapping) or block.get("type") != _RESULT:
            return None
        if isinstance(block.get("content"), Mapping):  # an error: it is free
            return None
        self._results += 1
        self._searches = max(self._searches, self._results)  # an early report may have counted it
        return self._usage(0)

    def end(self, report: object) -> Usage | None:
        """Take the report of `message_delta` or of a whole answer. None unless input and output are known."""
        self._take(report)
        output = self._counts.get("output_tokens")
        return None if output is None else self._usage(output)

    def _take(self, report: object) -> None:
        if not isinstance(report, Mapping):
            return
        counts = {name: count for name in _COUNTS if (count := _tokens(report.get(name))) is not None}
        if not any(counts.get(name) for name in _INPUT) and any(self._counts.get(name) for name in _INPUT):
            counts = {name: count for name, count in counts.items() if name not in _INPUT}  # no input has no tokens
        self._counts |= counts
        self._take_writes(report.get("cache_creation"))
        self._take_iterations(report.get("iterations"))
        details, tools = report.get("output_tokens_details"), report.get("server_tool_use")
        if isinstance(details, Mapping) and (thinking := _tokens(details.get("thinking_tokens"))) is not None:
            self._counts["thinking"] = thinking
        if isinstance(tools, Mapping) and (searches := _tokens(tools.get("web_search_requests"))) is not None:
            self._searches = searches if searches <= MAX_SEARCHES else self._searches
        tier = report.get("service_tier")
        if isinstance(tier, str) and _TIER.fullmatch(tier):
            self._tier = _TIERS.get(tier, tier)

    def _take_writes(self, creation: object) -> None:
        """Take the parts of the cache writes. They are in the first report only; the total may be in each."""
        if isinstance(creation, Mapping):
            hour, rest = _tokens(creation.get(_HOUR)), _tokens(creation.get(_FIVE_MINUTES))
            self._counts["hour"] = hour or 0
            self._raise_to("cache_creation_input_tokens", (hour or 0) + (rest or 0))

    def _take_iterations(self, iterations: object) -> None:
        """Take the sums over all passes of the model: beside them, a report has the counts of the last pass only."""
        if not isinstance(iterations, list) or len(iterations) > MAX_ITERATIONS:
            return
        passes = [each for each in iterations if isinstance(each, Mapping)]
        for name in _COUNTS:
            self._raise_to(name, sum(_tokens(each.get(name)) or 0 for each in passes))
        splits = [each["cache_creation"] for each in passes if isinstance(each.get("cache_creation"), Mapping)]
        self._raise_to("hour", sum(_tokens(split.get(_HOUR)) or 0 for split in splits))

    def _raise_to(self, name: str, count: int) -> None:
        if count > self._counts.get(name, 0):
            self._counts[name] = count

    def _usage(self, output: int) -> Usage | None:
        fresh = self._counts.get("input_tokens")
        cached = self._counts.get("cache_read_input_tokens", 0)
        written = self._counts.get("cache_creation_input_tokens", 0)
        if fresh is None or fresh + cached + written > MAX_TOKENS or output > MAX_TOKENS:
            return None
        hour = min(self._counts.get("hour", 0), written)
        return Usage(
            input_tokens=fresh + cached + written,
            output_tokens=output,
            source=UsageSource.PROVIDER,
            cached_tokens=cached,
            cache_write_tokens=written - hour,
            cache_write_1h_tokens=hour,
            reasoning_tokens=min(self._counts.get("thinking", 0), output),
            web_searches=self._searches,
            service_tier=self._tier,
        )


def _tokens(value: object) -> int | None:
    count = None if isinstance(value, str) else integer(value)
    return count if count is not None and 0 <= count <= MAX_TOKENS else None
