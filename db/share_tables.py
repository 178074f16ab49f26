"""The table of shared pages. The application adds and deletes its rows, and changes none."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from db import tables  # noqa: F401  # pages refer to accounts
from db.columns import time


class ShareRow(SQLModel, table=True):
    """A shared page, encrypted with its account's key. Its slug opens it, and is here only as a hash."""

    __tablename__ = "shares"
    __table_args__ = (
        CheckConstraint("octet_length(slug_hash) = 32", name="slug_hash"),
        CheckConstraint("messages > 0", name="messages"),
        CheckConstraint("expires_at > created_at", name="expires_at"),
        Index(None, "account_id", "id"),
        Index("ix_shares_expires_at", "expires_at"),
    )
    slug_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    id: UUID
    account_id: UUID = Field(foreign_key="accounts.id")
    epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    messages: int = Field(sa_column=Column(BigInteger, nullable=False))
    sealed_heading: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    """The slug and the title, for the owner's list."""
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    """The messages."""
    created_at: datetime = Field(sa_column=time(nullable=False))
    expires_at: datetime | None = Field(default=None, sa_column=time())
    """Null: never."""
