"""What of webhooks is sealed with the account's data key: URLs, secrets and bodies. The caller commits."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from db import webhooks
from db.data_keys import ContentKey
from db.webhook_tables import EventRow, WebhookDeliveryRow, WebhookEndpointRow, WebhookSecretRow
from domain.ids import uuid7
from domain.webhooks import SECRET_BYTES, DeliveryState, body, secret_of


@dataclass(frozen=True, slots=True)
class Target:
    """The receiver of what one job or purge tells."""

    url: str = field(repr=False)
    secrets: Sequence[str] | None = field(default=None, repr=False)
    """None: the account's, as they are at the time of an attempt."""


def _new_id() -> UUID:
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def seal_endpoint(key: ContentKey, endpoint_id: UUID, url: str, description: str | None) -> bytes:
    content = orjson.dumps({"url": url, "description": description})
    return key.seal(content, aad=f"webhook_endpoints|{endpoint_id}")


def open_endpoint(key: ContentKey, row: WebhookEndpointRow) -> tuple[str, str | None]:
    """Return the URL and the description."""
    content = orjson.loads(key.open(row.sealed, aad=f"webhook_endpoints|{row.id}"))
    return content["url"], content["description"]


async def add_secret(session: AsyncSession, key: ContentKey, endpoint_id: UUID | None, now: datetime) -> str:
    """Make a secret and return it. Nothing but this answer has it in the clear."""
    secret_id, secret = _new_id(), secret_of(os.urandom(SECRET_BYTES))
    row = WebhookSecretRow(
        id=secret_id,
        account_id=key.account_id,
        epoch=key.epoch,
        endpoint_id=endpoint_id,
        sealed=key.seal(secret.encode(), aad=f"webhook_secrets|{secret_id}"),
        created_at=now,
    )
    session.add(row)
    await session.flush()
    return secret


async def live_secrets(session: AsyncSession, key: ContentKey, endpoint_id: UUID | None) -> list[str]:
    """Return the secrets that sign, the newest first."""
    rows = await webhooks.secrets(session, key.account_id, endpoint_id)
    return [key.open(row.sealed, aad=f"webhook_secrets|{row.id}").decode() for row in rows]


async def expect(session: AsyncSession, key: ContentKey, subject: UUID, target: Target) -> None:
    """Tell this receiver what becomes of the job or purge, as soon as it has ended. The account is locked."""
    if target.secrets is None and not await webhooks.secrets(session, key.account_id, None):
        await add_secret(session, key, None, datetime.now(UTC))
    delivery_id = _new_id()
    content = orjson.dumps({"url": target.url, "secrets": target.secrets})
    row = WebhookDeliveryRow(
        id=delivery_id,
        account_id=key.account_id,
        epoch=key.epoch,
        subject=subject,
        sealed_target=key.seal(content, aad=f"webhook_deliveries|{delivery_id}"),
        state=DeliveryState.WAITING,
    )
    session.add(row)
    await session.flush()


def open_target(key: ContentKey, row: WebhookDeliveryRow, sealed: bytes) -> Target:
    content = orjson.loads(key.open(sealed, aad=f"webhook_deliveries|{row.id}"))
    return Target(content["url"], content["secrets"])


def body_of(key: ContentKey, event: EventRow) -> bytes:
    """Return the body of an event, and seal it the first time: every attempt sends the same bytes."""
    aad = f"events|{event.id}"
    if event.sealed is not None:
        return key.open(event.sealed, aad=aad)
    assert event.created_at is not None  # noqa: S101  # the database has set it
    content = body(event.type, event.created_at, event.data or {})
    event.sealed, event.data = key.seal(content, aad=aad), None
    return content


def read_body(key: ContentKey, event: EventRow) -> bytes:
    """Return the body of an event. Changes nothing."""
    if event.sealed is not None:
        return key.open(event.sealed, aad=f"events|{event.id}")
    assert event.created_at is not None  # noqa: S101  # the database has set it
    return body(event.type, event.created_at, event.data or {})
