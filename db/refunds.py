"""Refunds by the operator. A charge is refunded in full, once, and stays visible beside its refund."""

from dataclasses import dataclass
from uuid import UUID

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import billing, ledger
from db.engine import InSession, raw
from db.media_tables import MediaJobRow
from db.tables import HoldRow
from domain.errors import EndedByPurge, GatewayError, RequestInvalid
from domain.holds import HoldState
from domain.operations import Refund
from domain.results import Closed
from domain.settlements import ERASED_CHARGE


@dataclass(frozen=True, slots=True)
class Refunded:
    account_id: UUID
    credits: int
    available: int
    repeated: bool
    """True if it was refunded before, and nothing changed."""


async def refund(session: AsyncSession, hold_id: UUID, reason: str) -> Refunded:
    """Return the charge of a call or job to its account; a job shows it. Raises if there is no charge to refund.

    Idempotent. It locks the job's row first, then the ledger's. A call in flight is refused: it is not charged yet.
    """
    if not reason.strip():
        raise RequestInvalid("A refund needs a reason.", param="reason")
    query = select(MediaJobRow).where(MediaJobRow.id == hold_id).with_for_update()
    job = (await session.exec(query)).one_or_none()
    hold = await session.get(HoldRow, hold_id)
    if hold is None:
        await billing.raise_missing(InSession(session), hold_id)
    if hold.state == HoldState.OPEN:
        raise RequestInvalid("This call is in flight: nothing has been charged yet.")
    if hold.state == HoldState.ERASED:
        raise EndedByPurge(ERASED_CHARGE)
    if not hold.charged:
        raise RequestInvalid("Nothing was charged for this call: there is nothing to refund.")
    operation = Refund(hold_id, hold.account_id, note=reason)
    (result,) = await ledger.execute(await raw(session), [operation])
    if isinstance(result, GatewayError):
        raise result
    assert isinstance(result, Closed)  # noqa: S101  # the only other answer to a Refund
    if job is not None:
        job.credits_refunded = job.credits_cost
        session.add(job)
    return Refunded(hold.account_id, result.charged, result.available, result.repeated)
