"""A stream whose client does not read is let go without hurting its settlement."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import uuid4

from api.wire import openai_chat as wire
from domain.ledger import Answer, Closed, HoldState, Operation, Reserved, Settle
from domain.limits import NO_LIMITS
from domain.tokens import InputTokens
from gateway.pulled_calls import Call, Calls
from gateway.pulled_relay import StreamRelay
from gateway.send_buffer import SendBuffer
from providers.base import ChatAnswer, ChatCall, ChatChunk
from tests.stack import eventually
from wiring import load_catalog

CATALOG = load_catalog(None)
ASKED = {"model": "demo-chat", "messages": [{"role": "user", "content": "x"}], "stream": True}


class Ledger:
    def __init__(self) -> None:
        self.settled: list[Settle] = []

    async def ask(self, operation: Operation) -> Answer:
        assert isinstance(operation, Settle)
        await asyncio.sleep(0)  # where a cancellation that was left over would strike
        self.settled.append(operation)
        return Closed(HoldState.SETTLED, 10, 0, 100, 0)

    async def has_settled(self) -> bool:
        return bool(self.settled)


class Stalled(SendBuffer):
    """Of a client who does not read."""

    async def put(self, part: bytes) -> None:
        if not self._abandoned:
            raise TimeoutError


class Ready:
    """A provider that has said all there is: nobody has to wait for it."""

    async def complete(self, call: ChatCall) -> ChatAnswer:
        raise AssertionError("a stream was asked for")

    async def stream(self, call: ChatCall) -> AsyncGenerator[ChatChunk, None]:
        for word in ("one", "two", "three"):
            yield ChatChunk({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
        yield ChatChunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})


async def test_a_client_that_does_not_read_is_charged_once_for_what_was_produced() -> None:
    ledger = Ledger()
    calls = Calls(ledger, lambda: CATALOG, lambda _: Ready(), len, NO_LIMITS)
    reserved = Reserved(uuid4(), uuid4(), uuid4(), 100, 100, 0, 100)
    call = Call(wire.parse(ASKED), CATALOG.find("demo-chat"), InputTokens(1, 1), reserved, 0)
    call.held_output = 100
    pump = StreamRelay(calls, call)
    pump.outbox = Stalled()
    pump.start()
    assert await eventually(ledger.has_settled, 5)
    (settled,) = ledger.settled
    assert not settled.minimum
    assert settled.usage is not None
    assert settled.usage.output_tokens == len("one")
