"""One attempt of a webhook delivery: who may be sent what now, the request, and what follows from the answer.

An attempt that was killed after its request and before its record is made again: a receiver gets each event at least
once, with one id. No request is made inside a transaction.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from db import deliveries as stored
from db import webhook_content as content
from db import webhooks
from db.data_keys import Sealing
from db.engine import Database, Session
from db.webhook_tables import EventRow, WebhookDeliveryRow, WebhookEndpointRow
from domain.errors import NotFound
from domain.webhooks import MAX_FAILING, Answer, DeliveryState, DisabledReason, EventType, headers, message_id, pause
from gateway.delivery_lanes import Lanes, Turn

CONCURRENT = 4
"""Attempts at a time to one endpoint; to one whose attempts fail, one."""
CONCURRENT_OF_ACCOUNT = 16
"""Attempts at a time to all receivers of one account: many slow ones fill no worker."""
LEASE = timedelta(seconds=40)
"""An attempt takes less. One that was killed is out of the count after this."""
BUSY = timedelta(seconds=1)
"""How long to wait for a place, at least."""
BUSY_EACH = timedelta(milliseconds=250)
"""What each other delivery that waits there adds to the longest wait."""
HISTORY = 60
"""Attempts that are shown, of all rounds together."""


class Sender(Protocol):
    async def deliver(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send it once. Raises nothing that a receiver can bring about."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a workflow does next: come again after `pause`, or end."""

    state: str
    pause: timedelta | None = None


@dataclass(frozen=True, slots=True)
class _Claimed:
    url: str = field(repr=False)
    secrets: list[str] = field(repr=False)
    message_id: str
    body: bytes = field(repr=False)
    began: datetime
    once: bool
    """The URL and its secrets are erased when it has ended."""


_GONE = Step(DeliveryState.CANCELLED)


