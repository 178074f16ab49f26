"""The tables of purges: how far each is, what the ledger rolled up, and the signed receipts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, LargeBinary, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from db import tables  # noqa: F401  # purges refer to accounts
from db.columns import counts, epoch, money, now, owner, text_column, time


class PurgeRow(SQLModel, table=True):
    """A purge of an account, or of one thing of it. `begin_purge` of `db/functions.sql` writes it."""

    __tablename__ = "purges"
    __table_args__ = (
        Index(
            "uq_purges_running",
            "account_id",
            "part",
            "part_id",
            unique=True,
            postgresql_where=text("completed_at IS NULL"),
        ),
        Index(None, "account_id", "requested_at"),
    )
    id: UUID = Field(primary_key=True)
    account_id: UUID = Field(foreign_key="accounts.id")
    epoch: int = Field(sa_column=epoch())
    """Rows of epochs before this one are erased."""
    part: str = Field(sa_column=text_column(default=""))
    """What alone is erased: a conversation, share or job. Empty: everything."""
    part_id: str = Field(sa_column=text_column(default=""), repr=False)
    sessions: bool = Field(default=False)
    """Whether the owner's sessions end."""
    step: str = Field(sa_column=text_column(default="accepted"))
    """The furthest that it has come to."""
    movements: int = Field(sa_column=money())
    """The position of the account's last movement when the purge began."""
    balance: int = Field(sa_column=money())
    """Credits of the account then, available and held."""
    found: dict[str, int] = Field(default_factory=dict, sa_column=counts())
    """The rows and objects that there were to erase."""
    erased: dict[str, int] = Field(default_factory=dict, sa_column=counts())
    requested_at: datetime | None = Field(default=None, sa_column=now())
    completed_at: datetime | None = Field(default=None, sa_column=time())
    progressed_at: datetime | None = Field(default=None, sa_column=now())
    """When it last came to a new step, or erased something."""


class RollUpRow(SQLModel, table=True):
    """What a purge took out of the books: the sums of its calls, and the one movement that took their place."""

    __tablename__ = "roll_ups"
    __table_args__ = (CheckConstraint("least(movements, calls, charges) >= 0", name="counts"),)
    purge_id: UUID = Field(sa_column=Column(ForeignKey("purges.id"), primary_key=True))
    account_id: UUID = Field(foreign_key="accounts.id", index=True)
    transaction_id: UUID | None = Field(default=None, sa_column=Column(Uuid, nullable=True))
    """None while the calls come to nothing: none was charged, or all charges were refunded."""
    until: int = Field(sa_column=money())
    """The last position of the account when its last call of an older epoch had ended."""
    position: int = Field(default=0, sa_column=money(0))
    """Up to where it has come."""
    movements: int = Field(default=0, sa_column=money(0))
    calls: int = Field(default=0, sa_column=money(0))
    charges: int = Field(default=0, sa_column=money(0))
    credits: int = Field(default=0, sa_column=money(0))
    """Charged, less what was refunded."""
    written_off: int = Field(default=0, sa_column=money(0))
    usage_entries: int = Field(default=0, sa_column=money(0))
    usage_credits: int = Field(default=0, sa_column=money(0))
    credits_at_cut: int = Field(default=0, sa_column=money(0))
    """Of `credits`: charged after the purge began, for calls that it ended."""
    faults: int = Field(default=0, sa_column=money(0))
    """Calls whose hold, movements and usage did not agree. The audit reports them for ever."""


class PurgeReceiptRow(SQLModel, table=True):
    """A signed receipt. Receipts are numbered without gaps, and each names the hash of the one before."""

    __tablename__ = "purge_receipts"
    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    purge_id: UUID = Field(sa_column=Column(ForeignKey("purges.id"), nullable=False, unique=True))
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False), repr=False)
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """The SHA-256 of its canonical form, which the next receipt names."""
    account_id: UUID | None = Field(default=None, sa_column=owner())


class ReceiptKeyRow(SQLModel, table=True):
    """A key that signs receipts. The newest signs; the public halves of all are published for ever."""

    __tablename__ = "receipt_keys"
    kid: str = Field(sa_column=Column(Text, primary_key=True))
    public: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    wrapped: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    """The private key, encrypted with the master secret."""
    wrapped_by: str | None = Field(default=None, sa_column=text_column(nullable=True))
    created_at: datetime | None = Field(default=None, sa_column=now())
