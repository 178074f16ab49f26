"""Signs of life of calls in flight: their leases are renewed, and a stream whose hold is lost ends itself."""

import asyncio
import time
from uuid import UUID

import structlog

from domain.errors import CallerUnknown, EndedByPurge, GatewayError, HoldClosed
from domain.holds import LEASE
from domain.operations import Renew
from domain.results import Renewed
from gateway.call import Call
from gateway.calls import Calls

log = structlog.get_logger(__name__)

RENEWAL_SECONDS = 1.0
MAX_UNRENEWED_SECONDS = LEASE.total_seconds() - 5
"""After so long without a sign of life a stream ends itself, before others end its hold."""
_CUT = (
    "While this call ran, its key was revoked or expired, or its account was suspended. What was delivered is charged."
)


async def renew_for_ever(calls: Calls) -> None:
    """Each call each second, with what it has produced: a crash loses at most that second.

    A renewal that has to wait, for a hold that is locked, keeps no other call's waiting.
    """
    renewing: dict[UUID, asyncio.Task[None]] = {}
    try:
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            renewing = {hold_id: task for hold_id, task in renewing.items() if not task.done()}
            for hold_id, call in calls.live.items():
                if hold_id not in renewing:
                    renewing[hold_id] = asyncio.create_task(_renew_one(calls, call))
    finally:
        for task in renewing.values():
            task.cancel()


async def _renew_one(calls: Calls, call: Call) -> None:
    try:
        await _renew(calls, call)
    except Exception as fault:  # one call's trouble ends no other's lease
        log.error("call not renewed", hold=str(call.hold_id), fault=type(fault).__name__, context=call.context)


async def _renew(calls: Calls, call: Call) -> None:
    """Also finds out whose lease ran out: while this process was frozen, or cut off from the ledger."""
    try:
        renewed = await calls.ledger.ask(Renew(call.hold_id, call.output.tokens))
    except HoldClosed as closed:
        _lose(calls, call, closed)
    except GatewayError as unavailable:
        if time.monotonic() - call.renewed_at > MAX_UNRENEWED_SECONDS:
            _lose(calls, call, unavailable)
    else:
        call.renewed_at = time.monotonic()
        if isinstance(renewed, Renewed) and renewed.cut:
            _lose(calls, call, CallerUnknown(_CUT))
        elif isinstance(renewed, Renewed) and renewed.erased:
            _lose(calls, call, EndedByPurge())


def _lose(calls: Calls, call: Call, error: GatewayError) -> None:
    """Nothing more may be relayed: nobody would pay for it. A call that has just ended itself has lost nothing."""
    if call.hold_id in calls.live and call.hold_lost is not None:
        call.hold_lost(error)
