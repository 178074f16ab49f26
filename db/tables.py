"""All tables but those of media jobs. The migrations create them; `db.migrate.check` finds differences.

Only `write_batch` of `db/functions.sql` writes movements. `transactions` and `lines` are append-only, and each
transaction has exactly the postings of its kind. Triggers enforce this; the application cannot disable them
(`db/roles.py`).
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from db.columns import checksum as _checksum
from db.columns import cost as _cost
from db.columns import counts as _counts
from db.columns import epoch as _epoch
from db.columns import money as _money
from db.columns import now as _now
from db.columns import owner as _owner
from db.columns import text_column as _text
from db.columns import time as _time


class AccountRow(SQLModel, table=True):
    """An account owns credits. Its balances are the sums of its postings, written in the same transaction."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("available >= 0", name="available_not_negative"),
        CheckConstraint("held >= 0", name="held_not_negative"),
        CheckConstraint("open_holds >= 0", name="open_holds_not_negative"),
        {"postgresql_with": {"fillfactor": "50"}},
    )
    id: UUID = Field(primary_key=True)
    available: int = Field(default=0, sa_column=_money(0))
    held: int = Field(default=0, sa_column=_money(0))
    open_holds: int = Field(default=0, sa_column=_money(0))
    movements: int = Field(default=0, sa_column=_money(0))
    """The position of its last transaction."""
    moved_at: datetime | None = Field(default=None, sa_column=_time())
    """The time of its last transaction: the next one is later."""
    epoch: int = Field(default=1, sa_column=_epoch())
    suspended_at: datetime | None = Field(default=None, sa_column=_time())
    plan: str | None = Field(default=None, sa_column=_text(nullable=True))
    plan_active: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    plan_until: datetime | None = Field(default=None, sa_column=_time())
    """The first instant at which the plan is not active any more. Null: it has no end yet."""
    recognise_retries: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    keep_history: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """Chats of the native endpoint are kept unless a request says `save: false`."""
    credits_low: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    """Its owner gets an event when the balance, held credits included, falls below this."""
    requests_tat: datetime | None = Field(default=None, sa_column=_time())
    """This and the next column are the state of the operator's rate limits, as a key has it of its own limits."""
    tokens_tat: datetime | None = Field(default=None, sa_column=_time())
    created_at: datetime | None = Field(default=None, sa_column=_now())


class UserRow(SQLModel, table=True):
    """The user who owns an account. A user has one account."""

    __tablename__ = "users"
    id: UUID = Field(primary_key=True)
    account_id: UUID = Field(sa_column=Column(ForeignKey("accounts.id"), nullable=False, unique=True))
    email: str = Field(sa_column=Column(Text, nullable=False, unique=True), repr=False)
    email_verified_at: datetime | None = Field(default=None, sa_column=_time())
    password: str | None = Field(default=None, sa_column=_text(nullable=True), repr=False)
    """An argon2id hash. None: the user has not chosen a password yet."""
    created_at: datetime | None = Field(default=None, sa_column=_now())


class DataKeyRow(SQLModel, table=True):
    """A key that encrypts an account's content. The master secret encrypts it. Deleting it deletes the content."""

    __tablename__ = "data_keys"
    account_id: UUID = Field(sa_column=Column(ForeignKey("accounts.id"), primary_key=True))
    epoch: int = Field(sa_column=Column(BigInteger, primary_key=True))
    wrapped: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True), repr=False)
    wrapped_by: str | None = Field(default=None, sa_column=_text(nullable=True))
    """The id of the key that wrapped it (`Wrapping.current_id`). Null: a version without this column wrapped it."""
    destroyed_at: datetime | None = Field(default=None, sa_column=_time())
    checksum: bytes | None = Field(default=None, sa_column=_checksum())


