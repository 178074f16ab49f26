"""The ledger's state: what a batch of operations reads under lock, and what it changes.

Double entry: a movement of credits is a transaction. Its signed postings sum to zero. `available` and `held` belong to
an account; `revenue`, `grants`, `adjustments` and `written_off` to the system. `domain/operations.py` has the
operations, `domain/results.py` their results. `domain/decisions.py` decides, `db/ledger.py` reads and writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.conversations import ConversationState
from domain.holds import Hold
from domain.key_rules import NO_RULES, KeyRules
from domain.limits import NO_LIMITS, Limits, Used
from domain.operations import REMEMBERED
from domain.privacy import Privacy
from domain.records import record
from domain.usage import UsageEntry


class TransactionKind(StrEnum):
    HOLD = "hold"
    EXTEND = "extend"
    CHARGE = "charge"
    RELEASE = "release"
    GRANT = "grant"
    REFUND = "refund"
    ADJUST = "adjust"
    PURGE = "purge"
    """The sum of all calls that a purge erased. Only the database's `roll_up` makes one."""


class LedgerAccount(StrEnum):
    AVAILABLE = "available"
    HELD = "held"
    REVENUE = "revenue"
    GRANTS = "grants"
    ADJUSTMENTS = "adjustments"
    WRITTEN_OFF = "written_off"


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
    keep_history: bool = False
    requests_tat: datetime | None = None
    """Of the operator's ceiling, for all keys of the account, as `Used` has them for one key."""
    tokens_tat: datetime | None = None
    epoch: int = 1
    """A purge begins a new one. What belongs to an older one is erased, and writes nothing any more."""


@dataclass(slots=True)
class Key:
    id: UUID
    account_id: UUID
    scopes: frozenset[str]
    dead: bool = False  # revoked or expired, as is every secret of it then
    limits: Limits = NO_LIMITS
    used: Used = field(default_factory=Used)
    models: frozenset[str] | None = None
    """The models that it may call. None: all."""
    strict: bool = False
    privacy: Privacy = Privacy.DEFAULT
    ancestors: tuple[UUID, ...] = ()
    """The key that made it, the one that made that one, and so on. Its calls count on their limits too."""

    @property
    def rules(self) -> KeyRules:
        return KeyRules(self.strict, self.privacy) if self.strict or self.privacy is not Privacy.DEFAULT else NO_RULES


@record
class Secret:
    """A key by the digest of one of its tokens."""

    key_id: UUID
    dead: bool = False
    expires_at: datetime | None = None
    """When the token ends, by a rotation or with its key."""


@record
class IdempotencyRecord:
    """What a claim was used for before, while that is remembered."""

    fingerprint: bytes
    hold_id: UUID
    sealed: bytes | None = field(repr=False)
    epoch: int = 1
    """Of the account, when the claim was made."""
    remembered: timedelta = REMEMBERED


@dataclass(slots=True)
class State:
    """Everything that a batch of operations may look at, read under lock."""

    now: datetime
    accounts: dict[UUID, Account] = field(default_factory=dict)
    keys: dict[UUID, Key] = field(default_factory=dict)
    secrets: dict[bytes, Secret] = field(default_factory=dict, repr=False)
    claims: dict[tuple[UUID, bytes], IdempotencyRecord] = field(default_factory=dict)
    """By account and scope."""
    holds: dict[UUID, Hold] = field(default_factory=dict)
    cut: set[UUID] = field(default_factory=set)
    """Holds to be renewed whose key was revoked, or whose account was suspended, since they were placed."""
    erased: set[UUID] = field(default_factory=set)
    """Holds to be renewed that were placed in an epoch which a purge has ended."""
    conversations: dict[UUID, ConversationState] = field(default_factory=dict)
    """Those to which a call of the batch is to be appended."""
    refs: dict[str, tuple[UUID, int]] = field(default_factory=dict)
    """Transactions already made under an external reference: account and amount."""


@record
class AppendedTurn:
    """Sealed messages of one call, for the positions from `first` on."""

    conversation_id: UUID
    account_id: UUID
    epoch: int
    hold_id: UUID
    first: int
    sealed: Sequence[bytes] = field(repr=False)
    title: bytes | None = field(repr=False)
    """Sealed. None unless the conversation begins with it."""


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
    postings: tuple[Posting, ...]
    note: str | None = field(repr=False)
    position: int
    created_at: datetime


@dataclass(slots=True)
class Changes:
    placed: dict[UUID, Hold] = field(default_factory=dict)
    changed: dict[UUID, Hold] = field(default_factory=dict)
    accounts: dict[UUID, Account] = field(default_factory=dict)
    keys: dict[UUID, Key] = field(default_factory=dict)
    called: set[UUID] = field(default_factory=set)
    """Keys that made a request themselves: those of `keys` that were used."""
    claims: dict[tuple[UUID, bytes], IdempotencyRecord] = field(default_factory=dict)
    sealed: dict[UUID, bytes] = field(default_factory=dict, repr=False)
    """Answers to keep, by the hold whose claim they are for."""
    turns: list[AppendedTurn] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    usage: list[UsageEntry] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.placed or self.changed or self.accounts or self.keys or self.transactions)
