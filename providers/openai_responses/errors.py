"""Translates the errors of OpenAI's Responses: an answer's status, an event, or a response that failed."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from domain.errors import ContextLengthExceeded, GatewayError, RequestInvalid
from providers.base import ChatCall, Headers
from providers.openai import errors, unsupported
from providers.openai_responses.native import is_native
from providers.upstream_json import repaired

_STATUS = {
    "rate_limit_exceeded": 429,
    "insufficient_quota": 402,
    "server_error": 500,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "context_length_exceeded": 400,
    "invalid_prompt": 400,
    "bio_policy": 400,
}
"""The statuses that would go with codes of failures that come with status 200. Images are the client's as well."""
_NAMES = {
    "input": "messages",
    "instructions": "messages",
    "max_output_tokens": "max_tokens",
    "text": "response_format",
    "text.verbosity": "verbosity",
    "reasoning": "reasoning_effort",
    "reasoning.summary": "reasoning",
    "include": "logprobs",
}
"""What a chat names the fields of a response."""


def of(call: ChatCall, status: int, headers: Headers, body: bytes, sent: Mapping[str, Any]) -> GatewayError:
    """Translate an answer with an error's status. `sent` is the request that it answers."""
    error = errors.of(status, headers, body, sent)
    if status in errors.OF_THE_CLIENT and not isinstance(error, ContextLengthExceeded):
        error.unsupported = unsupported.of(errors.value_of(body), call, sent)
    return _named(call, error)


def within(call: ChatCall, event: Any) -> GatewayError:
    """Translate a failure that came with status 200: the event `error`, or a response that failed."""
    inner = event.get("response") if isinstance(event, Mapping) else None
    value = inner if isinstance(inner, Mapping) else event
    error = value.get("error") if isinstance(value, Mapping) else None
    detail = error if isinstance(error, Mapping) else value if isinstance(value, Mapping) else {}
    code = str(detail.get("code"))
    status = _STATUS.get(code, 400 if code.startswith(("invalid_image", "image_")) else 502)
    reported = {name: detail.get(name) for name in ("code", "message", "param", "type")}
    fields = call.native.body if call.native is not None and is_native(call) else {"input": (), **call.body}
    body = orjson.dumps(repaired({"error": reported}))
    return _named(call, errors.of(status, {}, body, fields))


def _named(call: ChatCall, error: GatewayError) -> GatewayError:
    """Name the field as the call has it: a native one has the names of this wire."""
    if not is_native(call) and isinstance(error, RequestInvalid) and error.param is not None:
        root = re.split(r"[.\[]", error.param)[0]
        error.param = _NAMES.get(error.param) or _NAMES.get(root) or error.param
    return error
