"""Deliveries of webhooks: who is to be sent what, and how it went. The caller commits.

Lock order: the account's row, the delivery's, the turns of its account, its endpoint's row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, text
from sqlalchemy import select as select_columns
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from db import accounts
from db.engine import Database
from db.media_tables import MediaJobRow
from db.tables import AccountRow
from db.webhook_tables import EventRow, WebhookDeliveryRow, WebhookEndpointRow
from domain.errors import NotFound
from domain.webhooks import DeliveryKey, DeliveryState

NO_DELIVERY = "There is no such webhook delivery in this account."
START_AGAIN = timedelta(minutes=10)
"""A delivery whose next attempt is so long overdue has lost its workflow."""


async def add(session: AsyncSession, row: WebhookDeliveryRow) -> None:
    session.add(row)
    await session.flush()


async def find(session: AsyncSession, delivery_id: UUID, *, lock: bool = False) -> WebhookDeliveryRow | None:
    """Return a delivery of its account's present epoch."""
    query = select(WebhookDeliveryRow).where(WebhookDeliveryRow.id == delivery_id)
    row = (await session.exec(query.with_for_update() if lock else query)).one_or_none()
    if row is None or row.epoch < await accounts.epoch(session, row.account_id):
        return None
    return row


async def lock_account(session: AsyncSession, delivery_id: UUID) -> None:
    """Lock the account of a delivery as rows lock it that refer to it: a change of its endpoints waits."""
    owner = select(WebhookDeliveryRow.account_id).where(WebhookDeliveryRow.id == delivery_id).scalar_subquery()
    await session.exec(select(AccountRow.id).where(AccountRow.id == owner).with_for_update(read=True, key_share=True))


async def lock_all(session: AsyncSession, account_id: UUID, endpoint_id: UUID) -> None:
    """Lock the deliveries to an endpoint, which end with it."""
    of_it = (WebhookDeliveryRow.account_id == account_id, WebhookDeliveryRow.endpoint_id == endpoint_id)
    query = select(WebhookDeliveryRow.id).where(*of_it).order_by(col(WebhookDeliveryRow.id))
    await session.exec(query.with_for_update())


async def owned(
    session: AsyncSession, account_id: UUID, delivery_id: UUID, *, lock: bool = False
) -> tuple[WebhookDeliveryRow, EventRow]:
    """Raises `NotFound`, also for another account's, and for what has not happened yet."""
    row = await find(session, delivery_id, lock=lock)
    event = None if row is None or row.event_id is None else await session.get(EventRow, row.event_id)
    if row is None or event is None or row.account_id != account_id:
        raise NotFound(NO_DELIVERY)
    return row, event


async def listed(
    session: AsyncSession, account_id: UUID, endpoint_id: UUID | None, before: UUID | None, limit: int
) -> Sequence[tuple[WebhookDeliveryRow, EventRow]]:
    """Return deliveries of the account, or of one endpoint: the newest first, older than `before`."""
    query = (
        select(WebhookDeliveryRow, EventRow)
        .join(EventRow, col(EventRow.id) == col(WebhookDeliveryRow.event_id))
        .where(
            WebhookDeliveryRow.account_id == account_id,
            WebhookDeliveryRow.epoch == await accounts.epoch(session, account_id),
        )
    )
    if endpoint_id is not None:
        query = query.where(WebhookDeliveryRow.endpoint_id == endpoint_id)
    if before is not None:
        query = query.where(WebhookDeliveryRow.id < before)
    return (await session.exec(query.order_by(col(WebhookDeliveryRow.id).desc()).limit(limit))).all()


async def last_of(session: AsyncSession, endpoint_ids: Sequence[UUID]) -> dict[UUID, WebhookDeliveryRow]:
    """Return the newest delivery of each endpoint."""
    rows: dict[UUID, WebhookDeliveryRow] = {}
    for endpoint_id in endpoint_ids:
        query = select(WebhookDeliveryRow).where(WebhookDeliveryRow.endpoint_id == endpoint_id)
        row = (await session.exec(query.order_by(col(WebhookDeliveryRow.id).desc()).limit(1))).one_or_none()
        if row is not None:
            rows[endpoint_id] = row
    return rows


MAX_COUNTED = 2000


def _receiver(row: WebhookDeliveryRow) -> list[Any]:
    """Name the receiver of a delivery. URLs of an account's jobs are one receiver."""
    of_jobs = col(WebhookDeliveryRow.endpoint_id).is_(None)
    one = of_jobs if row.endpoint_id is None else WebhookDeliveryRow.endpoint_id == row.endpoint_id
    return [WebhookDeliveryRow.account_id == row.account_id, one]


async def pending(session: AsyncSession, row: WebhookDeliveryRow) -> int:
    """Count what waits for the receiver of this delivery, up to `MAX_COUNTED`."""
    waiting = select(WebhookDeliveryRow.id).where(*_receiver(row), WebhookDeliveryRow.state == DeliveryState.PENDING)
    return (await session.exec(select(func.count()).select_from(waiting.limit(MAX_COUNTED).subquery()))).one()


async def attempting(session: AsyncSession, row: WebhookDeliveryRow) -> tuple[int, int]:
    """Count the other attempts that are under way: to the receiver of this delivery, and to all of its account."""
    query = select(func.count().filter(*_receiver(row)), func.count()).select_from(WebhookDeliveryRow)
    query = query.where(
        WebhookDeliveryRow.account_id == row.account_id,
        col(WebhookDeliveryRow.attempting_until) > func.now(),
        WebhookDeliveryRow.id != row.id,
    )
    there, of_account = (await session.exec(query)).one()
    return there, of_account


