"""The tables of saved conversations. Titles, and what people and models wrote, are encrypted with the account's key.

A conversation has one epoch, that of its account when it began: its messages are sealed with that epoch's key, and
none is added once the account has moved on to the next one.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, LargeBinary, Uuid
from sqlmodel import Field, SQLModel

from db.columns import epoch, now


class ConversationRow(SQLModel, table=True):
    __tablename__ = "conversations"
    __table_args__ = (
        CheckConstraint("messages >= 0 AND size >= 0", name="counts_not_negative"),
        Index(None, "account_id", "epoch", "updated_at", "id"),
    )
    id: UUID = Field(primary_key=True)
    account_id: UUID = Field(foreign_key="accounts.id")
    epoch: int = Field(sa_column=epoch())
    title: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    messages: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    """How many it has: their positions are 1 to this number."""
    size: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    """Bytes of its sealed messages."""
    created_at: datetime | None = Field(default=None, sa_column=now())
    updated_at: datetime | None = Field(default=None, sa_column=now())
    """When its last message was added."""


class MessageRow(SQLModel, table=True):
    __tablename__ = "messages"
    __table_args__ = (Index(None, "account_id", "epoch"),)
    conversation_id: UUID = Field(
        sa_column=Column(ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True)
    )
    position: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    account_id: UUID = Field(foreign_key="accounts.id")
    epoch: int = Field(sa_column=epoch())
    hold_id: UUID | None = Field(default=None, sa_column=Column(Uuid, nullable=True))
    """Of the call that it belongs to. None if its owner added it without a call."""
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    created_at: datetime | None = Field(default=None, sa_column=now())
