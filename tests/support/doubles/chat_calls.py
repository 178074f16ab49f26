"""Calls, routes and a ledger of one process, for tests of what the gateway does between a client and a provider."""

import asyncio
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from domain.catalog import Capability, Model, Provider, Route
from domain.errors import GatewayError, InsufficientCredits
from domain.holds import HoldState
from domain.operations import Extend, Operation, Renew, Settle, Void
from domain.results import Answer, Closed, Extended, Renewed, Reserved
from domain.tokens import InputTokens
from gateway.call import Call
from gateway.produced_output import ProducedOutput
from gateway.wire import ModelCall
from providers.base import (
    ChatCall,
    ChatUpstream,
    Headers,
    ProviderEvent,
    Sink,
    Timeouts,
    UpstreamRequest,
    WholeAnswer,
)
from wiring import load_catalog

MESSAGES = [{"role": "user", "content": "x"}]
CATALOG = load_catalog(None)
_SECOND = timedelta(seconds=1)


def route(name: str = "one", *capabilities: Capability) -> Route:
    provider = Provider(name=name, kind="openai", active=True)
    return Route(provider=provider, model=f"{name}-model", weight=1, capabilities=frozenset(capabilities))


def model(*routes: Route) -> Model:
    entry = CATALOG.find("demo-chat")
    return entry.model_copy(update={"routes": routes or (route(),), "max_output_tokens": 1000})


def count(text: str) -> int:
    """A token is a word."""
    return len(text.split())


def call(*routes: Route, choices: int = 1, paid: int = 100, output_limit: int | None = 50, **body: Any) -> Call:
    """A call that streams, with a hold that pays for so many output tokens."""
    fields = {"model": "demo-chat", "messages": MESSAGES, "stream": True, **body}
    request = ModelCall("demo-chat", fields, stream=True, choices=choices, output_limit=output_limit)
    chosen = model(*routes)
    reserved = Reserved(uuid4(), uuid4(), uuid4(), 100, paid // choices, 0, 100)
    new_call = Call(request, chosen, chosen.routes, InputTokens(3, 5), reserved, 7, ProducedOutput(count), held=100)
    new_call.output.paid = paid
    return new_call


class Books:
    """A ledger that says yes, or what it is told to say."""

    def __init__(self) -> None:
        self.settled: list[Settle] = []
        self.voided: list[Void] = []
        self.extends: list[Extend] = []
        self.may_extend = 0
        self.error: GatewayError | None = None
        self.extend_fault: Exception | None = None

    async def ask(self, operation: Operation) -> Answer:
        await asyncio.sleep(0)  # where a cancellation that was left over would strike
        if self.error is not None:
            raise self.error
        match operation:
            case Settle():
                self.settled.append(operation)
                return Closed(HoldState.SETTLED, 10, 0, 90, 0)
            case Void():
                self.voided.append(operation)
                return Closed(HoldState.VOID, 0, 0, 100, 0)
            case Extend():
                return self._extend(operation)
            case Renew():
                return Renewed(None)
        raise AssertionError(operation)

    def _extend(self, operation: Extend) -> Answer:
        if self.extend_fault is not None:
            raise self.extend_fault
        if operation.output_limit > self.may_extend:
            raise InsufficientCredits(1, 0, 0)
        self.extends.append(operation)
        return Extended(operation.output_limit, 100 + operation.output_limit, 0)

    async def has_a_request(self) -> bool:
        return bool(self.settled or self.voided)


@dataclass(slots=True)
class FakeExchange:
    sink: Sink
    paused: bool = False
    closed: bool = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.closed = True


@dataclass(slots=True)
class FakeUpstream:
    """Implements adapter, decoder and transport. Each part of an answer's bytes names the events that it makes."""

    dropped: tuple[str, ...] = ()
    whole: WholeAnswer | Exception | None = None
    request_fault: Exception | None = None
    exchanges: list[FakeExchange] = field(default_factory=list)
    calls: list[ChatCall] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    """In which its requests were written."""
    _parts: dict[bytes, list[ProviderEvent | Exception]] = field(default_factory=dict)

    @property
    def upstream(self) -> ChatUpstream:
        return ChatUpstream(self, self, Timeouts(_SECOND, _SECOND, _SECOND, _SECOND))

    def request(self, call: ChatCall) -> UpstreamRequest:
        if self.request_fault is not None:
            raise self.request_fault
        self.calls.append(call)
        self.threads.append(threading.get_ident())
        return UpstreamRequest("http://provider", {}, b"{}", dropped=self.dropped)

    def answer(self, call: ChatCall, body: bytes) -> WholeAnswer:
        if isinstance(self.whole, Exception):
            raise self.whole
        assert self.whole is not None
        return self.whole

    def decoder(self, call: ChatCall) -> "FakeUpstream":
        return self

    def error(self, call: ChatCall, status: int, headers: Headers, body: bytes) -> GatewayError:
        return GatewayError(f"{status} {body.decode()}")

    def begin(self, headers: Headers) -> Iterable[ProviderEvent]:
        return ()

    def feed(self, data: bytes) -> Iterator[ProviderEvent]:
        for step in self._parts.pop(data):
            if isinstance(step, Exception):
                raise step
            yield step

    def eof(self) -> Iterable[ProviderEvent]:
        return ()

    def open(self, request: UpstreamRequest, timeouts: Timeouts, sink: Sink, owner: Hashable = None) -> FakeExchange:
        self.exchanges.append(FakeExchange(sink))
        return self.exchanges[-1]

    async def close(self) -> None:
        """Nothing is open here."""

    @property
    def sink(self) -> Sink:
        return self.exchanges[-1].sink

    def says(self, *steps: ProviderEvent | Exception) -> None:
        """One part of the answer arrives."""
        part = b"%d" % len(self._parts)
        self._parts[part] = list(steps)
        self.sink.data(part)


def upstreams(**by_name: FakeUpstream) -> Callable[[str], ChatUpstream]:
    return lambda name: by_name[name].upstream