class ApiKeyRow(SQLModel, table=True):
    """An API key. Its id, name and scopes stay when its secret is rotated."""

    __tablename__ = "api_keys"
    __table_args__ = (
        Index(None, "account_id", "created_at"),
        CheckConstraint("privacy IN ('default', 'strict')", name="privacy"),
    )
    id: UUID = Field(primary_key=True)
    account_id: UUID = Field(foreign_key="accounts.id")
    name: str = Field(sa_column=_text(), repr=False)
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=_now())
    expires_at: datetime | None = Field(default=None, sa_column=_time())
    revoked_at: datetime | None = Field(default=None, sa_column=_time())
    last_used_at: datetime | None = Field(default=None, sa_column=_time())
    limits: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb"))
    )
    requests_tat: datetime | None = Field(default=None, sa_column=_time())
    tokens_tat: datetime | None = Field(default=None, sa_column=_time())
    open_holds: int = Field(default=0, sa_column=_money(0))
    day: date | None = Field(default=None, sa_column=Column(Date, nullable=True))
    day_credits: int = Field(default=0, sa_column=_money(0))
    month: date | None = Field(default=None, sa_column=Column(Date, nullable=True))
    month_credits: int = Field(default=0, sa_column=_money(0))
    models: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text), nullable=True))
    """The models that it may call. Null: all."""
    note: str | None = Field(default=None, sa_column=_text(nullable=True), repr=False)
    strict: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    privacy: str = Field(
        default="default", sa_column=Column(Text, nullable=False, server_default=text("'default'::text"))
    )
    ancestors: list[UUID] = Field(
        default_factory=list, sa_column=Column(ARRAY(Uuid), nullable=False, server_default=text("'{}'::uuid[]"))
    )
    """The key that made it, the one that made that one, and so on. Their limits hold for its calls too."""


class ApiKeySecretRow(SQLModel, table=True):
    """The digest of a token of a key. Two tokens may be valid during a rotation. The token itself is not stored."""

    __tablename__ = "api_key_secrets"
    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    key_id: UUID = Field(foreign_key="api_keys.id", index=True)
    masked: str = Field(sa_column=_text())
    created_at: datetime | None = Field(default=None, sa_column=_now())
    expires_at: datetime | None = Field(default=None, sa_column=_time())
    revoked_at: datetime | None = Field(default=None, sa_column=_time())
    checksum: bytes | None = Field(default=None, sa_column=_checksum())
    account_id: UUID | None = Field(default=None, sa_column=_owner())


class HoldRow(SQLModel, table=True):
    """Credits that are held for one call or job. Closed rows stay, and refuse a late operation."""

    __tablename__ = "holds"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'settled', 'void', 'erased')", name="state"),
        CheckConstraint("amount >= 0 AND charged >= 0 AND written_off >= 0", name="amounts"),
        Index("ix_holds_expiring", "lease_until", postgresql_where=text("state = 'open'")),
        Index("ix_holds_swept", "closed_at", postgresql_where=text("closed_by = 'sweeper'")),
        Index("ix_holds_open", "account_id", postgresql_where=text("state = 'open'")),
        Index(
            "ix_holds_ended",
            *("account_id", "closed_at"),
            postgresql_include=["amount", "charged", "state", "epoch"],
            postgresql_where=text("state IN ('settled', 'void')"),
        ),
        Index("ix_holds_unplaced", "account_id", postgresql_where=text("state = 'void' AND amount = 0")),
        {"postgresql_with": {"fillfactor": "70"}},
    )
    id: UUID = Field(primary_key=True)
    account_id: UUID = Field(foreign_key="accounts.id")
    key_id: UUID | None = Field(default=None)
    kind: str = Field(sa_column=_text())
    model: str = Field(sa_column=_text())
    state: str = Field(sa_column=_text())
    amount: int = Field(sa_column=_money())
    price_version: str = Field(default="", sa_column=_text(default=""))
    prices: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    input_bound: int = Field(default=0, sa_column=_money(0))
    input_count: int = Field(default=0, sa_column=_money(0))
    output_limit: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    choices: int = Field(default=1, sa_column=_money(1))
    tokens_taken: int = Field(default=0, sa_column=_money(0))
    tokens_limit: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    account_tokens_limit: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    relayed_output: int = Field(default=0, sa_column=_money(0))
    charged: int = Field(default=0, sa_column=_money(0))
    written_off: int = Field(default=0, sa_column=_money(0))
    refunded: int = Field(default=0, sa_column=_money(0))
    lease_until: datetime | None = Field(default=None, sa_column=_time())
    created_at: datetime | None = Field(default=None, sa_column=_time(nullable=False))
    closed_at: datetime | None = Field(default=None, sa_column=_time())
    closed_by: str | None = Field(default=None, sa_column=_text(nullable=True))
    max_credits: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    epoch: int = Field(default=1, sa_column=_epoch())
    ancestor_tokens_limits: list[int | None] | None = Field(
        default=None, sa_column=Column(ARRAY(BigInteger), nullable=True)
    )
    """`tokens_limit` of each ancestor of its key. Null: they do not count it."""


