"""Answers in the shape that the gateway keeps: OpenAI's `chat.completion`, under our id, with what was billed."""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

import orjson

from domain.pricing import Usage, UsageSource
from gateway.wire import CompletedAnswer, Head

ANSWER_FIELDS = ("system_fingerprint", "service_tier", "citations", "search_results", "images")
"""What an answer may say beside its choices: nothing about the provider's accounts and hosts."""


def completed(head: Head, choices: list[dict[str, Any]], beside: Mapping[str, Any], usage: Usage) -> CompletedAnswer:
    """Write the answer as JSON. Raises `orjson.JSONEncodeError` for one that cannot be written."""
    body = {
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.request.model,
        "choices": choices,
        "system_fingerprint": None,  # OpenRouter's own client requires it
        **{name: beside[name] for name in ANSWER_FIELDS if name in beside},
        "usage": usage_object(usage),
    }
    return CompletedAnswer(body, orjson.dumps(body))


def for_replay(answer: CompletedAnswer, beside: Mapping[str, Any]) -> bytes:
    """An answer as it is sealed for a replay: with what else its client was told, which `gateway.replays` reads."""
    return answer.encoded[:-1] + b',"beside":' + orjson.dumps(beside) + b"}"


_ALWAYS = frozenset({"cached_tokens", "reasoning_tokens", "audio_tokens"})
_INPUT_DETAILS = {
    "cached_tokens": "cached_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "audio_tokens": "audio_input_tokens",
    "image_tokens": "image_input_tokens",
}
_OUTPUT_DETAILS = {
    "reasoning_tokens": "reasoning_tokens",
    "audio_tokens": "audio_output_tokens",
    "image_tokens": "image_output_tokens",
    "web_searches": "web_searches",
}
"""OpenAI's names of parts (and ours for what it has no name for), and what they are in `Usage`."""
_input_counts, _output_counts = attrgetter(*_INPUT_DETAILS.values()), attrgetter(*_OUTPUT_DETAILS.values())


def usage_object(usage: Usage) -> dict[str, Any]:
    """OpenAI's `usage` object of what was billed. It has details only where the provider counted them."""
    fields: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.source is UsageSource.PROVIDER:
        fields["prompt_tokens_details"] = _details(_INPUT_DETAILS, _input_counts(usage))
        fields["completion_tokens_details"] = _details(_OUTPUT_DETAILS, _output_counts(usage))
    return fields


def _details(names: Iterable[str], counts: Iterable[int]) -> dict[str, int]:
    return {name: count for name, count in zip(names, counts, strict=True) if count or name in _ALWAYS}


def usage_of(fields: Mapping[str, Any]) -> Usage:
    """The usage that `usage_object` wrote."""
    parts = {
        part: count
        for group, names in (("prompt_tokens_details", _INPUT_DETAILS), ("completion_tokens_details", _OUTPUT_DETAILS))
        for name, part in names.items()
        if (count := (fields.get(group) or {}).get(name))
    }
    source = UsageSource.PROVIDER if "prompt_tokens_details" in fields else UsageSource.COUNTED
    return Usage(fields["prompt_tokens"], fields.get("completion_tokens", 0), source, **parts)
