"""Answers in the shape that the gateway keeps: OpenAI's `chat.completion`, under our id, with what was billed."""

from collections.abc import Mapping
from typing import Any

import orjson

from domain.pricing import Usage, UsageSource
from gateway.wire import CompletedAnswer, Head

ANSWER_FIELDS = ("system_fingerprint", "service_tier", "citations", "search_results", "images")
"""What an answer may say beside its choices: nothing about the provider's accounts and hosts."""


def completed(head: Head, choices: list[dict[str, Any]], beside: Mapping[str, Any], usage: Usage) -> CompletedAnswer:
    """Raises `orjson.JSONEncodeError` for an answer that cannot be written."""
    body = {
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.request.model,
        "choices": choices,
        **{name: beside[name] for name in ANSWER_FIELDS if name in beside},
        "usage": usage_object(usage),
    }
    return CompletedAnswer(body, orjson.dumps(body))


def usage_object(usage: Usage) -> dict[str, Any]:
    """What was billed, in OpenAI's words. Details only where the provider counted them."""
    told: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.source is UsageSource.PROVIDER:
        of_input = {"cached_tokens": usage.cached_tokens, "audio_tokens": usage.audio_input_tokens}
        if written := usage.cache_write_tokens + usage.cache_write_1h_tokens:
            of_input["cache_write_tokens"] = written
        told["prompt_tokens_details"] = of_input
        told["completion_tokens_details"] = {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.audio_output_tokens,
        }
    return told


def usage_of(told: Mapping[str, Any]) -> Usage:
    """The usage that `usage_object` wrote."""
    of_input = told.get("prompt_tokens_details")
    details = of_input or {}
    beside = told.get("completion_tokens_details") or {}
    return Usage(
        told["prompt_tokens"],
        told["completion_tokens"],
        UsageSource.COUNTED if of_input is None else UsageSource.PROVIDER,
        cached_tokens=details.get("cached_tokens") or 0,
        cache_write_tokens=details.get("cache_write_tokens") or 0,
        audio_input_tokens=details.get("audio_tokens") or 0,
        reasoning_tokens=beside.get("reasoning_tokens") or 0,
        audio_output_tokens=beside.get("audio_tokens") or 0,
    )
