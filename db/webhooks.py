"""Webhook endpoints and their secrets, and the events that are written for them. The caller commits."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, or_, text
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import accounts
from db.media_tables import MediaJobRow
from db.tables import AccountRow
from db.webhook_tables import EventRow, WebhookEndpointRow, WebhookSecretRow
from domain.errors import NotFound
from domain.media import State
from domain.webhooks import ENDED, EventType

NO_ENDPOINT = "There is no such webhook endpoint in this account."
_RECORD = text("SELECT record_event(:account, :type, :subject, CAST(:data AS jsonb))")


async def record_event(
    session: AsyncSession, account_id: UUID, kind: EventType, subject: UUID, data: Mapping[str, Any]
) -> int:
    """Write what happened, for everybody who wants to know it. Return to how many it will be sent."""
    values = {"account": account_id, "type": kind.value, "subject": subject, "data": orjson.dumps(dict(data)).decode()}
    await session.flush()
    return int((await (await session.connection()).execute(_RECORD, values)).scalar_one())


async def record_end(session: AsyncSession, job: MediaJobRow) -> None:
    """Write that a media job has ended, and what was charged for it."""
    data = {"job_id": str(job.id), "kind": job.kind, "status": job.state, "sequence": 1}
    charged = {"credits_charged": job.credits_cost - job.credits_refunded}
    await record_event(session, job.account_id, ENDED[State(job.state)], job.id, data | charged)


async def add_event(session: AsyncSession, event: EventRow) -> None:
    """Write an event for one receiver."""
    session.add(event)
    await session.flush()


async def endpoints(session: AsyncSession, account_id: UUID) -> Sequence[WebhookEndpointRow]:
    """Return the endpoints of the account's present epoch, the newest first."""
    own = select(WebhookEndpointRow).where(
        WebhookEndpointRow.account_id == account_id,
        WebhookEndpointRow.epoch == await accounts.epoch(session, account_id),
    )
    return (await session.exec(own.order_by(col(WebhookEndpointRow.id).desc()))).all()


async def endpoint(
    session: AsyncSession, account_id: UUID, endpoint_id: UUID, *, lock: bool = False
) -> WebhookEndpointRow:
    """Raises `NotFound`, also for another account's, and for one that a purge erases."""
    query = select(WebhookEndpointRow).where(
        WebhookEndpointRow.id == endpoint_id, WebhookEndpointRow.account_id == account_id
    )
    row = (await session.exec(query.with_for_update() if lock else query)).one_or_none()
    if row is None or row.epoch < await accounts.epoch(session, account_id):
        raise NotFound(NO_ENDPOINT)
    return row


async def count(session: AsyncSession, account_id: UUID) -> int:
    query = select(func.count()).select_from(WebhookEndpointRow).where(WebhookEndpointRow.account_id == account_id)
    return (await session.exec(query)).one()


async def remove(session: AsyncSession, row: WebhookEndpointRow) -> None:
    """Delete an endpoint, with its secrets and deliveries."""
    await session.exec(delete(WebhookEndpointRow).where(col(WebhookEndpointRow.id) == row.id))


async def secrets(session: AsyncSession, account_id: UUID, endpoint_id: UUID | None) -> Sequence[WebhookSecretRow]:
    """Return the live secrets of an endpoint, or of the account for URLs of jobs: the newest first."""
    query = select(WebhookSecretRow).where(
        WebhookSecretRow.account_id == account_id,
        WebhookSecretRow.epoch == await accounts.epoch(session, account_id),
        col(WebhookSecretRow.endpoint_id).is_(None)
        if endpoint_id is None
        else WebhookSecretRow.endpoint_id == endpoint_id,
        or_(col(WebhookSecretRow.expires_at).is_(None), col(WebhookSecretRow.expires_at) > func.now()),
    )
    return (await session.exec(query.order_by(col(WebhookSecretRow.id).desc()))).all()


async def end_secrets(session: AsyncSession, rows: Sequence[WebhookSecretRow], at: datetime) -> None:
    """Let the newest secret live until `at`, and no older one any longer: two are live at most."""
    for place, row in enumerate(rows):
        if place == 0:
            row.expires_at = at
            session.add(row)
        else:
            await session.exec(delete(WebhookSecretRow).where(col(WebhookSecretRow.id) == row.id))
    await session.flush()


async def credits_low(session: AsyncSession, account_id: UUID) -> int | None:
    query = select(AccountRow.credits_low).where(AccountRow.id == account_id)
    return (await session.exec(query)).one()


async def set_credits_low(session: AsyncSession, account_id: UUID, bound: int | None) -> None:
    statement = text("UPDATE accounts SET credits_low = :bound WHERE id = :account")
    await (await session.connection()).execute(statement, {"bound": bound, "account": account_id})
