"""Ends holds whose owner died."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy import func, text
from sqlmodel import col, select

from db import ledger
from db.engine import Database, raw
from db.tables import HoldRow
from domain.errors import GatewayError, ServiceUnavailable
from domain.ledger import HoldState, Sweep

log = structlog.get_logger(__name__)

BATCH = 500


@dataclass(frozen=True, slots=True)
class Sweeper:
    database: Database
    batch: int = BATCH

    async def sweep(self) -> int:
        """Settle or release every hold whose lease has run out. Returns how many ended.

        Safe from many processes at once: each hold is looked at again under its account's lock. An account that
        somebody keeps locked is left for the next round.
        """
        ended, left = 0, set[UUID]()
        while True:
            expired = await self._expired(left)
            for account_id, holds in _by_account(expired).items():
                swept = await self._sweep(account_id, holds)
                ended += swept
                if swept < len(holds):
                    left.add(account_id)
            if len(expired) < self.batch:
                break
        if ended:
            log.warning("swept expired holds", holds=ended)
        return ended

    async def _expired(self, left: Collection[UUID]) -> list[tuple[UUID, UUID]]:
        query = (
            select(HoldRow.id, HoldRow.account_id)
            .where(HoldRow.state == HoldState.OPEN, col(HoldRow.lease_until) < func.clock_timestamp())
            .where(col(HoldRow.account_id).not_in(left))
            .order_by(col(HoldRow.lease_until))
            .limit(self.batch)
        )
        async with self.database.reading() as session:
            return list((await session.exec(query)).all())

    async def _sweep(self, account_id: UUID, holds: list[UUID]) -> int:
        try:
            async with self.database.transaction() as session:
                await session.exec(text("SET LOCAL lock_timeout = '250ms'"))  # type: ignore[call-overload]
                sweeps = [Sweep(hold_id, account_id) for hold_id in holds]
                verdicts = await ledger.execute(await raw(session), sweeps)
        except ServiceUnavailable:
            return 0
        return sum(not isinstance(verdict, GatewayError) for verdict in verdicts)


def _by_account(expired: list[tuple[UUID, UUID]]) -> dict[UUID, list[UUID]]:
    found: dict[UUID, list[UUID]] = {}
    for hold_id, account_id in expired:
        found.setdefault(account_id, []).append(hold_id)
    return found
