"""The object `response` of OpenAI's Responses: what the request said, and what came of it."""

import time
from collections.abc import Mapping
from typing import Any

from api.wire import openai_chat_stream
from domain.ids import CHAT_PREFIX
from domain.pricing import Usage
from gateway.wire import Bill

_ECHOED: Mapping[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Fields of the request that an answer repeats, with what stands for one that was left out."""
_NATIVE = (
    *("temperature", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs", "reasoning", "text"),
    *("truncation", "service_tier", "incomplete_details", "status", "output", "completed_at", "parallel_tool_calls"),
    *("max_tool_calls", "tool_usage"),
)
"""Fields of a provider's own response that are passed on. None is about its accounts."""
FINISHES: Mapping[str | None, tuple[str, dict[str, str] | None]] = {
    "length": ("incomplete", {"reason": "max_output_tokens"}),
    "content_filter": ("incomplete", {"reason": "content_filter"}),
}
"""The status of a response, and why it is incomplete, by the finish reason of a choice. Others are completed."""


def id_of(chat_id: str) -> tuple[str, str]:
    """Return the id of a response, and what the ids of its items begin with."""
    own = chat_id.removeprefix(CHAT_PREFIX)
    return f"resp_{own}", own


def begun(request: Mapping[str, Any], response_id: str, created: int, model: str) -> dict[str, Any]:
    """Return a response without output. It says `store: false`: this server keeps none."""
    echoed = {name: default if request.get(name) is None else request[name] for name, default in _ECHOED.items()}
    tools = request.get("tools")
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "previous_response_id": None,
        "reasoning": _reasoning(request.get("reasoning")),
        "service_tier": _tier(request.get("service_tier")),
        "store": False,
        "text": _text(request.get("text")),
        "tools": [_tool(tool) for tool in tools] if isinstance(tools, list) else [],
        "usage": None,
        **echoed,
    }


def ended(response: dict[str, Any], finish: str | None, output: list[dict[str, Any]], bill: Bill) -> dict[str, Any]:
    status, details = FINISHES.get(finish, ("completed", None))
    completed_at = max(int(time.time()), response["created_at"]) if status == "completed" else None
    fields = {"status": status, "incomplete_details": details, "output": output, "completed_at": completed_at}
    return {**response, **fields, **billed(bill)}


def billed(bill: Bill) -> dict[str, Any]:
    return {"usage": usage_object(bill.usage), "yout": openai_chat_stream.yout(bill)}


def passed_on(response: dict[str, Any], native: Mapping[str, Any]) -> dict[str, Any]:
    """Put a provider's own response into ours: what it says of the answer, not of its account or of the request."""
    own = {name: native[name] for name in _NATIVE if native.get(name) is not None}
    if own.get("status") == "completed":
        given = own.get("completed_at")
        known = isinstance(given, int | float) and given
        own["completed_at"] = max(given if known else int(time.time()), response["created_at"])
    for name, complete in (("reasoning", _reasoning), ("text", _text)):
        if name in own:
            own[name] = complete(own[name])
    return {**response, **own}


def usage_object(usage: Usage) -> dict[str, Any]:
    written = usage.cache_write_tokens + usage.cache_write_1h_tokens
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": written},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _reasoning(given: Any) -> dict[str, Any]:
    given = given if isinstance(given, dict) else {}
    return {**given, "effort": given.get("effort"), "summary": given.get("summary")}


def _tier(given: Any) -> str:
    return given if isinstance(given, str) and given != "auto" else "default"


def _text(given: Any) -> dict[str, Any]:
    given = given if isinstance(given, dict) else {}
    form = given.get("format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        form = {"description": None, **form, "strict": form.get("strict") is True}
    return {**given, "format": form or {"type": "text"}, "verbosity": given.get("verbosity") or "medium"}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return dict(tool)
    return {"description": None, "parameters": None, "strict": None, **tool}