class TransactionRow(SQLModel, table=True):
    """A movement of credits. Append-only."""

    __tablename__ = "transactions"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('hold', 'extend', 'charge', 'release', 'grant', 'refund', 'adjust', 'purge')", name="kind"
        ),
        Index(
            "uq_transactions_hold_id_kind",
            "hold_id",
            "kind",
            unique=True,
            postgresql_where=text("hold_id IS NOT NULL AND kind <> 'extend'"),
        ),
        Index("ix_transactions_extending", "hold_id", postgresql_where=text("kind = 'extend'")),
        Index(
            "ix_transactions_incoming", "account_id", "position", postgresql_where=text("kind IN ('grant', 'adjust')")
        ),
        Index("ix_transactions_refunds", "created_at", postgresql_where=text("kind = 'refund'")),
        Index(None, "account_id", "created_at"),
        Index("uq_transactions_account_id_position", "account_id", "position", unique=True),
    )
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True, server_default=text("uuidv7()")))
    kind: str = Field(sa_column=_text())
    account_id: UUID = Field(foreign_key="accounts.id")
    hold_id: UUID | None = Field(default=None)
    ref: str | None = Field(default=None, sa_column=Column(Text, nullable=True, unique=True))
    note: str | None = Field(default=None, sa_column=_text(nullable=True), repr=False)
    position: int = Field(sa_column=_money())
    """1, 2, 3 … in its account, in the order in which the account's transactions commit."""
    created_at: datetime | None = Field(default=None, sa_column=_now())
    """Later than the times of the account's earlier transactions; equal in one batch."""
    checksum: bytes | None = Field(default=None, sa_column=_checksum(nullable=True))
    """Only for movements with a reference or a note: a checksum over these, the account and the amount."""


class LineRow(SQLModel, table=True):
    """A posting: one signed amount of a movement. The postings of a transaction sum to zero. Append-only."""

    __tablename__ = "lines"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount_not_zero"),
        CheckConstraint(
            "book IN ('available', 'held', 'revenue', 'grants', 'adjustments', 'written_off')", name="book"
        ),
        CheckConstraint("(account_id IS NOT NULL) = (book IN ('available', 'held'))", name="owner"),
        Index(None, "account_id"),
    )
    transaction_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    """There is no foreign key: the trigger that checks the postings of each kind also checks the transaction."""
    book: str = Field(sa_column=Column(Text, primary_key=True))
    account_id: UUID | None = Field(default=None)
    amount: int = Field(sa_column=_money())


class RunningBalanceRow(SQLModel, table=True):
    """An account's balances after a movement: after one in 500, so that a statement need not add up all of them.

    A trigger of `accounts` writes it with the movement. When calls are erased, those of their account go.
    """

    __tablename__ = "running_balances"
    account_id: UUID = Field(sa_column=Column(ForeignKey("accounts.id"), primary_key=True))
    position: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    available: int = Field(sa_column=_money())
    held: int = Field(sa_column=_money())
    epoch: int = Field(default=1, sa_column=_epoch())


