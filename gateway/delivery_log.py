"""The log of an account's webhook deliveries: listed, shown with the body that was sent, and sent again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from db import deliveries as stored
from db import webhook_content as content
from db import webhooks
from db.data_keys import Sealing
from db.engine import Database
from db.webhook_tables import EventRow, WebhookDeliveryRow
from domain.errors import RequestInvalid
from domain.webhooks import DeliveryState, message_id


@dataclass(frozen=True, slots=True)
class Delivery:
    id: UUID
    message_id: str
    event: str
    """Its type."""
    endpoint_id: UUID | None
    """None: it went to the URL of one job."""
    subject: UUID | None
    """The job, key or purge that the event is about."""
    state: str
    attempts: Sequence[dict[str, Any]] = field(repr=False)
    created_at: datetime | None
    next_attempt_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    data: Sequence[Delivery]
    next: UUID | None


class DeliveryLog:
    def __init__(self, database: Database, sealing: Sealing) -> None:
        self._database, self._sealing = database, sealing

    async def listed(self, account_id: UUID, endpoint_id: UUID | None, before: UUID | None, limit: int) -> DeliveryPage:
        """List deliveries, the newest first. Raises `NotFound` for an endpoint that is not the account's."""
        async with self._database.reading() as session:
            if endpoint_id is not None:
                await webhooks.endpoint(session, account_id, endpoint_id)
            rows = await stored.listed(session, account_id, endpoint_id, before, limit + 1)
        page = [_delivery(*row) for row in rows[:limit]]
        return DeliveryPage(page, page[-1].id if len(rows) > limit else None)

    async def find(self, account_id: UUID, delivery_id: UUID) -> tuple[Delivery, bytes]:
        """Return a delivery and the body that each attempt sends. Raises `NotFound`."""
        async with self._database.reading() as session:
            row, event = await stored.owned(session, account_id, delivery_id)
            return _delivery(row, event), content.read_body(await self._sealing.current(session, account_id), event)

    async def redeliver(self, account_id: UUID, delivery_id: UUID) -> Delivery:
        """Send it again, with the same id, now and as often as a new one. Raises `NotFound`."""
        async with self._database.transaction() as session:
            row, event = await stored.owned(session, account_id, delivery_id, lock=True)
            if row.endpoint_id is not None:
                endpoint = await webhooks.endpoint(session, account_id, row.endpoint_id)
                if not endpoint.enabled:
                    raise RequestInvalid("This delivery's endpoint is switched off. Switch it on first.")
            elif row.sealed_target is None:
                raise RequestInvalid("The receiver of this delivery is not known any more.")
            row.state, row.round, row.tried = DeliveryState.PENDING, row.round + 1, 0
            row.started_at, row.ended_at, row.next_attempt_at = None, None, datetime.now(UTC)
            session.add(row)
            await session.flush()
            return _delivery(row, event)


def _delivery(row: WebhookDeliveryRow, event: EventRow) -> Delivery:
    return Delivery(
        id=row.id,
        message_id=message_id(event.id),
        event=event.type,
        endpoint_id=row.endpoint_id,
        subject=event.subject,
        state=row.state,
        attempts=row.attempts,
        created_at=row.created_at,
        next_attempt_at=row.next_attempt_at,
        ended_at=row.ended_at,
    )
