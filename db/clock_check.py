"""Tells the operator that this machine's clock and the database's differ: rows have times of both."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from db.engine import Database
from domain.errors import ServiceUnavailable
from domain.faults import FaultLog

MAX_DIFFERENCE = timedelta(seconds=30)
PAUSE = timedelta(minutes=1)
WHERE = "the clock of this machine"
WHAT = "this machine's clock and the database's differ"
REMEDY = (
    "let both machines follow a time server (chrony, systemd-timesyncd); until then the times of movements and jobs "
    "are wrong, and the audit names them"
)


async def watch(database: Database, faults: FaultLog) -> None:
    """Check again and again until it is cancelled."""
    while True:
        with suppress(ServiceUnavailable):
            await check(database, faults)
        await asyncio.sleep(PAUSE.total_seconds())


async def check(database: Database, faults: FaultLog, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
    """Raises `ServiceUnavailable`."""
    async with database.reading() as session:
        connection = await session.connection()
        before = now()
        there: datetime = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
        after = now()
    # The smallest difference that is possible: this process may have been frozen between its two readings.
    ahead = max(before - there, min(after - there, timedelta()))
    if abs(ahead) < MAX_DIFFERENCE:
        faults.clear(WHERE)
    else:
        way = "ahead" if ahead > timedelta() else "behind"
        faults.report(WHAT, where=WHERE, remedy=REMEDY, seconds=round(abs(ahead).total_seconds()), way=way)