class UsageRow(SQLModel, table=True):
    """The usage of one charged call: model, tokens, credits; never content."""

    __tablename__ = "usage"
    __table_args__ = (
        Index(None, "account_id", "created_at"),
        Index("ix_usage_written_off", "created_at", postgresql_where=text("written_off > 0")),
    )
    hold_id: UUID = Field(primary_key=True)
    account_id: UUID = Field(foreign_key="accounts.id")
    key_id: UUID | None = Field(default=None)
    kind: str = Field(sa_column=_text())
    model: str = Field(sa_column=_text())
    input_tokens: int = Field(sa_column=_money())
    cached_tokens: int = Field(default=0, sa_column=_money(0))
    cache_write_tokens: int = Field(default=0, sa_column=_money(0))
    output_tokens: int = Field(sa_column=_money())
    credits: int = Field(sa_column=_money())
    written_off: int = Field(default=0, sa_column=_money(0))
    source: str = Field(sa_column=_text())
    created_at: datetime | None = Field(default=None, sa_column=_now())
    provider: str | None = Field(default=None, sa_column=_text(nullable=True))
    provider_cost: Decimal | None = Field(default=None, sa_column=_cost())
    """What the provider bills us, for the operator only. Null if unknown."""
    meters: dict[str, int] = Field(default_factory=dict, sa_column=_counts())
    """All counts by meter, each token once, if one of the meters has no column of its own; else empty."""
    service_tier: str | None = Field(default=None, sa_column=_text(nullable=True))
    """The service tier whose prices were billed, if it is not the requested one."""
    epoch: int = Field(default=1, sa_column=_epoch())


class UsageDayRow(SQLModel, table=True):
    """Usage summed by day, model and key, in the same transaction: reports never read the single rows."""

    __tablename__ = "usage_days"
    account_id: UUID = Field(sa_column=Column(ForeignKey("accounts.id"), primary_key=True))
    day: date = Field(sa_column=Column(Date, primary_key=True))
    model: str = Field(sa_column=Column(Text, primary_key=True))
    key_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    """The nil UUID for calls without a key."""
    kind: str = Field(sa_column=_text())
    calls: int = Field(sa_column=_money())
    input_tokens: int = Field(sa_column=_money())
    output_tokens: int = Field(sa_column=_money())
    credits: int = Field(sa_column=_money())
    provider_cost: Decimal = Field(default=Decimal(0), sa_column=_cost(0))
    costed: int = Field(default=0, sa_column=_money(0))
    """The number of calls whose cost is known."""
    meters: dict[str, int] = Field(default_factory=dict, sa_column=_counts())
    """Counts by meter of calls that used a meter without a column of its own."""
    epoch: int = Field(default=1, sa_column=Column(BigInteger, primary_key=True, server_default="1"))


class AuditRow(SQLModel, table=True):
    """The result of a scheduled audit, for metrics and for the operator."""

    __tablename__ = "audits"
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    began_at: datetime = Field(sa_column=_time(nullable=False))
    whole: bool
    """False if only accounts were audited that had moved since the audit before."""
    clean: bool
    drift_credits: int = Field(sa_column=_money())
    counts: dict[str, int] = Field(sa_column=Column(JSONB, nullable=False))


class PrunedRow(SQLModel, table=True):
    """Up to when rows of `holds` and `usage` may have been deleted. Written with each deletion, read by the audit."""

    __tablename__ = "pruned"
    __table_args__ = (
        CheckConstraint("what IN ('holds', 'usage')", name="what"),
        CheckConstraint("swept >= 0", name="swept"),
    )
    what: str = Field(sa_column=Column(Text, primary_key=True))
    horizon: datetime = Field(sa_column=_time(nullable=False))
    swept: int = Field(default=0, sa_column=_money(0))
    """How many of the deleted holds the sweeper had ended, so that its counter does not go back."""


class IdempotencyRow(SQLModel, table=True):
    """An `Idempotency-Key` that was used: keyed hashes, and the answer, encrypted with the caller's own secrets.

    `hold_id` is the id of what the request made: a call's hold, a job (which has its hold's id), or an API key.
    """

    __tablename__ = "idempotency"
    __table_args__ = (Index(None, "hold_id"), Index(None, "expires_at"))
    account_id: UUID = Field(sa_column=Column(ForeignKey("accounts.id"), primary_key=True))
    scope: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    fingerprint: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hold_id: UUID | None = Field(default=None)
    sealed: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True), repr=False)
    created_at: datetime | None = Field(default=None, sa_column=_now())
    expires_at: datetime = Field(sa_column=_time(nullable=False))
    epoch: int = Field(default=1, sa_column=_epoch())
