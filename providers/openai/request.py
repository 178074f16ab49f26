"""Writes the body of a request on OpenAI's wire, with an allow-list of the caller's fields."""

from collections.abc import Mapping
from typing import Any

from domain.request_fields import DEVELOPER_ROLE, OUTPUT_LIMITS
from providers import fields
from providers.base import ChatCall
from providers.openai import dialect

DOCUMENTED = frozenset(
    {"messages", "temperature", "top_p", "presence_penalty", "frequency_penalty", "n", "stop", "seed", "logprobs"}
    | {"top_logprobs", "logit_bias", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"}
    | {"response_format", "reasoning_effort", "verbosity", "modalities", "audio", "prediction", "web_search_options"}
    | {"service_tier", "prompt_cache_options", "moderation"}
)
"""Fields that OpenAI documents. Fields that cost extra and are not priced were refused before."""
OPEN_SERVERS = frozenset(
    {"top_k", "top_a", "min_p", "typical_p", "tfs_z", "repetition_penalty", "length_penalty", "early_stopping"}
    | {"min_tokens", "ignore_eos", "stop_token_ids", "include_stop_str_in_output", "skip_special_tokens", "bad_words"}
    | {"spaces_between_special_tokens", "allowed_token_ids", "repeat_penalty", "repeat_last_n", "mirostat"}
    | {"mirostat_tau", "mirostat_eta", "dynatemp_range", "dynatemp_exponent", "xtc_probability", "xtc_threshold"}
    | {"dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers", "samplers"}
    | {"guided_json", "guided_regex", "guided_choice", "guided_grammar", "guided_decoding_backend"}
    | {"guided_whitespace_pattern", "structured_outputs", "grammar", "json_schema", "regex", "ebnf"}
    | {"chat_template_kwargs", "add_generation_prompt", "continue_final_message", "add_special_tokens"}
    | {"reasoning", "include_reasoning", "separate_reasoning", "reasoning_format", "reasoning_split", "thinking"}
    | {"enable_thinking", "thinking_budget", "safe_prompt", "random_seed", "prompt_mode", "cache_control"}
)
"""Fields for sampling, decoding and thinking of vLLM, SGLang, llama.cpp, OpenRouter, Mistral, Groq and others."""
_ALLOWED = DOCUMENTED | OPEN_SERVERS
PARAMETERS = DOCUMENTED - {"messages", "moderation"} | {"max_tokens", "max_completion_tokens"}
"""The supported parameters of a model whose catalog entry does not list any."""


_OF_OTHERS = frozenset({"messages.is_error"})
"""Fields of messages that other vendors' adapters read."""
NO_RENAMES: Mapping[str, str] = {}


def payload(
    call: ChatCall, renames: Mapping[str, str] = NO_RENAMES, *, openrouter: bool = False
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the body, and the names of dropped fields. Our own fields are set last: no caller's field replaces one.

    `providers.signals` adds the vendor's signal against keeping it.
    """
    body, dropped = fields.split(call.body, _ALLOWED, call.passes, call.drops | _OF_OTHERS)
    if not dialect.REWRITES.keys().isdisjoint(call.capabilities):
        dropped += dialect.write(body, call.capabilities, call.drops)
    for name in renames.keys() & body.keys():
        body.setdefault(renames[name], body.pop(name))
    _set_own(body, call)
    if openrouter:
        body["usage"] = {"include": True}
        if body.get("reasoning") is not None:  # it refuses two that differ
            body.pop("reasoning_effort", None)
    return body, dropped


def _set_own(body: dict[str, Any], call: ChatCall) -> None:
    body["model"] = call.model
    body[_limit_name(call)] = call.output_limit
    if call.stream:
        body["stream"] = True
        if "stream_options" not in call.drops:
            body["stream_options"] = {"include_usage": True}  # requested always, sent on if the client requested it
    if DEVELOPER_ROLE not in call.capabilities or DEVELOPER_ROLE in call.drops:
        body["messages"] = [_as_system(message) for message in body["messages"]]


def _limit_name(call: ChatCall) -> str:
    usual, other = OUTPUT_LIMITS
    if "max_completion_tokens" in call.capabilities:
        usual, other = other, usual
    return other if usual in call.drops and other not in call.drops else usual


def _as_system(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "role": "system"} if message.get("role") == "developer" else message
