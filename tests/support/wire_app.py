"""Client wires in front of one provider's adapter: a real application without a port, a database or a network."""

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import httpx2
from fastapi import FastAPI

import api.app
from api.cors import Cors
from api.session_cookie import SessionCookie
from api.wire.base import ClientWire
from domain import keys
from domain.catalog import Model
from domain.limits import NO_LIMITS
from domain.operations import Admit, Operation, Reserve
from domain.results import Admitted, Answer, Replay, Reserved
from domain.secrets import DerivedKeys
from gateway.body_budget import BodyBudget
from gateway.calls import Calls
from gateway.idempotency import IdempotentRequests
from providers.base import ChatAdapter, ChatUpstream, Sink, Timeouts, UpstreamRequest
from tests.support.doubles.chat_calls import CATALOG, Books, FakeExchange, count, model

KEY = keys.mint(bytes(32))
_SECONDS = timedelta(seconds=10)


class OpenBooks(Books):
    """Holds what is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.reserved: list[Reserve] = []
        self.replay: Replay | None = None
        """The answer to every other request, if there is one."""

    async def ask(self, operation: Operation) -> Answer:
        if self.error is None and isinstance(operation, Reserve):
            self.reserved.append(operation)
            if self.replay is not None:
                return self.replay
            claimed = operation.claim is not None
            return Reserved(operation.hold_id, uuid4(), uuid4(), 100, 20, 0, 100, claimed=claimed)
        if self.error is None and isinstance(operation, Admit):
            return Admitted(uuid4(), 100, 0, None, None)
        return await super().ask(operation)


class CannedTransport:
    """Implements `providers.base.Transport`: one answer, whatever is asked."""

    def __init__(self) -> None:
        self.status, self.answer = 200, b""
        self.requests: list[UpstreamRequest] = []

    def open(self, request: UpstreamRequest, timeouts: Timeouts, sink: Sink, owner: Hashable = None) -> FakeExchange:
        self.requests.append(request)
        asyncio.get_running_loop().call_soon(self._say, sink)
        return FakeExchange(sink)

    def _say(self, sink: Sink) -> None:
        sink.head(self.status, {})
        sink.data(self.answer)
        sink.end()

    async def close(self) -> None:
        """Nothing is open here."""


class WireApp:
    """`http` is its client. `model` is what every call names as `demo-chat`."""

    def __init__(self, adapter: ChatAdapter, wires: Sequence[ClientWire], served: Model | None = None) -> None:
        self.books, self.transport = OpenBooks(), CannedTransport()
        upstream = ChatUpstream(adapter, self.transport, Timeouts(*[_SECONDS] * 4))
        catalog = CATALOG.model_copy(update={"models": {"demo-chat": served or model()}})
        calls = Calls(self.books, lambda: catalog, lambda _: upstream, count, NO_LIMITS)
        app = api.app.create_app(_nothing, max_body_bytes=2048, cors=Cors(), wires=wires)
        claims = IdempotentRequests(DerivedKeys(b"s" * 32))
        app.state.resources = SimpleNamespace(
            calls=calls, bodies=BodyBudget(2**22), claims=claims, ceiling=NO_LIMITS, cookie=SessionCookie("http://test")
        )
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        self.http = httpx2.AsyncClient(transport=transport, base_url="http://test")


@asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncIterator[None]:
    yield
