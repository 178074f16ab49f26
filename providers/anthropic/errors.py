"""Translates Anthropic's errors, with a status or within a stream, into ours. None of its text is passed on."""

import re
from collections.abc import Mapping
from typing import Any

from domain.errors import GatewayError, RequestInvalid, UpstreamError
from providers import upstream_json
from providers.base import ChatCall, Headers
from providers.openai import errors

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_OUR_ACCOUNT = re.compile(
    r"usage limits?|spend(?:ing)? limit|workspace|data retention|zero.?retention|anthropic-version|anthropic-beta"
    r"|organization|this (?:api|endpoint) is",
    re.IGNORECASE,
)
_UNSUPPORTED = re.compile(r"deprecated|not supported|not support|unsupported|not permitted|not allowed", re.IGNORECASE)
_CAN_BE_LEFT_OUT = frozenset(
    {"temperature", "top_p", "top_k", "thinking", "reasoning", "reasoning_effort", "context_management"}
)
"""Fields without which the answer means the same: the same route is asked again without one that it does not take."""
_PLACE = re.compile(r"([a-z_]+)((?:\.[A-Za-z0-9_]+)*): |`([a-z_]+)` ")
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "system": ("messages",),
    "max_tokens": ("max_completion_tokens", "max_tokens"),
    "stop_sequences": ("stop",),
    "output_config": ("response_format", "reasoning_effort", "reasoning"),
    "output_format": ("response_format",),
    "thinking": ("reasoning_effort", "reasoning", "thinking"),
}
"""The fields of OpenAI's shape that a field of Anthropic's is written from."""


def of(call: ChatCall, status: int, headers: Headers, body: bytes) -> GatewayError:
    error = errors.of(status, headers, body, call.body)
    if type(error) is not RequestInvalid or error.param is not None:
        return error
    text = _message(body)
    name = _param(call, text)
    if name is None and _OUR_ACCOUNT.search(text):
        return UpstreamError()
    error = RequestInvalid(str(error), param=name, code=error.code)
    root = (name or "").partition(".")[0]
    if root in _CAN_BE_LEFT_OUT and _UNSUPPORTED.search(text):
        error.unsupported = frozenset({root})
    return error


def within(call: ChatCall, event: object, data: bytes) -> GatewayError:
    """Translate an `error` event, or an error that came with status 200."""
    inner = event.get("error") if isinstance(event, Mapping) else None
    kind = inner.get("type") if isinstance(inner, Mapping) else None
    return of(call, _STATUS.get(kind, 500) if isinstance(kind, str) else 500, {}, data)


def _message(body: bytes) -> str:
    try:
        answer: Any = upstream_json.read_whole(body[: errors.MAX_BODY])
    except UpstreamError:
        return ""
    inner = answer.get("error") if isinstance(answer, Mapping) else None
    message = inner.get("message") if isinstance(inner, Mapping) else None
    return message[:2048] if isinstance(message, str) else ""


def _param(call: ChatCall, text: str) -> str | None:
    """Return the caller's field that a message such as `tools.0.custom.name: …` names."""
    place = _PLACE.match(text)
    if place is None:
        return None
    name, path = place[1] or place[3], (place[2] or "").split(".")[1:]
    if call.native is not None:
        return _known_place(call.native.body, [name, *path])
    names = _FIELDS.get(name, (name,))
    return next((each for each in names if each in call.body), None)


def _known_place(body: Any, path: list[str]) -> str | None:
    """Return the part of the path that is in the body, in Anthropic's notation. None if nothing of it is."""
    known: list[str] = []
    for step in path:
        if isinstance(body, Mapping) and step in body:
            body = body[step]
        elif isinstance(body, list) and step.isdigit() and int(step) < len(body):
            body = body[int(step)]
        else:
            break
        known.append(step)
    return ".".join(known) or None
