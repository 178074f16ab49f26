"""What workers have met that only the operator can mend, and of providers API processes too.

Workers answer no requests, and `yout doctor` calls no provider: they read it here.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from db.engine import Database
from domain.errors import ServiceUnavailable
from domain.faults import Fault

PAUSE = timedelta(seconds=20)
LASTS = timedelta(minutes=1)
"""Longer than two pauses. A fault that no process has reported for so long is over, or its process is."""
_REPORT = text("""
INSERT INTO worker_faults (what, place, remedy) VALUES (:what, :where, :remedy)
ON CONFLICT (what, place) DO UPDATE SET remedy = excluded.remedy, seen_at = now()
""")
_FORGET = text("DELETE FROM worker_faults WHERE seen_at < now() - interval '1 day'")
_SHOWING = text("SELECT what, place, remedy FROM worker_faults WHERE seen_at > now() - :lasts ORDER BY 1, 2")


async def watch(database: Database, showing: Callable[[], Sequence[Fault]]) -> None:
    """Report again and again until it is cancelled. Nothing is written while there is nothing to report."""
    while True:
        with suppress(ServiceUnavailable):
            await report(database, showing())
        await asyncio.sleep(PAUSE.total_seconds())


async def report(database: Database, faults: Sequence[Fault]) -> None:
    """Raises `ServiceUnavailable`."""
    if not faults:
        return
    ordered = sorted(faults, key=lambda fault: (fault.what, fault.where))  # as every worker locks them
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(_REPORT, [asdict(fault) for fault in ordered])
        await connection.execute(_FORGET)


async def showing(session: AsyncSession) -> list[Fault]:
    """Return what processes meet at present."""
    return [Fault(*row) for row in await (await session.connection()).execute(_SHOWING, {"lasts": LASTS})]
