"""Counts holds, for metrics."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.tables import HoldRow, PrunedRow
from domain.holds import ClosedBy, HoldState

OVERDUE_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Figures:
    open: int
    open_credits: int
    swept: int
    """Holds that the sweeper has ever ended."""
    overdue: int
    """Holds that are open although their lease expired long ago: the sweeper cannot end them."""


async def figures(session: AsyncSession) -> Figures:
    open_holds = select(func.count(), func.coalesce(func.sum(HoldRow.amount), 0)).where(HoldRow.state == HoldState.OPEN)
    count, credits = (await session.exec(open_holds)).one()
    swept = select(func.count()).where(col(HoldRow.closed_by) == ClosedBy.SWEEPER)
    forgotten = select(func.coalesce(func.sum(PrunedRow.swept), 0))
    ended = (await session.exec(swept)).one() + int((await session.exec(forgotten)).one())
    expired = col(HoldRow.lease_until) < func.now() - OVERDUE_AFTER
    overdue = select(func.count()).where(HoldRow.state == HoldState.OPEN, expired)
    return Figures(count, int(credits), ended, (await session.exec(overdue)).one())
