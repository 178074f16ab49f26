"""Signs of life of calls in flight: a stream whose hold is not its own any more ends itself."""

import asyncio
from uuid import UUID

from domain.errors import GatewayError, HoldClosed, ServiceUnavailable
from domain.limits import NO_LIMITS
from domain.operations import Operation, Renew
from domain.results import Answer, Renewed
from gateway.calls import Calls
from gateway.renewals import renew_for_ever
from providers.base import ChatUpstream
from tests.support.doubles.chat_calls import CATALOG
from tests.support.doubles.chat_calls import call as opened
from tests.support.stack import eventually


class Ledger:
    """Answers each hold's renewals as it was told to."""

    def __init__(self) -> None:
        self.refusals: dict[UUID, GatewayError] = {}
        self.broken: set[UUID] = set()
        self.locked: set[UUID] = set()
        self.waiting = 0
        self.purged: set[UUID] = set()
        self.requests = 0

    async def ask(self, operation: Operation) -> Answer:
        assert isinstance(operation, Renew)
        self.requests += 1
        if operation.hold_id in self.locked:
            self.waiting += 1
            await asyncio.Event().wait()
        if operation.hold_id in self.broken:
            raise KeyError
        if failure := self.refusals.get(operation.hold_id):
            raise failure
        return Renewed(None, erased=operation.hold_id in self.purged)

    async def has_a_request(self) -> bool:
        """A whole round long."""
        return self.requests > 4


def _provider(_: str) -> ChatUpstream:
    raise AssertionError("a renewal asks no provider")


async def test_a_stream_ends_when_its_hold_does_and_before_others_would_end_it() -> None:
    ledger = Ledger()
    calls = Calls(ledger, lambda: CATALOG, _provider, len, NO_LIMITS)
    ended: dict[str, str] = {}

    def call(name: str, failure: GatewayError | None = None, *, silent: float = 0) -> UUID:
        new_call = opened()
        new_call.renewed_at -= silent
        new_call.hold_lost = lambda error: ended.update({name: error.code})
        calls.live[new_call.hold_id] = new_call
        if failure is not None:
            ledger.refusals[new_call.hold_id] = failure
        return new_call.hold_id

    call("well", silent=1000)
    ledger.purged.add(call("purged"))
    call("swept", HoldClosed())
    call("away for a moment", ServiceUnavailable())
    call("away for longer than a lease", ServiceUnavailable(), silent=26)
    renewing = asyncio.create_task(renew_for_ever(calls))
    assert await eventually(ledger.has_a_request)
    renewing.cancel()
    assert ended == {
        "purged": "purge_in_progress",
        "swept": HoldClosed.code,
        "away for longer than a lease": "service_unavailable",
    }


async def test_a_call_that_cannot_be_renewed_ends_no_other_lease() -> None:
    ledger = Ledger()
    calls = Calls(ledger, lambda: CATALOG, _provider, len, NO_LIMITS)
    ids = []
    for _ in range(2):
        call = opened()
        calls.live[call.hold_id] = call
        ids.append(call.hold_id)
    ledger.broken.add(ids[0])
    renewing = asyncio.create_task(renew_for_ever(calls))
    assert await eventually(ledger.has_a_request)
    assert not renewing.done()
    renewing.cancel()


async def test_a_renewal_that_has_to_wait_keeps_no_other_waiting() -> None:
    """It is asked once: it waits for somebody else's lock, up to ten seconds."""
    ledger = Ledger()
    calls = Calls(ledger, lambda: CATALOG, _provider, len, NO_LIMITS)
    locked, *others = (opened() for _ in range(3))
    calls.live = {call.hold_id: call for call in (locked, *others)}
    ledger.locked.add(locked.hold_id)
    renewing = asyncio.create_task(renew_for_ever(calls))
    assert await eventually(ledger.has_a_request)
    assert ledger.waiting == 1
    renewing.cancel()
