"""One request for a page: who asks, what the API answers to them, and the page that they get."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.formparsers import MultiPartParser
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Message

from web import pages, templating
from web.api import Answer, Api, Fault

THEME = "yout-theme"
THEMES = ("light", "dark")
ENTER = "yout-enter"
"""The cookie of a browser in which Enter breaks the line, and Shift Enter sends."""
ALOUD = "yout-aloud"
"""The cookie of a browser whose screen reader reads answers while they are written."""
MAX_FORM_BYTES = 64 * 1024
YEAR_SECONDS = 31_536_000
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_SEE_OTHER = 303
MultiPartParser.spool_max_size = 0
"""No file of a form goes to a disk: it would be there in the clear. The edge bounds the body."""


def theme_of(request: Request) -> str:
    """Return `light` or `dark`, as the browser's cookie has it. Empty: as the system has it."""
    chosen = request.cookies.get(THEME, "")
    return chosen if chosen in THEMES else ""


@dataclass(frozen=True, slots=True)
class Account:
    """Who is signed in, as every page shows it."""

    id: str
    email: str = field(repr=False)
    balance: int
    """Credits to spend: what is held is not in it."""
    held: int
    plan: str | None
    plan_active: bool
    running_jobs: int
    """More than 10 are 10."""


@dataclass(frozen=True, slots=True)
class Visit:
    request: Request = field(repr=False)
    api: Api
    now: datetime
    places: Collection[str] = ()
    """The addresses of all pages."""
    account: Account | None = None

    @property
    def theme(self) -> str:
        return theme_of(self.request)

    @property
    def address(self) -> str:
        """The path and the query of this page."""
        url = self.request.url
        return f"{url.path}?{url.query}" if url.query else url.path

    async def get(self, path: str, **query: object) -> Any:
        """Return what an endpoint answers. Raises `Fault`."""
        return (await self.send("GET", path, query=query)).body

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call an endpoint. Raises `Fault`."""
        answer = await self.api.call(method, path, query=query, body=body, headers=headers)
        if (fault := answer.fault()) is not None:
            raise fault
        return answer

    async def form(self) -> FormData:
        return await self.request.form()

    @asynccontextmanager
    async def form_with_files(self) -> AsyncIterator[FormData]:
        """Have a form within the block. A large one is read in its account's turn. Raises `Fault`."""
        size = self.request.headers.get("content-length", "")
        if size.isdecimal() and int(size) <= MAX_FORM_BYTES:
            yield await self.form()
            return
        async with self.api.large_form() as form:
            yield form

    def render(
        self,
        template: str,
        values: Mapping[str, object] | None = None,
        *,
        status: int = 200,
        secret: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Return a page. `secret`: it shows a token, so that no browser keeps it."""
        shown = {
            "account": self.account,
            "now": self.now,
            "theme": self.theme,
            "enter_breaks": self.request.cookies.get(ENTER) == "break",
            "aloud": self.request.cookies.get(ALOUD) == "on",
            "address": self.address,
            "path": self.request.url.path,
            "server": self.api.server,
            "places": self.places,
            **(values or {}),
        }
        own = {"content-security-policy": pages.policy(self.api.server.media_origin), **(headers or {})}
        return pages.live(templating.html(template, shown), status=status, secret=secret, headers=own)

    def redirect(self, to: str, answer: Answer | None = None) -> Response:
        """Lead to another page. The cookies that `answer` sets go along."""
        response = RedirectResponse(to, _SEE_OTHER, {"cache-control": "no-store"})
        for cookie in answer.values("set-cookie") if answer is not None else ():
            response.headers.append("set-cookie", cookie)
        return response

    def to_sign_in(self) -> Response:
        """Lead to the page for signing in, and back to this one."""
        back = self.address if self.request.method == "GET" else self.request.url.path
        return self.redirect(f"/sign-in?next={quote(back, safe='/')}")


class Suspended(Fault):
    """The account of this session is suspended: no page is shown to it."""


Show: TypeAlias = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the web app. `needs_account`: whoever has none is led to the page for signing in."""

    path: str
    show: Show
    methods: Sequence[str] = ("GET",)
    needs_account: bool = True
    with_account: bool = True
    """False: the page is the same for everybody, and nothing is looked up."""
    files: bool = False
    """Its form may have files. The bodies of others are small: anybody may send them."""


def bounded(request: Request) -> Request:
    """Return the request with a body of at most `MAX_FORM_BYTES`. Reading more of it raises `Fault`."""
    read = 0

    async def receive() -> Message:
        nonlocal read
        message = await request.receive()
        read += len(message.get("body", b""))
        if read > MAX_FORM_BYTES:
            raise Fault(413, "This form is too large.")
        return message

    return Request(request.scope, receive)


def begin(request: Request, api: Api, places: Collection[str]) -> Visit:
    return Visit(request, api, datetime.now(UTC), places)


async def recognize(visit: Visit) -> Visit:
    """Return the visit with the account whose session the browser has. Raises `Fault`."""
    return replace(visit, account=await _account(visit)) if visit.api.has_session else visit


async def _account(visit: Visit) -> Account | None:
    try:
        me = await visit.get("/api/auth/me/")
    except Fault as fault:
        if fault.status == _UNAUTHORIZED:
            return None
        if fault.status == _FORBIDDEN:  # a session has every scope: its account is suspended
            raise Suspended(fault.status, fault.message) from None
        raise
    names = ("account_id", "email", "balance", "held", "plan", "plan_active", "running_jobs")
    return Account(*(me[name] for name in names))


def local(address: str, otherwise: str = "/chat") -> str:
    """Return an address of this server to go on to. One of another host, or of another form, is not taken."""
    plain = address.isascii() and address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else otherwise
