"""The ledger's vocabulary: what can be asked of it, what it knows, and what it answers.

Double entry: every movement is a transaction of signed lines that sum to zero. `available` and `held` belong to an
account; `revenue`, `grants`, `adjustments` and `written_off` to the system. `domain/decisions.py` decides,
`db/ledger.py` reads and writes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.errors import GatewayError
from domain.limits import NO_LIMITS, Left, Limits, Used
from domain.meters import TokenPrices
from domain.pricing import FlatTerms, TextTerms, Usage
from domain.records import record
from domain.usage import UsageEntry

LEASE = timedelta(seconds=30)
"""How long a chat call's hold outlives the last sign of life of the process that owns it."""
REMEMBERED = timedelta(hours=24)
"""How long an `Idempotency-Key` is, unless the operator says otherwise."""


class HoldState(StrEnum):
    OPEN = "open"
    SETTLED = "settled"
    VOID = "void"


class TransactionKind(StrEnum):
    HOLD = "hold"
    EXTEND = "extend"
    CHARGE = "charge"
    RELEASE = "release"
    GRANT = "grant"
    REFUND = "refund"
    ADJUST = "adjust"


class LedgerAccount(StrEnum):
    AVAILABLE = "available"
    HELD = "held"
    REVENUE = "revenue"
    GRANTS = "grants"
    ADJUSTMENTS = "adjustments"
    WRITTEN_OFF = "written_off"


class ClosedBy(StrEnum):
    CALL = "call"
    """The API process that made the call."""
    SWEEPER = "sweeper"
    """The lease had run out."""
    JOB = "job"
    """A media job's workflow, or the reconciler behind it."""


@dataclass(slots=True)
class Account:
    id: UUID
    available: int
    held: int
    open_holds: int
    movements: int = 0  # the position of its last transaction
    moved_at: datetime | None = None  # that one's time: the next batch's is later
    suspended: bool = False
    plan_active: bool = False
    recognise_retries: bool = False
    """A stock SDK's retry of a call that still runs, or was just charged, is answered with that call."""


@dataclass(slots=True)
class Key:
    id: UUID
    account_id: UUID
    scopes: frozenset[str]
    dead: bool = False  # revoked or expired, as is every secret of it then
    limits: Limits = NO_LIMITS
    used: Used = field(default_factory=Used)


@record
class Secret:
    """A key by the digest of one of its tokens."""

    key_id: UUID
    dead: bool = False


@record
class IdempotencyClaim:
    """An `Idempotency-Key`, as the ledger sees it: keyed hashes alone."""

    scope: bytes  # of the endpoint and the key
    fingerprint: bytes  # of the request
    adopts: bool = True
    """False for the first attempt of a recognised retry: it begins anew, whatever was before."""
    implicit: bool = False
    """No `Idempotency-Key` was sent: counts only for an account that has its SDK's retries recognised."""
    remembered: timedelta = REMEMBERED
    previous: tuple[tuple[bytes, bytes], ...] = ()
    """Scope and fingerprint of the same request by each previous secret."""

    @property
    def identities(self) -> tuple[tuple[bytes, bytes], ...]:
        """Every scope under which this request may be recorded, with its fingerprint there."""
        return ((self.scope, self.fingerprint), *self.previous)


@record
class IdempotencyRecord:
    """What a claim was used for before, while that is remembered."""

    fingerprint: bytes
    hold_id: UUID
    sealed: bytes | None
    remembered: timedelta = REMEMBERED


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
    """None for a flat price: the hold's amount is the charge."""
    input_bound: int = 0
    input_count: int = 0
    output_limit: int | None = None
    choices: int = 1
    tokens_taken: int = 0
    """Out of its key's tokens per minute, at `tokens_limit`: what is not used goes back at the same."""
    tokens_limit: int | None = None
    relayed_output: int = 0
    charged: int = 0
    written_off: int = 0
    refunded: int = 0
    lease_until: datetime | None = None
    created_at: datetime | None = None
    closed_at: datetime | None = None
    closed_by: ClosedBy | None = None
    max_credits: int | None = None  # the most that its caller wants to be charged


@dataclass(slots=True)
class State:
    """Everything that a batch of operations may look at, read under lock."""

    now: datetime
    accounts: dict[UUID, Account] = field(default_factory=dict)
    keys: dict[UUID, Key] = field(default_factory=dict)
    secrets: dict[bytes, Secret] = field(default_factory=dict)
    claims: dict[tuple[UUID, bytes], IdempotencyRecord] = field(default_factory=dict)
    """By account and scope."""
    holds: dict[UUID, Hold] = field(default_factory=dict)
    cut: set[UUID] = field(default_factory=set)
    """Holds to be renewed whose key was revoked, or whose account was suspended, since they were placed."""
    refs: dict[str, tuple[UUID, int]] = field(default_factory=dict)
    """Transactions already made under an external reference: account and amount."""


@record
class Admit:
    """Authenticate a key and take one of its requests, before work is done for it. Asked again: one more."""

    digest: bytes
    scope: str
    ceiling: Limits = NO_LIMITS


