"""The headers of every answer to a known key: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, and
`x-yout-key-expires` for a token that ends.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from starlette.types import Scope

from domain.limits import Left

_STATE = "limits"
_EXPIRES = "key_expires"


def note(scope: Scope, requests: Left | None, tokens: Left | None, key_expires: datetime | None = None) -> None:
    """Remember what is left, and when the token ends, for the headers of this request's answer."""
    state = scope.setdefault("state", {})
    state[_STATE] = ((b"requests", requests), (b"tokens", tokens))
    if key_expires is not None:
        state[_EXPIRES] = key_expires


def headers(scope: Scope) -> Iterator[tuple[bytes, bytes]]:
    for what, left in scope["state"].get(_STATE, ()):
        if left is not None:
            yield b"x-ratelimit-limit-" + what, b"%d" % left.limit
            yield b"x-ratelimit-remaining-" + what, b"%d" % left.remaining
            yield b"x-ratelimit-reset-" + what, duration(left.reset).encode()
    expires = scope["state"].get(_EXPIRES)
    if expires is not None:
        yield b"x-yout-key-expires", expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()


def duration(span: timedelta) -> str:
    """Write a duration as OpenAI does: `120ms`, `1.5s`, `1m0s`."""
    milliseconds = span // timedelta(milliseconds=1)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:g}s"
    return f"{int(seconds // 60)}m{seconds % 60:g}s"
