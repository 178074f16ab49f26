"""The tables of webhooks: what happened, who is told, with which secrets, and how each delivery went."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Column, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from db import tables  # noqa: F401  # endpoints refer to accounts
from db.columns import now, text_column, time

STATES = "state IN ('waiting', 'pending', 'delivered', 'failed', 'cancelled')"


class EventRow(SQLModel, table=True):
    """Something that happened to an account, written in the transaction in which it happened.

    There is no row for what nobody is told. `record_event` of `db/functions.sql` writes it.
    """

    __tablename__ = "events"
    __table_args__ = (Index(None, "account_id", "id"), CheckConstraint("data IS NULL OR sealed IS NULL", name="body"))
    id: UUID = Field(primary_key=True)
    account_id: UUID = Field(foreign_key="accounts.id")
    epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    type: str = Field(sa_column=text_column())
    subject: UUID | None = Field(default=None)
    """The job, key, purge or endpoint that it is about."""
    data: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True), repr=False
    )
    """Ids, states and credits, until the first attempt seals the body."""
    sealed: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True), repr=False)
    """The body as every attempt sends it, encrypted with the account's key."""
    created_at: datetime | None = Field(default=None, sa_column=now())


class WebhookEndpointRow(SQLModel, table=True):
    """A URL that an account registered."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        Index(None, "account_id", "id"),
        CheckConstraint("enabled = (disabled_at IS NULL)", name="disabled_at"),
        CheckConstraint("disabled_reason IN ('owner', 'operator', 'gone', 'failing')", name="disabled_reason"),
    )
    id: UUID = Field(primary_key=True)
    account_id: UUID = Field(foreign_key="accounts.id")
    epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    """The URL and the description, encrypted with the account's key."""
    types: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text), nullable=True))
    """The types of events that it gets. Null: all."""
    enabled: bool = Field(default=True)
    disabled_at: datetime | None = Field(default=None, sa_column=time())
    disabled_reason: str | None = Field(default=None, sa_column=text_column(nullable=True))
    failing_since: datetime | None = Field(default=None, sa_column=time())
    """The first failure since the last success. Null: the last attempt succeeded, or there was none."""
    created_at: datetime = Field(sa_column=time(nullable=False))
    updated_at: datetime = Field(sa_column=time(nullable=False))


class WebhookSecretRow(SQLModel, table=True):
    """A secret that signs deliveries to an endpoint, or without one those to URLs of jobs. Two may be live."""

    __tablename__ = "webhook_secrets"
    __table_args__ = (Index(None, "account_id", "endpoint_id"), Index(None, "endpoint_id"))
    id: UUID = Field(primary_key=True)
    account_id: UUID = Field(foreign_key="accounts.id")
    epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    endpoint_id: UUID | None = Field(
        default=None, sa_column=Column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), nullable=True)
    )
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    created_at: datetime = Field(sa_column=time(nullable=False))
    expires_at: datetime | None = Field(default=None, sa_column=time())
    """Null: it is the newest."""


class WebhookDeliveryRow(SQLModel, table=True):
    """One event to one receiver. `waiting`: what it will tell has not happened yet."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint(STATES, name="state"),
        CheckConstraint("(state = 'waiting') = (event_id IS NULL) OR state = 'cancelled'", name="event"),
        CheckConstraint("endpoint_id IS NOT NULL OR subject IS NOT NULL", name="receiver"),
        Index(None, "account_id", "id"),
        Index(None, "endpoint_id", "id"),
        Index(None, "event_id"),
        Index("ix_webhook_deliveries_due", "next_attempt_at", postgresql_where=text("state = 'pending'")),
        Index("ix_webhook_deliveries_subject", "subject", postgresql_where=text("subject IS NOT NULL")),
        Index(
            "ix_webhook_deliveries_attempting",
            "account_id",
            "endpoint_id",
            postgresql_where=text("attempting_until IS NOT NULL"),
        ),
    )
    id: UUID = Field(primary_key=True)
    account_id: UUID = Field(foreign_key="accounts.id")
    epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    event_id: UUID | None = Field(
        default=None, sa_column=Column(ForeignKey("events.id", ondelete="CASCADE"), nullable=True)
    )
    endpoint_id: UUID | None = Field(
        default=None, sa_column=Column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), nullable=True)
    )
    subject: UUID | None = Field(default=None)
    """The job or purge whose end it tells to a URL of its own."""
    sealed_target: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True), repr=False)
    """That URL, encrypted with the account's key."""
    state: str = Field(sa_column=text_column())
    round: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    """How often its owner sent it again. Each round has a workflow."""
    tried: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    """Attempts of this round."""
    attempts: list[dict[str, Any]] = Field(
        default_factory=list, sa_column=Column(JSONB, nullable=False, server_default=text("'[]'::jsonb")), repr=False
    )
    """Time, status, latency and fault of each attempt. Never an answer's body."""
    created_at: datetime | None = Field(default=None, sa_column=now())
    started_at: datetime | None = Field(default=None, sa_column=time())
    """When the workflow of this round was started."""
    next_attempt_at: datetime | None = Field(default=None, sa_column=time())
    attempting_until: datetime | None = Field(default=None, sa_column=time())
    """An attempt is under way, until then at most."""
    ended_at: datetime | None = Field(default=None, sa_column=time())