@record
class Reserve:
    """Authenticate the caller and hold the bound of a call. The caller is a key's digest, or a known account."""

    hold_id: UUID
    scope: str
    kind: str
    model: str
    terms: TextTerms | FlatTerms
    digest: bytes | None = None
    account_id: UUID | None = None
    lease: timedelta | None = LEASE
    """None for media jobs: only their own paths end them."""
    pro_only: bool = False
    ceiling: Limits = NO_LIMITS
    """The operator's maximum of every limit."""
    claim: IdempotencyClaim | None = None
    implicit: Callable[[], IdempotencyClaim] | None = None
    """What a retry of this call would claim: made only for an account that has those recognised."""
    max_credits: int | None = None
    """The caller's own bound of this call: it never holds more, nor is charged more."""
    allowance: int | None = None  # what is left of a visitor's day
    admitted: bool = False  # an `Admit` has taken its request already


@record
class Renew:
    """A sign of life with the output tokens that were relayed so far."""

    hold_id: UUID
    relayed_output: int
    lease: timedelta = LEASE


@record
class Settle:
    """Charge a hold, once. `usage` is None for a flat price."""

    hold_id: UUID
    account_id: UUID
    usage: Usage | None
    minimum: bool = True
    """False when the stream broke or its client left: no minimum, and never above the hold."""
    closed_by: ClosedBy = ClosedBy.CALL
    sealed: bytes | None = None
    """The answer, for a replay under the call's claim: readable to whoever sends the same token and key again."""
    provider: str | None = None
    cost: int | None = None
    """What that provider bills us, in billionths of a credit. None: not known."""
    capped: bool = False
    """Its client had left before the provider finished: never above the hold."""


@record
class Extend:
    """Hold more for a stream that goes on: up to `output_limit` tokens of output in each choice."""

    hold_id: UUID
    account_id: UUID
    output_limit: int


@record
class Void:
    """Release a hold unless it was settled. One that was never placed gets a tombstone that a late `Reserve` meets."""

    hold_id: UUID
    account_id: UUID
    kind: str
    model: str
    closed_by: ClosedBy = ClosedBy.CALL


@record
class Sweep:
    """Settle or release a hold whose lease has run out; leave any other alone."""

    hold_id: UUID
    account_id: UUID


@record
class Refund:
    """Undo a hold's charge, once; release it when it is still open. The charge stays visible beside its refund."""

    hold_id: UUID
    account_id: UUID
    closed_by: ClosedBy = ClosedBy.CALL
    note: str | None = None
    """Why: kept on the transaction, and shown to the account's owner."""


@record
class Grant:
    """Give credits. The same `ref` gives them once."""

    account_id: UUID
    amount: int
    ref: str


@record
class Adjust:
    """Correct a balance by the operator's hand, never to below zero. The same `ref` does it once."""

    account_id: UUID
    amount: int
    ref: str
    note: str


Operation = Admit | Reserve | Renew | Extend | Settle | Void | Sweep | Refund | Grant | Adjust


@record
class Admitted:
    account_id: UUID
    available: int
    held: int
    requests: Left | None
    tokens: Left | None


@record
class Reserved:
    hold_id: UUID
    account_id: UUID
    key_id: UUID | None
    amount: int
    output_limit: int | None
    available: int
    held: int
    requests: Left | None = None
    tokens: Left | None = None
    claimed: bool = False  # its claim was recorded: its answer is to be sealed when it settles


@record
class Replay:
    """The claim was used by a call that has ended and was charged, or by a job: this is it."""

    hold_id: UUID
    account_id: UUID
    sealed: bytes | None
    charged: int
    available: int
    requests: Left | None = None
    tokens: Left | None = None


@record
class Extended:
    output_limit: int
    amount: int
    available: int


@record
class Closed:
    """A hold's end. `charged` is 0 for a released one; `repeated` when it had ended before."""

    state: HoldState
    charged: int
    written_off: int
    available: int
    held: int
    repeated: bool = False


@record
class Renewed:
    lease_until: datetime | None
    cut: bool = False
    """Its key was revoked or its account suspended meanwhile: no more is to be relayed."""


@record
class Granted:
    """What a grant or an adjustment left."""

    available: int
    repeated: bool


Answer = Admitted | Reserved | Replay | Extended | Closed | Renewed | Granted
Result = Answer | GatewayError


@record
class Posting:
    book: LedgerAccount
    amount: int


@record
class Transaction:
    kind: TransactionKind
    account_id: UUID
    hold_id: UUID | None
    ref: str | None
    lines: tuple[Posting, ...]
    note: str | None
    position: int
    created_at: datetime


@dataclass(slots=True)
class Changes:
    placed: dict[UUID, Hold] = field(default_factory=dict)
    changed: dict[UUID, Hold] = field(default_factory=dict)
    accounts: dict[UUID, Account] = field(default_factory=dict)
    keys: dict[UUID, Key] = field(default_factory=dict)
    claims: dict[tuple[UUID, bytes], IdempotencyRecord] = field(default_factory=dict)
    sealed: dict[UUID, bytes] = field(default_factory=dict)
    """Answers to keep, by the hold whose claim they are for."""
    transactions: list[Transaction] = field(default_factory=list)
    usage: list[UsageEntry] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.placed or self.changed or self.accounts or self.keys or self.transactions)