class Deliveries:
    def __init__(
        self,
        database: Database,
        sealing: Sealing,
        sender: Sender,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database, self._sealing, self._sender, self._now = database, sealing, sender, now
        self.lanes = Lanes()

    async def attempt(self, delivery_id: UUID, round_: int) -> Step:
        """Make the next attempt, if it is due and there is a place for it. Safe to do twice, and late."""
        with self.lanes.turn() as turn:
            claimed = await self._claim(delivery_id, round_, turn)
            if isinstance(claimed, Step):
                return claimed
            signed = headers(claimed.message_id, claimed.began, claimed.secrets, claimed.body)
            began = time.monotonic()
            answer = await self._sender.deliver(claimed.url, signed, claimed.body)
            turn.learn(timedelta(seconds=time.monotonic() - began))
        return await self._record(delivery_id, round_, claimed, answer)

    async def _claim(self, delivery_id: UUID, round_: int, turn: Turn) -> _Claimed | Step:
        async with self._database.transaction() as session:
            row = await stored.find(session, delivery_id, lock=True)
            if row is None or row.round != round_ or row.state != DeliveryState.PENDING:
                return _GONE if row is None else Step(row.state)
            now = self._now()
            due = max(row.next_attempt_at or now, row.attempting_until or now)
            if due > now:
                return Step(row.state, due - now)
            await stored.lock_turns(session, row.account_id)
            endpoint = await stored.lock_endpoint(session, row)
            if endpoint is not None and not endpoint.enabled:
                _end(row, DeliveryState.CANCELLED, now)
                session.add(row)
                return Step(row.state)
            if await _is_crowded(session, row, endpoint) or not turn.take(row.endpoint_id or row.account_id):
                return Step(row.state, _crowded(await stored.pending(session, row)))
            row.attempting_until = now + LEASE
            session.add(row)
            return await self._prepared(session, row, endpoint, now)

    async def _prepared(
        self, session: Session, row: WebhookDeliveryRow, endpoint: WebhookEndpointRow | None, now: datetime
    ) -> _Claimed | Step:
        event = await session.get(EventRow, row.event_id)
        assert event is not None  # noqa: S101  # a pending delivery has one
        try:
            key = await self._sealing.current(session, row.account_id)
        except NotFound:
            return _GONE
        if endpoint is not None:
            url, secrets = content.open_endpoint(key, endpoint)[0], None
        else:
            assert row.sealed_target is not None  # noqa: S101  # it has this or an endpoint
            target = content.open_target(key, row, row.sealed_target)
            url, secrets = target.url, target.secrets
        once, body = secrets is not None, content.body_of(key, event)
        session.add(event)
        if secrets is None:
            secrets = await content.live_secrets(session, key, row.endpoint_id)
        return _Claimed(url, list(secrets), message_id(event.id), body, now, once)

    async def _record(self, delivery_id: UUID, round_: int, claimed: _Claimed, answer: Answer) -> Step:
        async with self._database.transaction() as session:
            if not answer.delivered:  # the endpoint may be switched off, and the account's others told
                await stored.lock_account(session, delivery_id)
            row = await stored.find(session, delivery_id, lock=True)
            if row is None:
                return _GONE
            endpoint = await stored.lock_endpoint(session, row)
            row.attempting_until = None
            row.attempts = [*row.attempts, _noted(claimed.began, answer)][-HISTORY:]
            if row.round == round_ and row.state == DeliveryState.PENDING:
                self._go_on(row, answer)
            if claimed.once and row.ended_at is not None:
                row.sealed_target = None
            session.add(row)
            if endpoint is not None:
                await self._judge(session, endpoint, claimed.began, answer)
            waits = None if row.next_attempt_at is None else max(timedelta(0), row.next_attempt_at - self._now())
            return Step(row.state, waits if row.state == DeliveryState.PENDING else None)

    def _go_on(self, row: WebhookDeliveryRow, answer: Answer) -> None:
        now = self._now()
        row.tried += 1
        if answer.delivered:
            _end(row, DeliveryState.DELIVERED, now)
        elif (after := pause(row.tried, random.random(), answer, now)) is None:  # noqa: S311  # no secret
            _end(row, DeliveryState.FAILED, now)
        else:
            row.next_attempt_at = now + after

    async def _judge(self, session: Session, endpoint: WebhookEndpointRow, began: datetime, answer: Answer) -> None:
        """Switch off an endpoint that is gone, or whose attempts have all failed for days."""
        if answer.delivered:
            endpoint.failing_since = None
        elif endpoint.enabled:
            endpoint.failing_since = endpoint.failing_since or began
            gone, failing = answer.status == 410, began - endpoint.failing_since >= MAX_FAILING
            if gone or failing:
                await disable(session, endpoint, DisabledReason.GONE if gone else DisabledReason.FAILING)
        session.add(endpoint)


async def disable(session: Session, endpoint: WebhookEndpointRow, reason: DisabledReason) -> None:
    """Switch an endpoint off, and tell the account's other endpoints. What is pending there is not sent."""
    endpoint.enabled, endpoint.disabled_at, endpoint.disabled_reason = False, datetime.now(UTC), reason
    session.add(endpoint)
    await session.flush()
    await stored.cancel_pending(session, endpoint.id)
    data = {"endpoint_id": str(endpoint.id), "reason": reason.value, "sequence": 1}
    await webhooks.record_event(session, endpoint.account_id, EventType.WEBHOOK_DISABLED, endpoint.id, data)


def _end(row: WebhookDeliveryRow, state: DeliveryState, now: datetime) -> None:
    row.state, row.ended_at, row.next_attempt_at = state, now, None


async def _is_crowded(session: Session, row: WebhookDeliveryRow, endpoint: WebhookEndpointRow | None) -> bool:
    there, of_account = await stored.attempting(session, row)
    places = 1 if endpoint is not None and endpoint.failing_since else CONCURRENT
    return there >= places or of_account >= CONCURRENT_OF_ACCOUNT


def _crowded(pending: int) -> timedelta:
    return BUSY + BUSY_EACH * pending * random.random()  # noqa: S311  # no secret


def _noted(began: datetime, answer: Answer) -> dict[str, object]:
    latency = None if answer.latency is None else round(answer.latency.total_seconds() * 1000)
    return {"at": began.isoformat(), "status": answer.status, "error": answer.trouble, "latency_ms": latency}
