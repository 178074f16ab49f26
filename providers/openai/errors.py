"""Translates a provider's error into one of ours, by its status, code and text, in the form of every compatible vendor.

None of its text is passed on. An error about our own account, key or model name at the provider becomes an
`UpstreamError`, after which another route may answer. Only an error that the caller can correct is a `RequestInvalid`.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from domain.errors import (
    ContextLengthExceeded,
    GatewayError,
    RequestInvalid,
    UpstreamBusy,
    UpstreamError,
    UpstreamTimeout,
)
from providers import upstream_json

MAX_BODY = 65_536
_PASSED_ON = frozenset({"unsupported_parameter", "unsupported_value", "invalid_value", "invalid_type"})
_FIELD = re.compile(r"(\w+)(\[\d+\])?")
_CONTEXT = re.compile(
    r"context.?length|context.?window|context.?size|context limit|maximum (?:input|prompt|context|model|sequence) "
    r"?len|(?:prompt|input|request|conversation|messages?)(?: \w+)? (?:is|are) too (?:long|large)|context overflow"
    r"|exceeds? the (?:maximum|max|model'?s?) (?:number of )?(?:input |allowed )?(?:tokens|context|length|input)"
    r"|too many (?:input |prompt )?tokens|prompt has too many|range of input length|reduce the length of"
    r"|input token count|max_new_tokens.{0,40}must be|token_limit_exceeded|max_tokens_exceeded|string_too_long"
    r"|(?:prompt|input|tokens?|conversation|context) too (?:long|large)|exceed\w* (?:\w+ ){0,3}token limit"
    r"|exceeds? max(?:imum)? length|exceeds? (?:the )?limit of \d+ tokens|input tokens exceed|longer than the model"
    r"|(?:input|prompt|total|requested)[ _](?:\w+[ _]){0,3}(?:length|tokens?|count)\b.{0,24}(?:exceed|greater than)"
    r"|token limit exceeded|maximum token count|maximum allowed token|must have less than \d+ tokens|prompt length is"
    r"|超长|超过.{0,12}长度|maximum number of tokens",
    re.IGNORECASE,
)
_OWN_WORDS = frozenset({"message", "error", "detail", "code", "type", "status", "reason"})
_PER_TIME = re.compile(r"per.?(?:minute|day|hour|second)|\b[TR]P[MD]\b|rate.?limit", re.IGNORECASE)
_OUR_ACCOUNT = re.compile(
    r"api.?key|api.?token|authenti|unauthori|access.?token|credential|permission|billing|credit balance|payment|quota"
    r"|insufficient.{0,3}(?:balance|quota|credit|fund)|your organi[sz]ation|unsupported_country|not available in your"
    r"|subscription",
    re.IGNORECASE,
)
_OUR_MODEL = re.compile(
    r"model.?not.?(?:found|supported|exist|active|available|allowed)|model.?decommissioned|unknown.?model|no such model"
    r"|invalid.?model|unsupported.?model|not a valid model|no endpoints found|model_id"
    r"|model\b.{0,120}(?:does ?n[o']t exist|not exist|not found|is not available|not supported for|decommissioned|"
    r"deprecated|no longer)|DeploymentNotFound",
    re.IGNORECASE | re.DOTALL,
)
_MODERATION = re.compile(
    r"content.?(?:policy|filter|management)|moderation|responsibleai|safety system|usage polic|guardrail|flagged"
    r"|invalid_prompt|data_inspection|inappropriate|usage guideline|safety check"
    r"|violates? (?:\S+ ){0,4}(?:polic|guideline|terms)",
    re.IGNORECASE,
)
_THEIR_GENERATION = re.compile(r"tool_use_failed|json_validate_failed|failed_generation|output_parse_failed")
_KEY_AT_FAULT = re.compile(
    r"\bkey\b.{0,60}\b(?:invalid|not valid|expired|revoked|disabled|suspended|blocked|leaked|limit|deactivated|banned)"
    r"|\b(?:invalid|incorrect|expired|revoked|disabled|leaked|missing)\b.{0,40}\b(?:key|token)\b|missing scopes"
    r"|\btoken\b.{0,40}\b(?:invalid|expired|revoked)\b|unregistered callers|has not been used in project|CONSUMER_"
    r"|SERVICE_DISABLED|\b(?:account|organi[sz]ation|project|team|consumer)\b.{0,60}\b(?:disabled|deactivated|suspended"
    r"|banned|closed|denied access|credits|spending)|credit balance|billing|payment"
    r"|insufficient.{0,3}(?:balance|credit)",
    re.IGNORECASE | re.DOTALL,
)
"""Of a 403. One that names a model, a place, a file or the content says nothing of the key."""
OF_THE_CLIENT = (400, 413, 422)
"""Statuses of errors that may be about the request."""


def of(status: int, headers: Mapping[str, str], body: bytes, fields: Mapping[str, Any]) -> GatewayError:
    """Translate an answer with an error's status. `fields` is the request: the error names only fields in it."""
    return _classified(status, value_of(body), fields, retry_after(headers))


def value_of(body: bytes) -> Any:
    """Read the body of an error: JSON, or else text."""
    try:
        return upstream_json.read_whole(body[:MAX_BODY])
    except UpstreamError:
        return body[:2048].decode("utf-8", "replace")


