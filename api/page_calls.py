"""How pages call the API: by its own routes, in this process, as the browser that asked for the page.

A page shows what the public API answers, so that nothing is computed or decided in a second place. The call has the
page's session, client address and request id, and counts once with the page.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import orjson
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.types import Message, Scope

from api import auth, body, deps, errors, uploads
from api.edge import declared_length
from domain import json_text
from domain.errors import CrossSite, GatewayError
from gateway.body_budget import BodyClaim
from web.api import Answer, Fault, Server

_ASGI = ("type", "asgi", "http_version", "scheme", "client", "server", "root_path", "state", "app")
_OWN_HEADERS = (b"content-type", b"content-length", b"transfer-encoding", b"accept", b"accept-encoding")
"""Of the page's request: a call has others."""


class PageCalls:
    """Implements `web.api.Api` for one request."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._resources = deps.resources(request)

    @property
    def server(self) -> Server:
        server: Server = self._request.app.state.page_server
        return server

    @property
    def has_session(self) -> bool:
        return self._resources.cookie.is_sent(self._request.scope)

    def require_same_origin(self) -> None:
        try:
            self._resources.cookie.require_same_origin(self._request.scope)
        except CrossSite as error:
            raise Fault(403, error.message) from None

    @asynccontextmanager
    async def large_form(self) -> AsyncIterator[FormData]:
        with self._resources.bodies.claim() as claim:
            try:
                form = await self._form(claim)
            except GatewayError as error:
                answer = errors.of(error)
                again = answer.headers.get("retry-after")
                raise Fault(answer.status, answer.message, answer.code, retry_after=again) from None
            yield form

    async def _form(self, claim: BodyClaim) -> FormData:
        request, scope = self._request, self._scope("POST", uploads.PATH, b"", {})
        caller = await auth.authenticate(scope)
        await auth.admit(scope, caller)
        size = declared_length(request.scope["headers"]) or request.app.edge.max_bytes(request.scope["path"])
        async with self._resources.inputs.turn(caller.account_id), claim.arriving() as arrival:
            await claim.take(caller.account_id, size)
            arrival.begin()
            return await Request(request.scope, body.counted(request.receive, arrival)).form()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        content = _content(body)
        kind = {"content-type": "application/octet-stream"} if isinstance(body, bytes) else {}
        scope = self._scope(method, path, content, kind | dict(headers or {}))
        scope["query_string"] = urlencode({k: v for k, v in (query or {}).items() if v is not None}).encode()
        answer = _Collected()
        parts = [{"type": "http.request", "body": content}]

        async def receive() -> Message:
            return parts.pop() if parts else await self._request.receive()

        await self._request.app.inside(scope, receive, answer.send)
        return answer.read()

    def _scope(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Scope:
        page = self._request.scope
        passed = [header for header in page["headers"] if header[0] not in _OWN_HEADERS]
        own = {"accept": "application/json"}
        if content:
            own |= {"content-type": "application/json", "content-length": str(len(content))}
        own |= headers
        return {
            **{name: page[name] for name in _ASGI if name in page},
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "headers": [*passed, *((name.encode(), value.encode()) for name, value in own.items())],
        }


def _content(body: object) -> bytes:
    if body is None:
        return b""
    try:
        return body if isinstance(body, bytes) else json_text.dumps(body)
    except UnicodeEncodeError:
        raise Fault(400, "A text of this form has characters that are none.") from None


class _Collected:
    """The answer of a call, collected."""

    def __init__(self) -> None:
        self._status = 500
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message.get("headers", ()))
        else:
            self._body += message.get("body", b"")

    def read(self) -> Answer:
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in self._headers]
        is_json = any(name == "content-type" and value.startswith("application/json") for name, value in headers)
        return Answer(self._status, orjson.loads(self._body) if is_json and self._body else None, headers)
