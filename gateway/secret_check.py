"""Checks at start that this process has the master secret of its database, before the first job fails of it."""

import asyncio

from db import data_keys
from db.engine import Database
from domain.errors import ServiceUnavailable
from domain.faults import FaultLog
from domain.sealing import Wrapping

PAUSE_SECONDS = 5.0
REMEDY = (
    "set it to the secret with which this database was used until now, or name that one in YOUT_PREVIOUS_SECRET_KEYS, "
    "and start again; until then the inputs of media jobs cannot be read"
)


async def check_secret(database: Database, wrapping: Wrapping, faults: FaultLog) -> None:
    """Reports a secret that is another one. Waits for a database that is away or not migrated; others report that."""
    ours = await _opens(database, wrapping, faults)
    while ours is None:
        await asyncio.sleep(PAUSE_SECONDS)
        ours = await _opens(database, wrapping, faults)
    if not ours:
        faults.report("the master secret is not this database's", where="YOUT_SECRET_KEY", remedy=REMEDY)


async def opens(database: Database, wrapping: Wrapping) -> bool:
    """Tell whether the secret is this database's. Raises `ServiceUnavailable` when the database is unavailable."""
    async with database.reading() as session:
        return await data_keys.opened_by(session, wrapping)


async def _opens(database: Database, wrapping: Wrapping, faults: FaultLog) -> bool | None:
    """None while the database is away, or if the check itself fails, which is reported: it is tried again."""
    try:
        return await opens(database, wrapping)
    except ServiceUnavailable:
        return None
    except Exception as fault:  # a task that ended would check no more
        where, remedy = "master secret check", "it is tried again; if it stays, report this fault"
        faults.report("the master secret was not checked", where=where, remedy=remedy, fault=type(fault).__name__)
        return None
