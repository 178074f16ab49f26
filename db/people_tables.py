"""The tables of people who sign in: their sessions, the links they were mailed, and what slows guessing down.

None has a secret, an address of a client, or a name of a browser: secrets are stored as SHA-256, addresses as hashes
with a key.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKey, LargeBinary, SmallInteger, Text
from sqlmodel import Field, SQLModel

from db import tables  # noqa: F401  # sessions and links refer to users
from db.columns import now, owner, text_column, time


class SessionRow(SQLModel, table=True):
    """A browser in which a user is signed in. A session that has ended has no row."""

    __tablename__ = "sessions"
    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", index=True)
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    """The SHA-256 of the cookie's secret."""
    created_at: datetime | None = Field(default=None, sa_column=now())
    last_seen_at: datetime | None = Field(default=None, sa_column=now())
    expires_at: datetime = Field(sa_column=time(nullable=False))
    account_id: UUID | None = Field(default=None, sa_column=owner())


class OneTimeLinkRow(SQLModel, table=True):
    """A link that was mailed to an address, or printed by the operator. It works once. A used link has no row."""

    __tablename__ = "one_time_links"
    __table_args__ = (
        CheckConstraint("purpose IN ('sign_up', 'verify', 'change_email', 'reset', 'none')", name="purpose"),
        CheckConstraint("(user_id IS NULL) = (purpose IN ('sign_up', 'none'))", name="user"),
    )
    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    """The SHA-256 of the link's secret."""
    purpose: str = Field(sa_column=text_column())
    """`none`: nobody gets the link. Its row is written so that a request does the same work for every address."""
    user_id: UUID | None = Field(default=None, sa_column=Column(ForeignKey("users.id"), nullable=True, index=True))
    email: str = Field(sa_column=Column(Text, nullable=False, index=True), repr=False)
    """The address that the link verifies."""
    password: str | None = Field(default=None, sa_column=text_column(nullable=True), repr=False)
    """Of a sign-up: the hash of the password with which the account will be opened."""
    mailed: bool = Field(default=True)
    """False for a link that the operator printed: it does not prove that the address is read."""
    created_at: datetime | None = Field(default=None, sa_column=now())
    expires_at: datetime = Field(sa_column=time(nullable=False, index=True))
    account_id: UUID | None = Field(default=None, sa_column=owner())


class ThrottleRow(SQLModel, table=True):
    """How far the tries of one address, network or browser reach into the future. Its name is a keyed hash."""

    __tablename__ = "throttles"
    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    until: datetime = Field(sa_column=time(nullable=False, index=True))
    """The theoretical arrival time (GCRA) of the next try. In the past: the row means nothing, and is deleted."""


class MailboxKeyRow(SQLModel, table=True):
    """The key of the hashes that the free tier is recognised by, encrypted with the master secret. There is one."""

    __tablename__ = "mailbox_keys"
    __table_args__ = (CheckConstraint("id = 1", name="one"),)
    id: int = Field(default=1, sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    wrapped: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    wrapped_by: str | None = Field(default=None, sa_column=text_column(nullable=True))
    """As of a data key."""


class FreeTierNetworkRow(SQLModel, table=True):
    """A client's network that has had the free tier without a verified address, as a keyed hash. Of no account."""

    __tablename__ = "free_tier_networks"
    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    created_at: datetime | None = Field(default=None, sa_column=now())