def within(answer: Any, fields: Mapping[str, Any]) -> GatewayError:
    """Translate a failure that came with status 200. `answer` is its JSON value, `fields` the request."""
    inner = answer.get("error") if isinstance(answer, Mapping) else None
    objects = [each for each in (inner, answer) if isinstance(each, Mapping)]
    numbers = [each.get(name) for each in objects for name in ("status", "status_code", "code")]
    status = next((n for n in numbers if type(n) is int and 400 <= n <= 599), 502)
    return _classified(status, answer, fields, None)


def reports_failure(answer: Mapping[str, Any]) -> bool:
    """Tell whether a JSON object that came with status 200 is or contains a failure."""
    error = answer.get("error")
    if any(error.values()) if isinstance(error, Mapping) else error:
        return True
    for place, name in (("base_resp", "status_code"), ("x_groq", "error")):  # MiniMax, Groq
        state = answer.get(place)
        if isinstance(state, Mapping) and state.get(name):
            return True
    if "choices" in answer or "usage" in answer:
        return False
    kind = answer.get("object") or answer.get("type")
    return kind == "error" or any(answer.get(name) for name in ("errors", "detail", "message"))


def _classified(status: int, value: Any, fields: Mapping[str, Any], later: timedelta | None) -> GatewayError:
    text = "\n".join(_texts(value, 0))[:8192]
    if status in (408, 504, 524):
        return UpstreamTimeout()
    if status in (503, 529):
        return UpstreamError(retry_after=later)
    if status == 429:
        return UpstreamError() if "insufficient_quota" in text else UpstreamBusy(retry_after=later)
    if status in (401, 402, 404) or status < 400:
        return UpstreamError()
    if status == 403:
        return _forbidden(value, text)
    if _CONTEXT.search(text):
        per_time = status == 413 and _PER_TIME.search(text)
        return UpstreamBusy(retry_after=later) if per_time else ContextLengthExceeded()
    if status not in OF_THE_CLIENT:
        return UpstreamError()
    return _of_the_client(status, value, text, fields, later)


def _of_the_client(
    status: int, value: Any, text: str, fields: Mapping[str, Any], later: timedelta | None
) -> GatewayError:
    error = _object(value)
    code, param = str(error.get("code") or ""), _param(error, value)
    if status == 413:
        return UpstreamBusy(retry_after=later) if _PER_TIME.search(text) else ContextLengthExceeded()
    named = _field(param, fields)
    if _THEIR_GENERATION.search(text) or named == "model" or (named is None and _OUR_MODEL.search(text)):
        return UpstreamError()
    if _MODERATION.search(text):
        return _refused_content()
    if named is None and code not in _PASSED_ON and _OUR_ACCOUNT.search(text):
        return UpstreamError()
    if code.startswith("unsupported"):
        code = "unsupported_parameter"
    elif code not in _PASSED_ON:
        code = "invalid_value"
    return RequestInvalid("The provider of this model does not accept a value of this request.", param=named, code=code)


def _forbidden(value: Any, text: str) -> GatewayError:
    """Tell a refusal of the content from one of our key, by the error's own words: others may be the caller's."""
    if _MODERATION.search(text):
        return _refused_content()
    own = {name: part for name, part in _object(value).items() if name in _OWN_WORDS} or value
    error = UpstreamError()
    error.blames_key = _KEY_AT_FAULT.search("\n".join(_texts(own, 0))) is not None
    return error


def _refused_content() -> RequestInvalid:
    return RequestInvalid("The provider of this model refuses this input under its content policy.", param="messages")


def _object(value: Any) -> Mapping[str, Any]:
    """Return the object that has the code and the parameter: the one inside `error`, or the outermost."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, Mapping):
        return {}
    inner = value.get("error")
    return inner if isinstance(inner, Mapping) else value


def _param(error: Mapping[str, Any], value: Any) -> str | None:
    """Return OpenAI's `param`, or the field that an error of FastAPI's validation names."""
    param = error.get("param")
    if isinstance(param, str):
        return param
    detail = value.get("detail") if isinstance(value, Mapping) else None
    first = detail[0] if isinstance(detail, list) and detail else None
    place = first.get("loc") if isinstance(first, Mapping) else None
    names = [name for name in place if isinstance(name, str) and name != "body"] if isinstance(place, list) else []
    return names[0] if names else None


def _field(param: str | None, fields: Mapping[str, Any]) -> str | None:
    """Return the field of the request that is meant, with the index of its element. The rest of the name is dropped."""
    match = _FIELD.match(param) if param else None
    return match[0] if match and match[1] in fields else None


def _texts(value: Any, depth: int) -> Iterator[str]:
    """Yield all texts of an error, cut to 2,048 characters. `failed_generation` yields its name, `user_id` nothing."""
    if isinstance(value, str):
        yield value[:2048]
    elif isinstance(value, Mapping) and depth < 6:
        for name, inner in list(value.items())[:32]:
            if name == "failed_generation":
                yield name
            elif name != "user_id":
                yield from _texts(inner, depth + 1)
    elif isinstance(value, list) and depth < 6:
        for inner in value[:16]:
            yield from _texts(inner, depth + 1)


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Read `retry-after-ms`, or `retry-after` in seconds or as a date.

    The result is 1 to 60 s, or less if milliseconds say so: clients give up on longer waits.
    """
    milliseconds = headers.get("retry-after-ms", "")
    if milliseconds.isascii() and milliseconds.isdecimal() and len(milliseconds) <= 9:
        return timedelta(milliseconds=min(max(int(milliseconds), 1), 60_000))
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except (TypeError, ValueError, OverflowError):
            return None
        seconds = (at - at.now(at.tzinfo)).total_seconds()
    return timedelta(seconds=min(max(seconds, 1.0), 60.0)) if seconds == seconds else None
