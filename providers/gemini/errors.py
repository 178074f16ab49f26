"""Translates Google's errors: an envelope with a number, a status and details, alone or in an array.

It is rewritten in the form that `providers.openai.errors` reads, with the parameter of OpenAI that the text names.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from domain.errors import ContentPolicyViolation, GatewayError, UpstreamBusy, UpstreamError
from providers import upstream_json
from providers.openai import errors

_STATUSES: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_PARAMS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), names)
    for pattern, names in (
        (r"safety_?settings?", ("safety_settings",)),
        (r"function[ _]?calling[ _]?config|tool_?config", ("tool_choice",)),
        (r"function_?declarations?|\btools?\[|function calling", ("tools", "functions")),
        (r"response_?(?:json_?)?(?:schema|mime_?type|format)|json mode", ("response_format",)),
        (r"thinking|thought budget", ("reasoning_effort", "reasoning")),
        (r"candidate_?count|multiple candidates", ("n",)),
        (r"stop_?sequences?", ("stop",)),
        (r"max_?output_?tokens", ("max_completion_tokens", "max_tokens")),
        (r"presence_?penalty|penalty is not", ("presence_penalty", "frequency_penalty")),
        (r"frequency_?penalty", ("frequency_penalty",)),
        (r"response_?logprobs|logprobs", ("logprobs", "top_logprobs")),
        (r"response_?modalities", ("modalities",)),
        (r"image_?config", ("image_config",)),
        (r"\btemperature\b", ("temperature",)),
        (r"\btop_?p\b", ("top_p",)),
        (r"\btop_?k\b", ("top_k",)),
        (r"\bseed\b", ("seed",)),
        (r"\bcontents?\b|inline_?data|file_?data|mime ?type|\bimage\b|\burl\b", ("messages",)),
    )
)
_KEY = ("API_KEY_", "ACCESS_TOKEN_")
"""How the reasons begin of errors about the key that was sent."""
_POLICY = re.compile(r"usage guidelines|responsible ai|safety|polic(?:y|ies)|prohibited", re.IGNORECASE)
"""How Google words that its filters do not let a request for media pass."""
_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")


def of(status: int, headers: Mapping[str, str], body: bytes, fields: Mapping[str, Any]) -> GatewayError:
    """Translate an answer with an error's status. `fields` is the request: the error names only fields in it."""
    try:
        value = upstream_json.read_whole(body[: errors.MAX_BODY])
    except UpstreamError:
        return errors.of(status, headers, body, fields)
    return _translated(status, headers, _envelope(value), fields)


def of_media(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError | None:
    """Return what only the body of an error says: the wait, a fault of our key, a filter. None: the status says all."""
    try:
        error = _envelope(upstream_json.read_whole(body[: errors.MAX_BODY]))
    except UpstreamError:
        return None
    details = [each for each in _list(error.get("details")) if isinstance(each, Mapping)]
    if status == 429 or error.get("status") == "UNAVAILABLE":
        delay = _delay(details)
        return UpstreamBusy(retry_after=errors.retry_after({"retry-after": delay} if delay else headers))
    if _is_about_our_key(details) or error.get("status") == "FAILED_PRECONDITION":
        refused = _not_served(status)
        refused.not_accepted = refused.blames_key = True
        return refused
    if status == 400 and _POLICY.search("\n".join(_texts(error, details))):
        return ContentPolicyViolation()
    return None


def within(value: Any, fields: Mapping[str, Any]) -> GatewayError:
    """Translate an error that came with status 200."""
    envelope = _envelope(value)
    code = envelope.get("code")
    status = code if type(code) is int and 400 <= code <= 599 else _STATUSES.get(str(envelope.get("status")), 502)
    return _translated(status, {}, envelope, fields)


def reports_failure(value: Mapping[str, Any]) -> bool:
    return bool(value.get("error"))


def _envelope(value: Any) -> Mapping[str, Any]:
    if isinstance(value, list):
        value = value[-1] if value else None
    error = value.get("error") if isinstance(value, Mapping) else None
    if isinstance(error, Mapping):
        return error
    return {"message": error} if isinstance(error, str) else {}


def _translated(
    status: int, headers: Mapping[str, str], error: Mapping[str, Any], fields: Mapping[str, Any]
) -> GatewayError:
    details = [each for each in _list(error.get("details")) if isinstance(each, Mapping)]
    if _is_about_our_key(details):
        return _not_served(401)
    if error.get("status") == "FAILED_PRECONDITION":
        return _not_served(402)
    text = "\n".join(_texts(error, details))
    named = {"message": text, "param": _param(text, fields), "code": None}
    if delay := _delay(details):
        headers = {**headers, "retry-after": delay}
    return errors.of(status, headers, orjson.dumps({"error": named}), fields)


def _is_about_our_key(details: list[Mapping[str, Any]]) -> bool:
    return any(str(detail.get("reason")).startswith(_KEY) for detail in details)


def _not_served(status: int) -> UpstreamError:
    """Of our account: its key (401), or its billing or place (402). Google answers 400; the key rests here."""
    error = UpstreamError()
    error.status = status
    return error


def _texts(error: Mapping[str, Any], details: list[Mapping[str, Any]]) -> Iterator[str]:
    if isinstance(message := error.get("message"), str):
        yield message
    for detail in details:
        if isinstance(reason := detail.get("reason"), str):
            yield reason
        for violation in _list(detail.get("fieldViolations")):
            if isinstance(violation, Mapping):
                yield from (str(violation[name]) for name in ("field", "description") if name in violation)


def _param(text: str, fields: Mapping[str, Any]) -> str | None:
    """Return the field of the request that the text is about, by Gemini's name of it."""
    for pattern, names in _PARAMS:
        if pattern.search(text) and (given := [name for name in names if fields.get(name) is not None]):
            return given[0]
    return None


def _delay(details: list[Mapping[str, Any]]) -> str | None:
    """Return the seconds of `RetryInfo.retryDelay`, such as "34.4s"."""
    for detail in details:
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (match := _DELAY.fullmatch(delay)):
            return match[1]
    return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
