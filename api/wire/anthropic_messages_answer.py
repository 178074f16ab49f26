"""Writes answers in the form of Anthropic's Messages: whole messages, usage and errors."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from api.wire import anthropic_messages_reasoning as reasoning
from api.wire.base import ErrorAnswer
from domain.ids import message_id
from domain.pricing import Usage
from gateway.wire import Bill, CompletedAnswer, ModelCall

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""Anthropic's words for OpenAI's finish reasons."""
ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
CUSTOM_INPUT = "input"
"""The field of an input that has the text of a call of a custom tool."""
REFUSED = {"type": "refusal", "category": None, "explanation": None}
_REASONING = ("reasoning_content", "reasoning")


def whole(answer: CompletedAnswer, bill: Bill) -> bytes:
    """Write a message with what it cost. A provider's own message passes as it is, but for id, model and usage."""
    body = answer.body
    message = _translated(body["choices"], answer.request) if answer.native is None else answer.native
    frame = {"id": message_id(body["id"]), "type": "message", "role": "assistant", "model": body["model"]}
    return orjson.dumps({**frame, **message, **frame, "usage": usage(bill.usage), "yout": yout(bill)})


def yout(bill: Bill) -> dict[str, int]:
    return {"credits_charged": bill.charged, "balance": bill.balance}


def usage(used: Usage) -> dict[str, Any]:
    """Anthropic's `usage` of what was billed: its input excludes what was read from a cache or written to one."""
    written = used.cache_write_tokens + used.cache_write_1h_tokens
    return {
        "input_tokens": max(0, used.input_tokens - used.cached_tokens - written),
        "output_tokens": used.output_tokens,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": used.cached_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": used.cache_write_tokens,
            "ephemeral_1h_input_tokens": used.cache_write_1h_tokens,
        },
        "output_tokens_details": {"thinking_tokens": used.reasoning_tokens},
        "server_tool_use": {"web_search_requests": used.web_searches} if used.web_searches else None,
        "service_tier": "standard",
        "inference_geo": None,
    }


def stop_fields(choice: Mapping[str, Any], request: ModelCall | None) -> dict[str, Any]:
    """Return the fields that say why a message ended. Some servers name the stop sequence that ended it."""
    sequence, stops = choice.get("stop_reason"), (request.body.get("stop") if request else None) or ()
    if choice.get("finish_reason") == "stop" and sequence in stops:
        return {"stop_reason": "stop_sequence", "stop_sequence": sequence, "stop_details": None}
    word = STOP_REASONS.get(choice.get("finish_reason") or "stop", "end_turn")
    return {"stop_reason": word, "stop_sequence": None, "stop_details": REFUSED if word == "refusal" else None}


def shows_thinking(request: ModelCall | None) -> bool:
    """Tell whether the client wants to read what the model thinks. Else an answer begins with its text."""
    native = request.native.body if request and request.native else {}
    wanted = native.get("thinking")
    return isinstance(wanted, dict) and wanted.get("type") != "disabled" and wanted.get("display") != "omitted"


def _translated(choices: list[dict[str, Any]], request: ModelCall | None) -> dict[str, Any]:
    choice = choices[0]
    content = list(_content(choice["message"], thinks=shows_thinking(request)))
    return {"content": content, **stop_fields(choice, request)}


def _content(message: Mapping[str, Any], *, thinks: bool) -> Iterator[dict[str, Any]]:
    """Translate a message into blocks. Reasoning that cannot be read stands before the calls that need it."""
    if thinks:
        yield from _thoughts(message)
    for name in ("content", "refusal"):
        if isinstance(text := message.get(name), str) and text:
            yield {"type": "text", "text": text, "citations": None}
    calls = message.get("tool_calls") or ()
    if thinks or calls:
        sealed = [data for detail in details(message) if (data := reasoning.data_of(detail))]
        yield from ({"type": "redacted_thinking", "data": data} for data in sealed)
    for call in calls:
        yield tool_use(call)


def details(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the reasoning of a message or a delta as `reasoning_details`, each text once."""
    listed = message.get("reasoning_details")
    known = [detail for detail in listed if isinstance(detail, dict)] if isinstance(listed, list) else []
    if any(map(reasoning.text_of, known)):
        return known
    text = next((message[name] for name in _REASONING if isinstance(message.get(name), str)), "")
    return [{"type": "reasoning.text", "text": text}, *known] if text else known


def _thoughts(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Join the parts of each thought, which a stream had one by one."""
    block: dict[str, Any] | None = None
    key: object = None
    for detail in details(message):
        text, signature = reasoning.text_of(detail), reasoning.signature_of(detail)
        if not text and not signature:
            continue
        if block is not None and key != detail.get("index"):
            yield block
            block = None
        key = detail.get("index")
        block = block or {"type": "thinking", "thinking": "", "signature": ""}
        block["thinking"] += text
        block["signature"] += signature
    if block is not None:
        yield block


def tool_use(call: Mapping[str, Any]) -> dict[str, Any]:
    """Translate a call of a tool. Arguments that are no JSON object, as when they were cut off, are left out.

    A custom tool is called with a text. Here an input is an object, which has the text as its one field.
    """
    custom = call.get("custom")
    inner = call.get("function") or custom or {}
    return {
        "type": "tool_use",
        "id": call.get("id"),
        "name": inner.get("name"),
        "input": {CUSTOM_INPUT: inner.get("input") or ""} if custom else _arguments(inner.get("arguments")),
        "caller": {"type": "direct"},
    }


def _arguments(text: object) -> dict[str, Any]:
    try:
        given = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        return {}
    return given if isinstance(given, dict) else {}


def error_object(error: ErrorAnswer) -> dict[str, Any]:
    """Anthropic's error, with our code and the field at fault."""
    kind = ERROR_TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    return {"type": kind, "message": error.message, "code": error.code, "param": error.param, **error.more}


def error(error: ErrorAnswer, request_id: str) -> bytes:
    return orjson.dumps({"type": "error", "error": error_object(error), "request_id": request_id or None})
