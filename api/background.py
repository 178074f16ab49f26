"""What an API process does beside answering: ends holds whose owner died, starts jobs nobody started, closes lost ones.

Every process runs these; an advisory lock lets one at a time act. A Temporal Schedule does the same chores, so that
either side may be away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from db.leadership import Leadership
from domain.errors import GatewayError

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 3.0
SWEEP_LOCK = 7_206_156

Chore = Callable[[], Awaitable[object]]


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
