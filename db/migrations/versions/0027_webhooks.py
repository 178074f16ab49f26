"""Webhooks: events, endpoints, their secrets, and deliveries. Accounts get a bound for low credits."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

NOW = sa.text("now()")
# `db/functions.sql` has the function: what is here stands in for it until that has run, in the same transaction.
CREDITS_LOW = """
CREATE FUNCTION credits_fell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER credits_low AFTER UPDATE ON accounts FOR EACH ROW
WHEN (NEW.credits_low IS NOT NULL AND NEW.available + NEW.held < NEW.credits_low
      AND OLD.available + OLD.held >= NEW.credits_low AND OLD.credits_low = NEW.credits_low)
EXECUTE FUNCTION credits_fell();
"""


def _time(name: str, *, nullable: bool = True, default: sa.TextClause | None = None) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def _account(table: str) -> list[sa.Column[object] | sa.ForeignKeyConstraint | sa.PrimaryKeyConstraint]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f(f"fk_{table}_account_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    ]


def _of(table: str, column: str, other: str) -> list[sa.Column[object] | sa.ForeignKeyConstraint]:
    name = op.f(f"fk_{table}_{column}_{other}")
    key = sa.ForeignKeyConstraint([column], [f"{other}.id"], name=name, ondelete="CASCADE")
    return [sa.Column(column, sa.Uuid(), nullable=True), key]


def upgrade() -> None:
    op.add_column("accounts", sa.Column("credits_low", sa.BigInteger(), nullable=True))
    op.create_table(
        "events",
        *_account("events"),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=True),
        sa.Column("data", postgresql.JSONB(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        _time("created_at", nullable=False, default=NOW),
        sa.CheckConstraint("data IS NULL OR sealed IS NULL", name=op.f("ck_events_body")),
    )
    op.create_index("ix_events_account_id_id", "events", ["account_id", "id"])
    _endpoints()
    _deliveries()
    op.execute(CREDITS_LOW)


def _endpoints() -> None:
    op.create_table(
        "webhook_endpoints",
        *_account("webhook_endpoints"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("types", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        _time("disabled_at"),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        _time("failing_since"),
        _time("created_at", nullable=False),
        _time("updated_at", nullable=False),
        sa.CheckConstraint("enabled = (disabled_at IS NULL)", name=op.f("ck_webhook_endpoints_disabled_at")),
        sa.CheckConstraint(
            "disabled_reason IN ('owner', 'operator', 'gone', 'failing')",
            name=op.f("ck_webhook_endpoints_disabled_reason"),
        ),
    )
    op.create_index("ix_webhook_endpoints_account_id_id", "webhook_endpoints", ["account_id", "id"])
    op.create_table(
        "webhook_secrets",
        *_account("webhook_secrets"),
        *_of("webhook_secrets", "endpoint_id", "webhook_endpoints"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        _time("created_at", nullable=False),
        _time("expires_at"),
    )
    op.create_index("ix_webhook_secrets_account_id_endpoint_id", "webhook_secrets", ["account_id", "endpoint_id"])
    op.create_index("ix_webhook_secrets_endpoint_id", "webhook_secrets", ["endpoint_id"])


def _deliveries() -> None:
    name = "webhook_deliveries"
    op.create_table(
        name,
        *_account(name),
        *_of(name, "event_id", "events"),
        *_of(name, "endpoint_id", "webhook_endpoints"),
        sa.Column("subject", sa.Uuid(), nullable=True),
        sa.Column("sealed_target", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("tried", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("attempts", postgresql.JSONB(), nullable=False, server_default=sa.text("'[]'::jsonb")),
        _time("created_at", nullable=False, default=NOW),
        _time("started_at"),
        _time("next_attempt_at"),
        _time("attempting_until"),
        _time("ended_at"),
        sa.CheckConstraint(
            "state IN ('waiting', 'pending', 'delivered', 'failed', 'cancelled')", name=op.f(f"ck_{name}_state")
        ),
        sa.CheckConstraint(
            "(state = 'waiting') = (event_id IS NULL) OR state = 'cancelled'", name=op.f(f"ck_{name}_event")
        ),
        sa.CheckConstraint("endpoint_id IS NOT NULL OR subject IS NOT NULL", name=op.f(f"ck_{name}_receiver")),
    )
    op.create_index(f"ix_{name}_account_id_id", name, ["account_id", "id"])
    op.create_index(f"ix_{name}_endpoint_id_id", name, ["endpoint_id", "id"])
    op.create_index(f"ix_{name}_event_id", name, ["event_id"])
    op.create_index(f"ix_{name}_due", name, ["next_attempt_at"], postgresql_where=sa.text("state = 'pending'"))
    op.create_index(f"ix_{name}_subject", name, ["subject"], postgresql_where=sa.text("subject IS NOT NULL"))
    op.create_index(
        f"ix_{name}_attempting",
        name,
        ["account_id", "endpoint_id"],
        postgresql_where=sa.text("attempting_until IS NOT NULL"),
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER credits_low ON accounts")
    op.execute("DROP FUNCTION credits_fell, record_event, new_uuid7")
    op.drop_table("webhook_deliveries")
    op.drop_table("webhook_secrets")
    op.drop_table("webhook_endpoints")
    op.drop_table("events")
    op.drop_column("accounts", "credits_low")
