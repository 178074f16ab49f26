"""Plans with an exact end, the credits they give each month, and what was paid for them or for credits."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def _time(name: str, *, nullable: bool = True, now: bool = False) -> sa.Column[object]:
    return sa.Column(
        name, sa.DateTime(timezone=True), nullable=nullable and not now, server_default=NOW if now else None
    )


def _count(name: str, *, default: str | None = "0") -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=default, nullable=False)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _account(*, nullable: bool = False) -> sa.Column[object]:
    return sa.Column("account_id", sa.Uuid(), sa.ForeignKey("accounts.id"), nullable=nullable)


def upgrade() -> None:
    op.add_column("accounts", _time("plan_until"))
    _payments()
    op.create_table(
        "payment_customers", _text("id"), _account(), sa.PrimaryKeyConstraint("id", name="pk_payment_customers")
    )
    op.create_table(
        "payment_subscriptions",
        _text("id"),
        _account(nullable=True),
        _text("customer", nullable=True),
        _time("cancel_at"),
        _time("ended_at"),
        _time("changed_at"),
        sa.PrimaryKeyConstraint("id", name="pk_payment_subscriptions"),
    )
    op.create_table(
        "payment_events",
        _text("id"),
        _text("type"),
        _time("created_at", nullable=False),
        _time("received_at", now=True),
        sa.PrimaryKeyConstraint("id", name="pk_payment_events"),
    )
    op.create_index("ix_payment_events_received_at", "payment_events", ["received_at"])
    _terms()


def _payments() -> None:
    op.create_table(
        "payments",
        _text("id"),
        _account(nullable=True),
        _text("customer", nullable=True),
        _text("subscription_id", nullable=True),
        sa.Column("bought", postgresql.JSONB(), nullable=False),
        _count("amount", default=None),
        _text("currency"),
        _count("credits"),
        _count("taken"),
        _count("due"),
        _count("moves"),
        _text("problem", nullable=True),
        _time("paid_at", nullable=False),
        _time("created_at", now=True),
        sa.CheckConstraint(
            "credits >= 0 AND taken >= 0 AND due >= 0 AND taken + due <= credits", name=op.f("ck_payments_credits")
        ),
        sa.CheckConstraint("credits = 0 OR account_id IS NOT NULL", name=op.f("ck_payments_owner")),
        sa.PrimaryKeyConstraint("id", name="pk_payments"),
    )
    op.create_index("ix_payments_due", "payments", ["account_id", "created_at"], postgresql_where=sa.text("due > 0"))
    unmatched = sa.text("problem IS NOT NULL")
    op.create_index("ix_payments_unmatched", "payments", ["created_at"], postgresql_where=unmatched)
    op.create_index("ix_payments_account_id", "payments", ["account_id"])
    op.create_table(
        "payment_charges",
        _text("id"),
        _text("payment_id", nullable=True),
        _count("refunded"),
        sa.Column("disputes", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        _time("created_at", now=True),
        sa.CheckConstraint("refunded >= 0", name=op.f("ck_payment_charges_refunded")),
        sa.PrimaryKeyConstraint("id", name="pk_payment_charges"),
    )
    op.create_index("ix_payment_charges_payment_id", "payment_charges", ["payment_id"])


def _terms() -> None:
    op.create_table(
        "plan_terms",
        sa.Column("id", sa.Uuid(), nullable=False),
        _account(),
        _text("plan"),
        sa.Column("payment_id", sa.Text(), sa.ForeignKey("payments.id"), nullable=True),
        _text("subscription_id", nullable=True),
        _time("begins_at", nullable=False),
        _time("ends_at"),
        _count("months_given"),
        _time("next_grant_at"),
        _time("created_at", now=True),
        sa.CheckConstraint("months_given >= 0", name=op.f("ck_plan_terms_months_given")),
        sa.CheckConstraint("ends_at IS NULL OR ends_at >= begins_at", name=op.f("ck_plan_terms_order")),
        sa.PrimaryKeyConstraint("id", name="pk_plan_terms"),
    )
    due = sa.text("next_grant_at IS NOT NULL")
    op.create_index("ix_plan_terms_due", "plan_terms", ["next_grant_at", "id"], postgresql_where=due)
    op.create_index("ix_plan_terms_account_id", "plan_terms", ["account_id"])
    op.create_index("ix_plan_terms_subscription_id", "plan_terms", ["subscription_id"])
    op.create_index("uq_plan_terms_payment_id", "plan_terms", ["payment_id"], unique=True)


def downgrade() -> None:
    tables = (
        "plan_terms",
        "payment_events",
        "payment_subscriptions",
        "payment_customers",
        "payment_charges",
        "payments",
    )
    for table in tables:
        op.drop_table(table)
    op.drop_column("accounts", "plan_until")
