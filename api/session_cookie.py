"""The cookie of a browser, and which requests with it are believed.

A browser sends the cookie by itself, also when another site makes it ask. So a request that changes something has to
show that a page of this server made it.
"""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from starlette.types import Scope

from domain.errors import CrossSite
from domain.hosts import is_loopback
from gateway.known_browsers import LIFETIME

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
_COOKIE_PATHS = "/api/"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class SessionCookie:
    """How this server, at its public URL, writes and reads the cookie.

    Browsers keep a name with `__Host-` only from https, for this host alone, and for every path. Over http on loopback
    that name would not be kept: there it has a plain one.
    """

    def __init__(self, public_url: str, name: str = "yout") -> None:
        parts = urlsplit(public_url)
        plain = parts.scheme == "http" and is_loopback(parts.hostname or "")
        self.name = name if plain else f"__Host-{name}"
        self.browser_name = f"{self.name}-browser"
        self._attributes = "Path=/; HttpOnly; SameSite=Lax" + ("" if plain else "; Secure")
        self._origin = _origin(public_url)

    def written(self, secret: str, lifetime: timedelta) -> str:
        """Return the value of `Set-Cookie`."""
        return f"{self.name}={secret}; Max-Age={int(lifetime.total_seconds())}; {self._attributes}"

    def browser_written(self, browser: str) -> str:
        """Return the value of `Set-Cookie` by which a browser is known at its next sign-in."""
        return f"{self.browser_name}={browser}; Max-Age={int(LIFETIME.total_seconds())}; {self._attributes}"

    def cleared(self) -> str:
        return f"{self.name}=; Max-Age=0; {self._attributes}"

    def secret(self, scope: Scope) -> str | None:
        """Return the secret that a request presents, if its path takes the cookie. Of several, the first one counts."""
        return self._read(scope, self.name)

    def browser(self, scope: Scope) -> str | None:
        return self._read(scope, self.browser_name)

    def is_sent(self, scope: Scope) -> bool:
        """Tell whether a request has the cookie, whatever its path."""
        return any(True for _ in _values(scope, self.name))

    def _read(self, scope: Scope, wanted: str) -> str | None:
        if not scope["path"].startswith(_COOKIE_PATHS):
            return None
        return next((value.strip('"') for value in _values(scope, wanted)), None) or None

    def require_same_origin(self, scope: Scope, *, by_cookie: bool = True) -> None:
        """Raises `CrossSite` for a request that changes something and was not made by a page of this server.

        A browser says which page asks: in `Sec-Fetch-Site`, and where it does not send that, in `Origin`. A request
        `by_cookie` that says neither is refused.
        """
        if scope["method"] in SAFE:
            return
        headers = dict(reversed(scope["headers"]))
        site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
        if site is not None:
            allowed = site == b"same-origin" or (site == b"none" and not by_cookie)
        elif origin is not None:
            allowed = _origin(origin.decode("latin-1")) in self._ours(scope, headers.get(b"host", b""))
        else:
            allowed = not by_cookie
        if not allowed:
            raise CrossSite

    def _ours(self, scope: Scope, host: bytes) -> set[str | None]:
        return {self._origin, _origin(f"{scope.get('scheme', 'http')}://{host.decode('latin-1')}")} - {None}


def _values(scope: Scope, wanted: str) -> Iterator[str]:
    """Give the values of a cookie. Nothing but spaces and tabs may surround its name: another site may set one that
    begins with a wider space, and browsers do not see in it the `__Host-` that they keep for this host.
    """
    for header, value in scope["headers"]:
        for pair in value.split(b";") if header == b"cookie" else ():
            name, equals, written = pair.strip(b" \t").partition(b"=")
            if equals and name == wanted.encode():
                yield written.decode("latin-1")


def _origin(url: str) -> str | None:
    """Return the origin of a URL in one spelling. None if it has none."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return f"{parts.scheme}://{parts.hostname}:{port}" if parts.hostname else None
