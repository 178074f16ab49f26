"""Refunds by the operator's hand: a charge is undone whole, once, and stays visible beside its refund."""

from dataclasses import dataclass
from uuid import UUID

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import billing, ledger
from db.engine import raw
from db.media_tables import MediaJobRow
from db.tables import HoldRow
from domain.errors import GatewayError, RequestInvalid
from domain.holds import HoldState
from domain.operations import Refund
from domain.results import Closed


@dataclass(frozen=True, slots=True)
class Refunded:
    account_id: UUID
    credits: int
    available: int
    repeated: bool
    """It was refunded before: nothing has changed."""


async def refund(session: AsyncSession, hold_id: UUID, reason: str) -> Refunded:
    """Gives back what a call or job was charged; a job shows it. Raises when there is nothing to give back.

    Locks the job's row first, then the ledger's. A call in flight is refused: it has not been charged, and ends by
    itself.
    """
    if not reason.strip():
        raise RequestInvalid("A refund needs a reason.", param="reason")
    query = select(MediaJobRow).where(MediaJobRow.id == hold_id).with_for_update()
    job = (await session.exec(query)).one_or_none()
    hold = await session.get(HoldRow, hold_id)
    if hold is None:
        await billing.raise_missing(session, hold_id)
    if hold.state == HoldState.OPEN:
        raise RequestInvalid("This call is in flight: nothing has been charged yet.")
    if not hold.charged:
        raise RequestInvalid("Nothing was charged for this call: there is nothing to refund.")
    operation = Refund(hold_id, hold.account_id, note=reason)
    (result,) = await ledger.execute(await raw(session), [operation])
    if isinstance(result, GatewayError):
        raise result
    assert isinstance(result, Closed)  # noqa: S101  # what else a Refund is answered with
    if job is not None:
        job.credits_refunded = result.charged
        session.add(job)
    return Refunded(hold.account_id, result.charged, result.available, result.repeated)
