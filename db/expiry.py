"""Deletes rows that have expired, a batch in each transaction, so that no lock is held for long."""

from typing import Any

from sqlalchemy import delete, func
from sqlalchemy.orm import Mapped
from sqlmodel import SQLModel, select

from db.engine import Database

MAX_BATCHES = 10
"""The most batches of a round. The rest waits for the next round."""


async def delete_expired(
    database: Database, table: type[SQLModel], key: Mapped[Any], expires_at: Mapped[Any], batch: int
) -> int:
    """Delete rows whose `expires_at` has passed by the clock of the database, the oldest first. Returns how many."""
    expired = select(key).where(expires_at <= func.now()).order_by(expires_at).limit(batch)
    gone = 0
    for _ in range(MAX_BATCHES):
        async with database.transaction() as session:
            deleted = await session.exec(delete(table).where(key.in_(expired)))
        gone += deleted.rowcount
        if deleted.rowcount < batch:
            break
    return gone
