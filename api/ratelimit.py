"""The headers `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` of every answer to a known key."""

from collections.abc import Iterator
from datetime import timedelta

from starlette.types import Scope

from domain.limits import Left

_STATE = "limits"


def note(scope: Scope, requests: Left | None, tokens: Left | None) -> None:
    """Remember what is left, for the headers of this request's answer."""
    scope.setdefault("state", {})[_STATE] = ((b"requests", requests), (b"tokens", tokens))


def headers(scope: Scope) -> Iterator[tuple[bytes, bytes]]:
    for what, left in scope["state"].get(_STATE, ()):
        if left is not None:
            yield b"x-ratelimit-limit-" + what, b"%d" % left.limit
            yield b"x-ratelimit-remaining-" + what, b"%d" % left.remaining
            yield b"x-ratelimit-reset-" + what, duration(left.reset).encode()


def duration(span: timedelta) -> str:
    """Write a duration as OpenAI does: `120ms`, `1.5s`, `1m0s`."""
    milliseconds = span // timedelta(milliseconds=1)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:g}s"
    return f"{int(seconds // 60)}m{seconds % 60:g}s"
