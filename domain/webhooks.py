"""Webhooks as Standard Webhooks 1.0 has them: events, how a message is signed, when it is tried again. Pure."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson

from domain.media import State
from domain.records import record


class EventType(StrEnum):
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    CREDITS_LOW = "credits.low"
    KEY_REVOKED = "key.revoked"
    PURGE_COMPLETED = "purge.completed"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_TEST = "webhook.test"
    """Sent to the one endpoint that is tested, whatever types it gets."""


ENDED = {
    State.SUCCEEDED: EventType.JOB_SUCCEEDED,
    State.FAILED: EventType.JOB_FAILED,
    State.CANCELLED: EventType.JOB_CANCELLED,
}
"""What the end of a job is called."""


class DeliveryState(StrEnum):
    WAITING = "waiting"
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


class DisabledReason(StrEnum):
    OWNER = "owner"
    OPERATOR = "operator"
    GONE = "gone"
    """It answered 410."""
    FAILING = "failing"
    """Every attempt of `MAX_FAILING` failed."""


@record
class DeliveryKey:
    """What the workflow of a delivery is started with."""

    id: UUID
    account_id: UUID
    round: int
    request_id: str | None = None
    traceparent: str | None = field(default=None, repr=False)
    """Of a job's end: the request that ordered the job, and where exported traces have it."""


@record
class Answer:
    """What became of one attempt. Never a receiver's body."""

    status: int | None = None
    trouble: str | None = None
    """Why there is no status, as a word of ours."""
    latency: timedelta | None = None
    retry_after: str | None = field(default=None, repr=False)

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


SECRET_PREFIX = "whsec_"  # noqa: S105  # of secrets, and none
SECRET_BYTES = 32
OVERLAP = timedelta(hours=24)
"""How long the secret before a rotation signs as well, unless the request says otherwise."""
MAX_OVERLAP = timedelta(days=7)
MAX_FAILING = timedelta(hours=120)
USER_AGENT = "yout-webhooks/1"
PAUSES = tuple(
    timedelta(seconds=seconds) for seconds in (0, 5, 300, 1800, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24)))
)
"""Before each attempt of a round, from the attempt before it on."""
JITTER = 0.2
MAX_RETRY_AFTER = timedelta(hours=24)
_LATER = (429, 503)
"""Statuses that may name a time in `Retry-After`."""
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def secret_of(entropy: bytes) -> str:
    return SECRET_PREFIX + b64encode(entropy).decode()


def message_id(event_id: UUID) -> str:
    """The `webhook-id`: one for each event, the same for each receiver and attempt. A ULID after its prefix."""
    number = event_id.int
    return "msg_" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def body(kind: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    """Return the message. It is made once: each attempt sends the same bytes."""
    timestamp = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return orjson.dumps({"type": kind, "timestamp": timestamp, "data": dict(data)})


def headers(message: str, at: datetime, secrets: Sequence[str], content: bytes) -> dict[str, str]:
    """Return the headers of one attempt, signed with each live secret, the newest first."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((message.encode(), timestamp.encode(), content))
    return {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": message,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{_mac(secret, signed)}" for secret in secrets),
    }


def _mac(secret: str, signed: bytes) -> str:
    key = b64decode(secret.removeprefix(SECRET_PREFIX))
    return b64encode(hmac.new(key, signed, sha256).digest()).decode()


def pause(tried: int, chance: float, answer: Answer | None, now: datetime) -> timedelta | None:
    """Return how long to wait after so many attempts of a round, or None after the last.

    `chance` is a number from 0 to 1 that varies the pause. A receiver that says when to come again is believed, up to
    a day.
    """
    if tried >= len(PAUSES):
        return None
    planned = PAUSES[tried] * (1 + JITTER * (2 * chance - 1))
    wish = None if answer is None or answer.status not in _LATER else retry_after(answer.retry_after, now)
    return planned if wish is None else max(planned, min(wish, MAX_RETRY_AFTER))


def retry_after(text: str | None, now: datetime) -> timedelta | None:
    """Read seconds or a date. None for anything else."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), MAX_RETRY_AFTER.total_seconds()))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter of a date with very long numbers
        return None
    return max(timedelta(0), (at if at.tzinfo else at.replace(tzinfo=UTC)) - now)
