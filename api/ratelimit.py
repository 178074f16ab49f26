"""`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, on every answer to a known key."""

from datetime import timedelta

from starlette.datastructures import MutableHeaders
from starlette.types import Scope

from domain.limits import Left

_STATE = "limits"


def note(scope: Scope, requests: Left | None, tokens: Left | None) -> None:
    """Remember what is left, for the headers of this request's answer."""
    scope.setdefault("state", {})[_STATE] = (("requests", requests), ("tokens", tokens))


def add_headers(scope: Scope, headers: MutableHeaders) -> None:
    for what, left in scope["state"].get(_STATE, ()):
        if left is not None:
            headers[f"x-ratelimit-limit-{what}"] = str(left.limit)
            headers[f"x-ratelimit-remaining-{what}"] = str(left.remaining)
            headers[f"x-ratelimit-reset-{what}"] = duration(left.reset)


def duration(span: timedelta) -> str:
    """As OpenAI writes it: `120ms`, `1.5s`, `1m0s`."""
    milliseconds = span // timedelta(milliseconds=1)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:g}s"
    return f"{int(seconds // 60)}m{seconds % 60:g}s"
