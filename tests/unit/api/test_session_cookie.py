"""The cookie's name and attributes, where it counts, and from which pages a request with it is believed."""

from datetime import timedelta

import pytest

from api.session_cookie import SessionCookie
from domain.errors import CrossSite

SITE = "https://yout.example"
LOCAL = "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("url", "name", "secure"),
    [
        (SITE, "__Host-yout", True),
        (f"{SITE}/under/a/path", "__Host-yout", True),
        ("http://yout.example", "__Host-yout", True),  # such a browser keeps no cookie; none is ever sent in the clear
        (LOCAL, "yout", False),
        ("http://[::1]:8080", "yout", False),
        ("http://localhost:8080", "yout", False),
        ("https://localhost", "__Host-yout", True),
    ],
)
def test_its_name_and_attributes(url: str, name: str, secure: bool) -> None:
    written = SessionCookie(url).written("abc", timedelta(days=1))
    first, *attributes = written.split("; ")
    assert first == f"{name}=abc"
    assert {"Max-Age=86400", "Path=/", "HttpOnly", "SameSite=Lax"} <= set(attributes)
    assert ("Secure" in attributes) == secure
    assert "Domain" not in written
    assert "Max-Age=0" in SessionCookie(url).cleared()


@pytest.mark.parametrize(
    ("path", "header", "secret"),
    [
        ("/api/auth/me/", "yout=abc", "abc"),
        ("/api/auth/me/", 'a=b; yout="abc" ;c=d', "abc"),
        ("/api/auth/me/", "yout=first; yout=second", "first"),
        ("/api/auth/me/", "not-yout=abc; __Host-yout=abc; Yout=abc", None),
        ("/api/auth/me/", "yout=", None),
        ("/api/auth/me/", "yout", None),
        ("/v1/models", "yout=abc", None),
        ("/media/x", "yout=abc", None),
    ],
)
def test_where_it_is_read(path: str, header: str, secret: str | None) -> None:
    scope = {"path": path, "headers": [(b"cookie", header.encode())]}
    assert SessionCookie(LOCAL).secret(scope) == secret


@pytest.mark.parametrize("before", [b"\xa0", b"\x85", b"\x1c", b"\x0b", b"\xc2\xa0", b"\xe2\x80\x80"], ids=bytes.hex)
def test_a_name_behind_a_wider_space_is_another_name(before: bytes) -> None:
    """Chromium keeps such a cookie from a sibling of this host, and sends it first if its path is longer."""
    cookie = SessionCookie(SITE)
    planted = before + b"__Host-yout=theirs; " + before + b"__Host-yout-browser=theirs"
    scope = {"path": "/api/auth/me/", "headers": [(b"cookie", planted)]}
    assert (cookie.secret(scope), cookie.browser(scope), cookie.is_sent(scope)) == (None, None, False)
    scope["headers"] = [(b"cookie", planted + b"; __Host-yout=own")]
    assert (cookie.secret(scope), cookie.is_sent(scope)) == ("own", True)


EQUAL = {"origin": SITE}
OWN_HOST = {"origin": "https://other.example", "host": "other.example"}
REFUSED = [
    {},
    {"host": "yout.example"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://yout.example"},
    {"origin": "https://yout.example:8443"},
    {"origin": "https://yout.example.evil.example"},
    {"origin": "https://yout.example@evil.example"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "cross-site", **EQUAL},
    {"sec-fetch-site": "SAME-ORIGIN"},
    {"referer": f"{SITE}/chat"},
]
BELIEVED = [
    {"sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "same-origin", "origin": "https://other.example"},
    EQUAL,
    {"origin": "HTTPS://Yout.Example:443"},
    OWN_HOST,
]


def allowed(method: str, headers: dict[str, str], *, by_cookie: bool = True) -> bool:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"method": method, "scheme": "https", "headers": raw}
    try:
        SessionCookie(SITE).require_same_origin(scope, by_cookie=by_cookie)
    except CrossSite:
        return False
    return True


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("headers", REFUSED, ids=str)
def test_a_change_that_another_page_asks_for_is_refused(method: str, headers: dict[str, str]) -> None:
    assert not allowed(method, headers)
    assert allowed("GET", headers)


@pytest.mark.parametrize("headers", BELIEVED, ids=str)
def test_a_change_that_our_page_asks_for_is_made(headers: dict[str, str]) -> None:
    assert allowed("POST", headers)
    assert allowed("DELETE", headers)


@pytest.mark.parametrize(
    ("headers", "refused"),
    [({}, False), ({"sec-fetch-site": "none"}, False), *((headers, True) for headers in REFUSED[2:12])],
)
def test_a_sign_in_needs_no_proof_but_is_not_made_by_another_site(headers: dict[str, str], refused: bool) -> None:
    from_another_site = refused and headers.get("sec-fetch-site") != "none"
    assert allowed("POST", headers, by_cookie=False) is not from_another_site
