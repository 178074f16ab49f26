"""Webhook endpoints of an account: made, changed, tested, and their secrets rotated.

URLs and secrets are sealed with the account's data key. A secret is in one answer only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypedDict
from uuid import UUID

import orjson

from db import accounts, deliveries, idempotency
from db import webhook_content as content
from db import webhooks as stored
from db.data_keys import ContentKey, Sealing
from db.engine import Database, Session
from db.webhook_tables import EventRow, WebhookDeliveryRow, WebhookEndpointRow, WebhookSecretRow
from domain.errors import ReplayGone, RequestInvalid
from domain.webhooks import OVERLAP, DeliveryState, DisabledReason, EventType
from gateway.idempotency import IdempotentRequest
from gateway.ids import new_id


@dataclass(frozen=True, slots=True)
class LiveSecret:
    """A secret, without itself."""

    created_at: datetime
    expires_at: datetime | None
    """Until then it signs beside the newest one. None: it is the newest."""


@dataclass(frozen=True, slots=True)
class LastDelivery:
    id: UUID
    state: str
    created_at: datetime | None
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    id: UUID
    url: str = field(repr=False)
    description: str | None = field(repr=False)
    types: list[str] | None
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: str | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime
    secrets: Sequence[LiveSecret] = field(default=(), repr=False)
    last_delivery: LastDelivery | None = None


@dataclass(frozen=True, slots=True)
class EndpointOrder:
    url: str = field(repr=False)
    description: str | None = field(default=None, repr=False)
    types: list[str] | None = None
    enabled: bool = True


class EndpointEdit(TypedDict, total=False):
    """What a change sets: all that is in it."""

    url: str
    description: str | None
    types: list[str] | None
    enabled: bool


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    credits_low: int | None
    secrets: Sequence[LiveSecret] = field(repr=False)


Check = Callable[[str], None]
"""Raises `RequestInvalid` for a URL that may not be reached."""


class Webhooks:
    def __init__(self, database: Database, sealing: Sealing, check: Check, max_endpoints: int) -> None:
        self._database, self._sealing = database, sealing
        self._check, self._max_endpoints = check, max_endpoints

    def require_url(self, url: str, param: str) -> None:
        """Raises `RequestInvalid` for a URL that can be refused by its text."""
        try:
            self._check(url)
        except RequestInvalid as refused:
            raise RequestInvalid(f"'{param}': {refused.message}", param=param) from None

    async def listed(self, account_id: UUID) -> list[Endpoint]:
        """List the endpoints, the newest first."""
        async with self._database.reading() as session:
            rows = await stored.endpoints(session, account_id)
            last = await deliveries.last_of(session, [row.id for row in rows])
            key = await self._sealing.current(session, account_id)
            return [await _endpoint(session, key, row, last.get(row.id)) for row in rows if row.epoch == key.epoch]

    async def find(self, account_id: UUID, endpoint_id: UUID) -> Endpoint:
        """Raises `NotFound`."""
        async with self._database.reading() as session:
            return await self._shown(session, await stored.endpoint(session, account_id, endpoint_id))

    async def create(
        self, account_id: UUID, order: EndpointOrder, idempotent: IdempotentRequest | None
    ) -> tuple[Endpoint, str, bool]:
        """Return a new endpoint with its secret. A repeat of the request returns the same ones, and True."""
        self.require_url(order.url, "url")
        async with self._database.transaction(account=account_id) as session:
            await accounts.lock(session, account_id)
            if idempotent and (record := await idempotency.find(session, account_id, idempotent.claim)):
                opened = idempotent.opened(record.sealed) if record.sealed is not None else None
                if opened is None:
                    raise ReplayGone("The endpoint was made before, and its secret is shown once. Rotate the secret.")
                row = await stored.endpoint(session, account_id, record.hold_id)
                return await self._shown(session, row), str(opened["secret"]), True
            if await stored.count(session, account_id) >= self._max_endpoints:
                raise RequestInvalid(
                    f"An account has at most {self._max_endpoints} webhook endpoints. Delete one first."
                )
            key, now = await self._sealing.current(session, account_id), datetime.now(UTC)
            row = _new_row(key, order, now)
            session.add(row)
            await session.flush()
            secret = await content.add_secret(session, key, row.id, now)
            if idempotent:
                sealed = idempotent.sealed(orjson.dumps({"secret": secret}))
                await idempotency.remember(session, account_id, idempotent.claim, row.id, sealed)
            return await self._shown(session, row), secret, False

    async def change(self, account_id: UUID, endpoint_id: UUID, edit: EndpointEdit) -> Endpoint:
        """In force from the next attempt on, also of what is pending. Raises `NotFound`."""
        if "url" in edit:
            self.require_url(edit["url"], "url")
        async with self._database.transaction(account=account_id) as session:
            await accounts.lock(session, account_id)
            row = await stored.endpoint(session, account_id, endpoint_id, lock=True)
            key = await self._sealing.current(session, account_id)
            url, description = content.open_endpoint(key, row)
            row.sealed = content.seal_endpoint(key, row.id, edit.get("url", url), edit.get("description", description))
            row.types = edit.get("types", row.types)
            row.updated_at = datetime.now(UTC)
            if edit.get("enabled", row.enabled) != row.enabled:
                await _switch(session, row, enabled=not row.enabled)
            session.add(row)
            await session.flush()
            return await self._shown(session, row)

    async def delete(self, account_id: UUID, endpoint_id: UUID) -> None:
        """Delete it with its secrets and its log. What is pending is not sent. Raises `NotFound`."""
        async with self._database.transaction(account=account_id) as session:
            await accounts.lock(session, account_id)
            await deliveries.lock_all(session, account_id, endpoint_id)
            await stored.remove(session, await stored.endpoint(session, account_id, endpoint_id, lock=True))
            await idempotency.forget_answer(session, account_id, endpoint_id)

    async def rotate(self, account_id: UUID, endpoint_id: UUID | None, overlap: timedelta = OVERLAP) -> str:
        """Return a new secret, of an endpoint or of the account for URLs of jobs. The one before signs until then."""
        async with self._database.transaction(account=account_id) as session:
            await accounts.lock(session, account_id)
            if endpoint_id is not None:
                await stored.endpoint(session, account_id, endpoint_id, lock=True)
            now = datetime.now(UTC)
            await stored.end_secrets(session, await stored.secrets(session, account_id, endpoint_id), now + overlap)
            return await content.add_secret(session, await self._sealing.current(session, account_id), endpoint_id, now)

    async def test(self, account_id: UUID, endpoint_id: UUID) -> UUID:
        """Send a test event to an endpoint that is enabled. Return the delivery. Raises `NotFound`."""
        async with self._database.transaction(account=account_id) as session:
            await accounts.lock(session, account_id)
            row = await stored.endpoint(session, account_id, endpoint_id, lock=True)
            if not row.enabled:
                raise RequestInvalid("This endpoint is switched off. Switch it on first.", param="enabled")
            event_id, delivery_id, now = new_id(), new_id(), datetime.now(UTC)
            event = EventRow(
                id=event_id,
                account_id=account_id,
                epoch=row.epoch,
                type=EventType.WEBHOOK_TEST,
                subject=row.id,
                data={"endpoint_id": str(row.id), "sequence": 1},
                created_at=now,
            )
            await stored.add_event(session, event)
            delivery = WebhookDeliveryRow(
                id=delivery_id,
                account_id=account_id,
                epoch=row.epoch,
                event_id=event_id,
                endpoint_id=row.id,
                state=DeliveryState.PENDING,
                created_at=now,
                next_attempt_at=now,
            )
            await deliveries.add(session, delivery)
            return delivery_id

    async def settings(self, account_id: UUID) -> WebhookSettings:
        async with self._database.reading() as session:
            bound = await stored.credits_low(session, account_id)
            return WebhookSettings(bound, _live(await stored.secrets(session, account_id, None)))

    async def set_credits_low(self, account_id: UUID, bound: int | None) -> None:
        """Set below which balance, held credits included, `credits.low` is sent: once each time it falls below."""
        async with self._database.transaction(account=account_id) as session:
            await accounts.lock(session, account_id)
            await stored.set_credits_low(session, account_id, bound)

    async def _shown(self, session: Session, row: WebhookEndpointRow) -> Endpoint:
        last = await deliveries.last_of(session, [row.id])
        return await _endpoint(session, await self._sealing.current(session, row.account_id), row, last.get(row.id))


def _new_row(key: ContentKey, order: EndpointOrder, now: datetime) -> WebhookEndpointRow:
    endpoint_id = new_id()
    return WebhookEndpointRow(
        id=endpoint_id,
        account_id=key.account_id,
        epoch=key.epoch,
        sealed=content.seal_endpoint(key, endpoint_id, order.url, order.description),
        types=order.types,
        enabled=order.enabled,
        disabled_at=None if order.enabled else now,
        disabled_reason=None if order.enabled else DisabledReason.OWNER,
        created_at=now,
        updated_at=now,
    )


async def _switch(session: Session, row: WebhookEndpointRow, *, enabled: bool) -> None:
    row.enabled, row.failing_since = enabled, None
    row.disabled_at = None if enabled else datetime.now(UTC)
    row.disabled_reason = None if enabled else DisabledReason.OWNER
    if not enabled:
        await deliveries.cancel_pending(session, row.id)


def _live(rows: Sequence[WebhookSecretRow]) -> list[LiveSecret]:
    return [LiveSecret(row.created_at, row.expires_at) for row in rows]


async def _endpoint(
    session: Session, key: ContentKey, row: WebhookEndpointRow, last: WebhookDeliveryRow | None
) -> Endpoint:
    url, description = content.open_endpoint(key, row)
    return Endpoint(
        id=row.id,
        url=url,
        description=description,
        types=row.types,
        enabled=row.enabled,
        disabled_at=row.disabled_at,
        disabled_reason=row.disabled_reason,
        failing_since=row.failing_since,
        created_at=row.created_at,
        updated_at=row.updated_at,
        secrets=_live(await stored.secrets(session, row.account_id, row.id)),
        last_delivery=None
        if last is None
        else LastDelivery(last.id, last.state, last.created_at, last.next_attempt_at),
    )
