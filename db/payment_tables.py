"""The tables of plans and payments. Of a payment they have ids and amounts: no name, address, e-mail or card."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from db import tables  # noqa: F401  # payments refer to accounts
from db.columns import money, now, text_column, time


class PaymentRow(SQLModel, table=True):
    """Something that was bought: a payment intent, a checkout session or an invoice of the payment provider."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("credits >= 0 AND taken >= 0 AND due >= 0 AND taken + due <= credits", name="credits"),
        CheckConstraint("credits = 0 OR account_id IS NOT NULL", name="owner"),
        Index("ix_payments_due", "account_id", "created_at", postgresql_where=text("due > 0")),
        Index("ix_payments_unmatched", "created_at", postgresql_where=text("problem IS NOT NULL")),
        Index(None, "account_id"),
    )
    id: str = Field(sa_column=Column(Text, primary_key=True))
    account_id: UUID | None = Field(default=None, sa_column=Column(ForeignKey("accounts.id"), nullable=True))
    customer: str | None = Field(default=None, sa_column=text_column(nullable=True))
    subscription_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    bought: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    """What the events say was bought: the lines (ids, quantity, period), and the net amount."""
    amount: int = Field(sa_column=money())
    """In the currency's smallest unit."""
    currency: str = Field(sa_column=text_column())
    credits: int = Field(default=0, sa_column=money(0))
    """Credits that it has given until now."""
    taken: int = Field(default=0, sa_column=money(0))
    """Credits that were taken back because money went back."""
    due: int = Field(default=0, sa_column=money(0))
    """Credits that are still to be taken back: the account did not have them. Its next credits go here."""
    moves: int = Field(default=0, sa_column=money(0))
    """How often credits were taken back or given back again."""
    problem: str | None = Field(default=None, sa_column=text_column(nullable=True))
    """Why nothing was given for it, for the operator."""
    paid_at: datetime = Field(sa_column=time(nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=now())


class PaymentChargeRow(SQLModel, table=True):
    """Money that went back of a payment intent or charge. It may be known before its payment is."""

    __tablename__ = "payment_charges"
    __table_args__ = (
        CheckConstraint("refunded >= 0", name="refunded"),
        Index(None, "payment_id"),
    )
    id: str = Field(sa_column=Column(Text, primary_key=True))
    payment_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    """What it has paid for. There is no foreign key: the payment itself may come to be known later."""
    refunded: int = Field(default=0, sa_column=money(0))
    disputes: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb"))
    )
    created_at: datetime | None = Field(default=None, sa_column=now())


class PaymentCustomerRow(SQLModel, table=True):
    """Whose account a customer of the payment provider pays for."""

    __tablename__ = "payment_customers"
    id: str = Field(sa_column=Column(Text, primary_key=True))
    account_id: UUID = Field(sa_column=Column(ForeignKey("accounts.id"), nullable=False))


class PaymentSubscriptionRow(SQLModel, table=True):
    """A subscription at the payment provider, as the latest of its events describes it."""

    __tablename__ = "payment_subscriptions"
    id: str = Field(sa_column=Column(Text, primary_key=True))
    account_id: UUID | None = Field(default=None, sa_column=Column(ForeignKey("accounts.id"), nullable=True))
    customer: str | None = Field(default=None, sa_column=text_column(nullable=True))
    cancel_at: datetime | None = Field(default=None, sa_column=time())
    ended_at: datetime | None = Field(default=None, sa_column=time())
    changed_at: datetime | None = Field(default=None, sa_column=time())
    """The time of the event that described it."""


class PaymentEventRow(SQLModel, table=True):
    """An event that was processed: it is not processed again."""

    __tablename__ = "payment_events"
    __table_args__ = (Index(None, "received_at"),)
    id: str = Field(sa_column=Column(Text, primary_key=True))
    type: str = Field(sa_column=text_column())
    created_at: datetime = Field(sa_column=time(nullable=False))
    received_at: datetime | None = Field(default=None, sa_column=now())


class PlanTermRow(SQLModel, table=True):
    """A span in which an account has a plan: by the operator's hand, or by a payment."""

    __tablename__ = "plan_terms"
    __table_args__ = (
        CheckConstraint("months_given >= 0", name="months_given"),
        CheckConstraint("ends_at IS NULL OR ends_at >= begins_at", name="order"),
        Index("ix_plan_terms_due", "next_grant_at", "id", postgresql_where=text("next_grant_at IS NOT NULL")),
        Index(None, "account_id"),
        Index(None, "subscription_id"),
        Index("uq_plan_terms_payment_id", "payment_id", unique=True),
    )
    id: UUID = Field(primary_key=True)
    account_id: UUID = Field(sa_column=Column(ForeignKey("accounts.id"), nullable=False))
    plan: str = Field(sa_column=text_column())
    payment_id: str | None = Field(default=None, sa_column=Column(ForeignKey("payments.id"), nullable=True))
    """Null for a term by the operator."""
    subscription_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    begins_at: datetime = Field(sa_column=time(nullable=False))
    ends_at: datetime | None = Field(default=None, sa_column=time())
    months_given: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    next_grant_at: datetime | None = Field(default=None, sa_column=time())
    """When its next credits are due. Null: none are."""
    created_at: datetime | None = Field(default=None, sa_column=now())
