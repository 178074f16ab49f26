"""Webhook endpoints of all accounts and their deliveries, for operators. Nothing that is sealed is opened."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.webhook_tables import EventRow, WebhookDeliveryRow, WebhookEndpointRow
from domain.errors import NotFound
from domain.webhooks import DeliveryState


async def endpoints(
    session: AsyncSession, account_id: UUID | None, limit: int
) -> Sequence[tuple[WebhookEndpointRow, int]]:
    """Return endpoints, the newest first, and how many deliveries wait for each."""
    query = select(WebhookEndpointRow)
    if account_id is not None:
        query = query.where(WebhookEndpointRow.account_id == account_id)
    page = (await session.exec(query.order_by(col(WebhookEndpointRow.id).desc()).limit(limit))).all()
    waiting = select(WebhookDeliveryRow.endpoint_id, func.count()).where(
        col(WebhookDeliveryRow.endpoint_id).in_([row.id for row in page]),
        WebhookDeliveryRow.state == DeliveryState.PENDING,
    )
    counts = dict((await session.exec(waiting.group_by(col(WebhookDeliveryRow.endpoint_id)))).all())
    return [(row, counts.get(row.id, 0)) for row in page]


async def endpoint(session: AsyncSession, endpoint_id: UUID, *, lock: bool = False) -> WebhookEndpointRow:
    """Raises `NotFound`."""
    query = select(WebhookEndpointRow).where(WebhookEndpointRow.id == endpoint_id)
    row = (await session.exec(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFound("There is no such webhook endpoint.")
    return row


async def deliveries(
    session: AsyncSession, endpoint_id: UUID, limit: int
) -> Sequence[tuple[WebhookDeliveryRow, EventRow]]:
    """Return the newest deliveries to an endpoint."""
    query = (
        select(WebhookDeliveryRow, EventRow)
        .join(EventRow, col(EventRow.id) == col(WebhookDeliveryRow.event_id))
        .where(WebhookDeliveryRow.endpoint_id == endpoint_id)
    )
    return (await session.exec(query.order_by(col(WebhookDeliveryRow.id).desc()).limit(limit))).all()


async def owner_of(session: AsyncSession, delivery_id: UUID) -> UUID:
    """Return the account of a delivery. Raises `NotFound`."""
    query = select(WebhookDeliveryRow.account_id).where(WebhookDeliveryRow.id == delivery_id)
    account_id = (await session.exec(query)).one_or_none()
    if account_id is None:
        raise NotFound("There is no such webhook delivery.")
    return account_id
