"""Ends holds whose owner died."""

import contextlib
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy import func, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import ledger
from db.engine import Database, raw
from db.tables import HoldRow
from domain.errors import GatewayError, ServiceUnavailable
from domain.ledger import HoldState, Sweep

log = structlog.get_logger(__name__)

MOST_SWEPT = 500


@dataclass(frozen=True, slots=True)
class Sweeper:
    database: Database

    async def sweep(self) -> int:
        """Settle or release every hold whose lease has run out. Returns how many ended.

        Safe from many processes at once: each hold is looked at again under its account's lock. An account that
        somebody keeps locked is left for the next round.
        """
        async with self.database.reading() as session:
            expired = await _expired(session)
        by_account: dict[UUID, list[UUID]] = {}
        for hold_id, account_id in expired:
            by_account.setdefault(account_id, []).append(hold_id)
        ended = 0
        for account_id, holds in by_account.items():
            with contextlib.suppress(ServiceUnavailable):
                ended += await self._sweep(account_id, holds)
        if ended:
            log.warning("swept expired holds", holds=ended)
        return ended

    async def _sweep(self, account_id: UUID, holds: list[UUID]) -> int:
        async with self.database.transaction() as session:
            await session.exec(text("SET LOCAL lock_timeout = '250ms'"))  # type: ignore[call-overload]
            verdicts = await ledger.execute(await raw(session), [Sweep(hold_id, account_id) for hold_id in holds])
        return sum(not isinstance(verdict, GatewayError) for verdict in verdicts)


async def _expired(session: AsyncSession) -> list[tuple[UUID, UUID]]:
    query = (
        select(HoldRow.id, HoldRow.account_id)
        .where(HoldRow.state == HoldState.OPEN, col(HoldRow.lease_until) < func.clock_timestamp())
        .order_by(col(HoldRow.lease_until))
        .limit(MOST_SWEPT)
    )
    return list((await session.exec(query)).all())