async def lock_turns(session: AsyncSession, account_id: UUID) -> None:
    """Let one attempt of an account after the other count who is under way."""
    statement = text("SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || :account, 0))")
    await (await session.connection()).execute(statement, {"account": str(account_id)})


async def lock_endpoint(session: AsyncSession, row: WebhookDeliveryRow) -> WebhookEndpointRow | None:
    """Return the endpoint of a delivery, locked. None: it goes to a URL of one job or purge."""
    if row.endpoint_id is None:
        return None
    query = select(WebhookEndpointRow).where(WebhookEndpointRow.id == row.endpoint_id)
    return (await session.exec(query.with_for_update())).one()


async def cancel_pending(session: AsyncSession, endpoint_id: UUID) -> int:
    """Send nothing more to an endpoint. What is under way there is locked, and finds it switched off by itself."""
    pending = (
        select(WebhookDeliveryRow.id)
        .where(WebhookDeliveryRow.endpoint_id == endpoint_id, WebhookDeliveryRow.state == DeliveryState.PENDING)
        .with_for_update(skip_locked=True)
    )
    statement = (
        update(WebhookDeliveryRow)
        .where(col(WebhookDeliveryRow.id).in_(pending))
        .values(state=DeliveryState.CANCELLED, ended_at=func.now(), next_attempt_at=None)
    )
    return int((await session.exec(statement)).rowcount)


LATELY = timedelta(minutes=15)
"""Temporal lists a workflow some time after its start. It is asked for those that are younger one by one."""


async def young_workflows(session: AsyncSession, account_id: UUID, epoch: int, limit: int) -> Sequence[Any]:
    """Return ids and rounds of deliveries before an epoch whose workflow was started lately."""
    query = select(WebhookDeliveryRow.id, WebhookDeliveryRow.round).where(
        WebhookDeliveryRow.account_id == account_id,
        WebhookDeliveryRow.epoch < epoch,
        col(WebhookDeliveryRow.started_at) > datetime.now(UTC) - LATELY,
    )
    return (await session.exec(query.order_by(col(WebhookDeliveryRow.started_at).desc()).limit(limit))).all()


async def since_epoch(session: AsyncSession, account_id: UUID, epoch: int) -> set[UUID]:
    """Return the deliveries of an account that a purge with this epoch leaves."""
    query = select(WebhookDeliveryRow.id).where(
        WebhookDeliveryRow.account_id == account_id, WebhookDeliveryRow.epoch >= epoch
    )
    return set((await session.exec(query)).all())


@dataclass(frozen=True, slots=True)
class PendingDeliveries:
    """What `gateway.maintenance` starts."""

    database: Database

    async def due(self, limit: int) -> list[DeliveryKey]:
        """Return deliveries that no workflow was started for, and those whose workflow is lost.

        One of each account, then a second of each, and so on; in random order otherwise.
        """
        late = datetime.now(UTC) - START_AGAIN
        turn = func.row_number().over(partition_by=col(WebhookDeliveryRow.account_id), order_by=func.random())
        row, job = WebhookDeliveryRow, MediaJobRow
        of_delivery: tuple[Any, ...] = (row.id, row.account_id, row.round, row.event_id)
        # Only what is returned is looked up elsewhere: after an hour without Temporal very many are due.
        due = (
            select_columns(*of_delivery, turn.label("turn"))
            .where(
                col(row.state) == DeliveryState.PENDING,
                or_(
                    col(row.started_at).is_(None),
                    and_(col(row.next_attempt_at) < late, col(row.started_at) < late),
                ),
            )
            .order_by("turn", func.random())
            .limit(limit)
            .subquery()
        )
        columns: tuple[Any, ...] = (due.c.id, due.c.account_id, due.c.round, job.request_id, job.traceparent)
        of_event = and_(col(EventRow.account_id) == due.c.account_id, col(EventRow.id) == due.c.event_id)
        of_job = and_(col(job.account_id) == EventRow.account_id, col(job.id) == EventRow.subject)
        query = (
            select_columns(*columns).join(EventRow, of_event).outerjoin(job, of_job).order_by(due.c.turn, func.random())
        )
        async with self.database.reading() as session:
            connection = await session.connection()
            return [DeliveryKey(*row) for row in await connection.execute(query)]

    async def started(self, key: DeliveryKey) -> None:
        statement = (
            update(WebhookDeliveryRow)
            .where(col(WebhookDeliveryRow.id) == key.id, col(WebhookDeliveryRow.round) == key.round)
            .values(started_at=func.now())
        )
        async with self.database.transaction() as session:
            await session.exec(statement)


DELETE_OLD = """
WITH gone AS (
    DELETE FROM events e WHERE e.id = ANY(ARRAY(
        SELECT id FROM events WHERE created_at < :horizon
        AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.event_id = events.id AND d.state = 'pending')
        ORDER BY id LIMIT :batch))
    RETURNING 1)
SELECT count(*) FROM gone
"""


@dataclass(frozen=True, slots=True)
class WebhookPruning:
    """Deletes events and the log of their deliveries when they are old."""

    database: Database
    lifetime: timedelta | None
    """None: for ever."""
    batch: int = 1000

    async def forget(self) -> int:
        async with self.database.transaction() as session:
            gone = 0 if self.lifetime is None else await self._delete(session, datetime.now(UTC) - self.lifetime)
            await (await session.connection()).execute(text("DELETE FROM webhook_secrets WHERE expires_at < now()"))
        return gone

    async def _delete(self, session: AsyncSession, horizon: datetime) -> int:
        values = {"horizon": horizon, "batch": self.batch}
        return int((await (await session.connection()).execute(text(DELETE_OLD), values)).scalar_one())
