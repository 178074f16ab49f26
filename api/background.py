"""What an API process does beside answering: ends holds whose owner died, starts jobs nobody started, closes lost ones.

Every process runs these; an advisory lock lets one at a time act. A Temporal Schedule does the media chores too, so
that either side may be away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from api.calls import Ledger
from db import ledger
from db.engine import Database, raw
from db.leadership import Leadership
from domain.errors import GatewayError
from domain.ledger import Sweep

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 3.0
SWEEP_LOCK = 7_206_156
MOST_SWEPT = 500

Chore = Callable[[], Awaitable[object]]


async def sweep(database: Database, writer: Ledger) -> int:
    """Settle or release every hold whose lease has run out. Returns how many ended."""
    async with database.reading() as session:
        expired = await ledger.expired(await raw(session), MOST_SWEPT)
    ended = 0
    for hold_id, account_id, _ in expired:
        try:
            await writer.ask(Sweep(hold_id, account_id))
            ended += 1
        except GatewayError:  # alive again, or the ledger is away: the next round looks again
            continue
    if ended:
        log.warning("swept expired holds", holds=ended)
    return ended


async def run(leadership: Leadership, chores: Sequence[Chore]) -> None:
    """Do the chores in turn, for ever, while this process leads."""
    try:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            if not await leadership.held():
                continue
            for chore in chores:
                await _attempt(chore)
    finally:
        await leadership.release()


async def _attempt(chore: Chore) -> None:
    try:
        async with asyncio.timeout(60):
            await chore()
    except GatewayError:
        return
    except Exception as fault:  # a chore that fails must not end the others
        log.warning("chore failed", chore=getattr(chore, "__name__", "?"), fault=type(fault).__name__)
