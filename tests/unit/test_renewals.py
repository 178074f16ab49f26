"""Signs of life of calls in flight: a stream whose hold is not its own any more ends itself."""

import asyncio
from uuid import UUID, uuid4

from api.wire import openai_chat as wire
from domain.errors import GatewayError, HoldClosed, ServiceUnavailable
from domain.ledger import Answer, Operation, Renew, Renewed, Reserved
from domain.limits import NO_LIMITS
from domain.tokens import InputTokens
from gateway.pulled_calls import Call, Calls
from providers.base import ChatProvider
from tests.stack import eventually
from wiring import load_catalog

REQUEST = wire.parse({"model": "demo-chat", "messages": [{"role": "user", "content": "x"}]})
CATALOG = load_catalog(None)


class Ledger:
    """Answers each hold's renewals as it was told to."""

    def __init__(self) -> None:
        self.refusals: dict[UUID, GatewayError] = {}
        self.broken: set[UUID] = set()
        self.asked = 0

    async def ask(self, operation: Operation) -> Answer:
        assert isinstance(operation, Renew)
        self.asked += 1
        if operation.hold_id in self.broken:
            raise KeyError
        if refusal := self.refusals.get(operation.hold_id):
            raise refusal
        return Renewed(None)

    async def has_been_asked(self) -> bool:
        """A whole round long."""
        return self.asked > 4


def _provider(_: str) -> ChatProvider:
    raise AssertionError("a renewal asks no provider")


async def test_a_stream_ends_when_its_hold_does_and_before_others_would_end_it() -> None:
    ledger = Ledger()
    calls = Calls(ledger, lambda: CATALOG, _provider, len, NO_LIMITS)
    ended: dict[str, str] = {}

    def call(name: str, refusal: GatewayError | None, *, silent: float = 0) -> None:
        reserved = Reserved(uuid4(), uuid4(), uuid4(), 100, 100, 0, 100)
        made = Call(REQUEST, CATALOG.find("demo-chat"), InputTokens(1, 1), reserved, 0)
        made.renewed_at -= silent
        made.stop = lambda why: ended.update({name: why.code})
        calls.live[made.hold_id] = made
        if refusal is not None:
            ledger.refusals[made.hold_id] = refusal

    call("well", None, silent=1000)
    call("swept", HoldClosed())
    call("away for a moment", ServiceUnavailable())
    call("away for longer than a lease", ServiceUnavailable(), silent=26)
    renewing = asyncio.create_task(calls.renew_for_ever())
    assert await eventually(ledger.has_been_asked)
    renewing.cancel()
    assert ended == {"swept": HoldClosed.code, "away for longer than a lease": "service_unavailable"}


async def test_a_call_that_cannot_be_renewed_ends_no_other_lease() -> None:
    ledger = Ledger()
    calls = Calls(ledger, lambda: CATALOG, _provider, len, NO_LIMITS)
    ids = []
    for _ in range(2):
        reserved = Reserved(uuid4(), uuid4(), uuid4(), 100, 100, 0, 100)
        call = Call(REQUEST, CATALOG.find("demo-chat"), InputTokens(1, 1), reserved, 0)
        calls.live[call.hold_id] = call
        ids.append(call.hold_id)
    ledger.broken.add(ids[0])
    renewing = asyncio.create_task(calls.renew_for_ever())
    assert await eventually(ledger.has_been_asked)
    assert not renewing.done()
    renewing.cancel()
