"""Visitors: people without an account, who send some messages a UTC day to the models tagged `free`.

A visitor is known by a signed cookie and by the network of the address. The allowance holds for each of them. The
operator's house account pays. Pure.
"""

import base64
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from domain.catalog import Modality, Model
from domain.limits import Left, Limits
from domain.records import record
from domain.secrets import DerivedKeys

SCOPES = frozenset({"chat"})
FREE = "free"
"""The tag of the models that visitors may call."""
ID_BYTES = 16
KEY_BYTES = 32
_FORM = re.compile(r"(\d{4}-\d{2}-\d{2})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})")


@record
class VisitorRules:
    """What the operator allows visitors."""

    messages_day: int = 20
    """For each of them. 0: there are no visitors."""
    credits_day: int = 500_000
    """The most that all of them together may cost in a day."""
    max_tokens: int = 1024
    """The longest answer."""
    max_body_bytes: int = 32 * 1024
    concurrent: int = 2
    """Messages of one visitor that a process answers at a time. More wait for a place."""
    concurrent_all: int = 32
    """Messages of all visitors that are answered at a time."""

    @property
    def limits(self) -> Limits:
        """The limits of the house account."""
        return Limits(concurrent=self.concurrent_all)


@record
class Allowance:
    """What a visitor has of the day."""

    limit: int
    used: int
    resets_at: datetime

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    def left(self, now: datetime) -> Left:
        return Left(self.limit, self.remaining, max(timedelta(0), self.resets_at - now))


def end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def may_call(model: Model) -> bool:
    """Tell whether a model is for visitors."""
    return FREE in model.tags and model.modality is Modality.TEXT and not model.pro_only


@dataclass(frozen=True, slots=True)
class VisitorCookies:
    """Writes and reads the value of a visitor's cookie: a random id of one UTC day, signed."""

    keys: DerivedKeys = field(repr=False)

    def written(self, visitor_id: UUID, day: date) -> str:
        head = f"{day.isoformat()}.{_base64(visitor_id.bytes)}"
        return f"{head}.{_signature(self.keys.current, head)}"

    def read(self, written: str, day: date) -> UUID | None:
        """Return the id of a cookie of this day that this server signed. None for any other text."""
        parts = _FORM.fullmatch(written)
        if parts is None or parts[1] != day.isoformat():
            return None
        head = f"{parts[1]}.{parts[2]}"
        if not any(hmac.compare_digest(_signature(key, head), parts[3]) for key in self.keys.every):
            return None
        return UUID(bytes=base64.urlsafe_b64decode(f"{parts[2]}=="))


def digests(key: bytes, visitor_id: UUID, network: str) -> tuple[bytes, bytes]:
    """Return what the cookie and the network are counted under. Without the day's key, nobody can link them to it."""
    return (
        hmac.digest(key, b"visitor\0" + visitor_id.bytes, "sha256"),
        hmac.digest(key, b"network\0" + network.encode(), "sha256"),
    )


def _signature(key: bytes, head: str) -> str:
    return _base64(hmac.digest(key, head.encode(), "sha256"))


def _base64(plain: bytes) -> str:
    return base64.urlsafe_b64encode(plain).rstrip(b"=").decode()
