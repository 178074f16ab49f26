"""Writes the body of an upstream request, with an allow-list of the caller's fields."""

from collections.abc import Mapping
from typing import Any

from providers.base import ChatCall

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
ABOUT_THE_CALLER = frozenset(
    {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "session_id", "trace"}
    | {"end_user", "end_user_id", "user_id", "user_email", "email", "ip", "ip_address", "client_ip", "trace_id"}
    | {"conversation_id", "customer_identifier", "litellm_metadata", "headers"}
)
"""Fields about the caller. They are never sent, whatever the catalog says."""
OURS = frozenset(
    {"model", "store", "provider", "max_tokens", "max_completion_tokens", "max_output_tokens", "stream"}
    | {"stream_options", "options", "api_base", "base_url", "api_key", "extra_headers", "extra_body", "extra_query"}
    | {"max_credits", "strict"}
)
"""Fields that decide where a call goes, what it may use and what is stored. Only this module may set them."""
_ACTED_ON = frozenset(
    {"model", "store", "max_tokens", "max_completion_tokens", "stream", "stream_options", "max_credits", "strict"}
    | {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}
)
"""Fields that are not named as dropped: this server acts on them itself, or promises not to pass them on."""
_ALLOWED = DOCUMENTED | OPEN_SERVERS
PARAMETERS = DOCUMENTED - {"messages", "moderation"} | {"max_tokens", "max_completion_tokens"}
"""The supported parameters of a model whose catalog entry does not list any."""
_NEVER = ABOUT_THE_CALLER | OURS


def split(body: Mapping[str, Any], passes: frozenset[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields that may be sent, and the names of fields that are dropped without effect."""
    everything = "*" in passes
    sent, dropped = {}, []
    for name, value in body.items():
        if name not in _NEVER and (everything or name in _ALLOWED or name in passes):
            sent[name] = value
        elif name not in _ACTED_ON and value is not None:
            dropped.append(name)
    return sent, tuple(dropped)


def payload(call: ChatCall, *, openrouter: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the body, and the names of dropped fields. Our own fields are set last: no caller's field replaces one."""
    body, dropped = split(call.body, call.passes)
    body["model"] = call.model
    limit = "max_completion_tokens" if "max_completion_tokens" in call.capabilities else "max_tokens"
    body[limit] = call.output_limit
    if call.stream:
        body["stream"] = True
        if call.body.get("stream_options") is not None:
            body["stream_options"] = call.body["stream_options"]
    if "store" in call.capabilities:
        body["store"] = False
    if openrouter:
        body["provider"] = {"data_collection": "deny", "zdr": True}
    if "developer_role" not in call.capabilities:
        body["messages"] = [_as_system(message) for message in body["messages"]]
    return body, dropped


def _as_system(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "role": "system"} if message.get("role") == "developer" else message
