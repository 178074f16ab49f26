"""A hold: credits set aside for one call or job."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.meters import TokenPrices

LEASE = timedelta(seconds=30)
"""How long a chat call's hold outlives the last sign of life of the process that owns it."""


class HoldState(StrEnum):
    OPEN = "open"
    SETTLED = "settled"
    VOID = "void"
    ERASED = "erased"
    """A tombstone: a purge has erased the call."""


class ClosedBy(StrEnum):
    CALL = "call"
    """The API process that made the call."""
    SWEEPER = "sweeper"
    """The lease had run out."""
    JOB = "job"
    """A media job's workflow, or the reconciler behind it."""


@dataclass(slots=True)
class Hold:
    """Credits set aside for one call or job. Carries all that is needed to settle it without the call."""

    id: UUID
    account_id: UUID
    key_id: UUID | None
    kind: str
    model: str
    state: HoldState
    amount: int
    price_version: str = ""
    prices: TokenPrices | None = None
    """None for a flat price. The charge is then the hold's amount."""
    input_bound: int = 0
    input_count: int = 0
    output_limit: int | None = None
    choices: int = 1
    tokens_taken: int = 0
    """Tokens taken from the key's tokens per minute, at `tokens_limit`. Unused ones go back at the same limit."""
    tokens_limit: int | None = None
    account_tokens_limit: int | None = None
    """The account's tokens per minute, in the same way."""
    ancestor_tokens_limits: list[int | None] | None = None
    """Those of each ancestor of its key. None: no ancestor counts it."""
    relayed_output: int = 0
    charged: int = 0
    written_off: int = 0
    refunded: int = 0
    lease_until: datetime | None = None
    created_at: datetime | None = None
    closed_at: datetime | None = None
    closed_by: ClosedBy | None = None
    max_credits: int | None = None
    """The most that its caller wants to be charged."""
    epoch: int = 1
    """Its account's epoch when it was placed. A purge begins a new one, and cuts the holds of those before."""
