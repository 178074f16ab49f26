"""The cookie of visitors. An answer to a visitor without one sets it."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from starlette.types import Scope

from api.session_cookie import SessionCookie
from domain import visitors
from domain.visitors import VisitorCookies

NAME = "yout-visitor"
_SET_COOKIE = "set_cookie"


class VisitorCookie:
    """Writes and reads the cookie at this server's public URL. It lives until the end of the UTC day."""

    def __init__(self, public_url: str, values: VisitorCookies) -> None:
        self._cookie, self._values = SessionCookie(public_url, NAME), values

    def read(self, scope: Scope, now: datetime) -> UUID | None:
        """Return the visitor's id. None for no cookie, and for one that is forged, expired or another server's."""
        return self._values.read(self._cookie.secret(scope) or "", now.date())

    def issue(self, scope: Scope, visitor_id: UUID, now: datetime) -> None:
        """Let the answer set the cookie."""
        value, lifetime = self._values.written(visitor_id, now.date()), visitors.end_of(now.date()) - now
        scope["state"][_SET_COOKIE] = self._cookie.written(value, lifetime).encode()


def headers(scope: Scope) -> Iterator[tuple[bytes, bytes]]:
    """Give the header that sets a new visitor's cookie."""
    cookie = scope["state"].get(_SET_COOKIE)
    if cookie is not None:
        yield b"set-cookie", cookie
