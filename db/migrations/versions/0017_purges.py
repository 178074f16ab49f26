"""Purges: their progress, what the ledger rolls up, and signed receipts.

Movements stay append-only for everybody but a running purge: its function deletes those of erased calls, and keeps
their sum. An erased call's hold becomes a tombstone.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

KINDS = "'hold', 'extend', 'charge', 'release', 'grant', 'refund', 'adjust'"
STATES = "'open', 'settled', 'void'"

RULES = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'TRUNCATE' AND coalesce(current_setting('yout.purge', true), '') <> ''
       AND current_user = (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID)
       AND EXISTS (SELECT FROM public.purges
                   WHERE id = nullif(current_setting('yout.purge', true), '')::uuid AND completed_at IS NULL)
    THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

DO $$
BEGIN
    EXECUTE replace(replace(pg_get_functiondef('refuse_wrong_postings'::regproc),
        'IN (''grant'', ''adjust'')', 'IN (''grant'', ''adjust'', ''purge'')'),
        'WHEN ''adjust'' THEN', 'WHEN ''purge'' THEN p.available <= 0 AND p.held = 0 AND p.revenue >= 0
                 AND p.written_off <= 0 AND p.grants + p.adjustments = 0 AND p.note IS NULL
            WHEN ''adjust'' THEN');
END $$;
"""
UNRULED = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
DROP FUNCTION IF EXISTS begin_purge, running_purge, shred_keys, erase_rows, roll_up, hash_references, ref_digest;
"""


def _number(name: str, default: str | None = "0") -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=default, nullable=False)


def _time(name: str, *, now: bool) -> sa.Column[Any]:
    kind = sa.DateTime(timezone=True)
    return sa.Column(name, kind, server_default=sa.text("now()") if now else None, nullable=not now)


def _counts(name: str) -> sa.Column[sa.JSON]:
    return sa.Column(name, postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False)


def _purges() -> None:
    op.create_table(
        "purges",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        _number("epoch", "1"),
        sa.Column("part", sa.Text(), server_default="", nullable=False),
        sa.Column("part_id", sa.Text(), server_default="", nullable=False),
        sa.Column("sessions", sa.Boolean(), nullable=False),
        sa.Column("step", sa.Text(), server_default="accepted", nullable=False),
        _number("movements", None),
        _number("balance", None),
        _counts("found"),
        _counts("erased"),
        _time("requested_at", now=True),
        _time("completed_at", now=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_purges_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_purges"),
    )
    running = ["account_id", "part", "part_id"]
    unfinished = sa.text("completed_at IS NULL")
    op.create_index("uq_purges_running", "purges", running, unique=True, postgresql_where=unfinished)
    op.create_index("ix_purges_account_id_requested_at", "purges", ["account_id", "requested_at"])


def _roll_ups() -> None:
    sums = ("movements", "calls", "charges", "credits", "written_off", "usage_entries", "usage_credits")
    op.create_table(
        "roll_ups",
        sa.Column("purge_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=True),
        _number("until", None),
        _number("position"),
        *(_number(name) for name in (*sums, "credits_at_cut", "faults")),
        sa.CheckConstraint("least(movements, calls, charges) >= 0", name="counts"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_roll_ups_account_id_accounts"),
        sa.ForeignKeyConstraint(["purge_id"], ["purges.id"], name="fk_roll_ups_purge_id_purges"),
        sa.PrimaryKeyConstraint("purge_id", name="pk_roll_ups"),
    )
    op.create_index("ix_roll_ups_account_id", "roll_ups", ["account_id"])


def _receipts() -> None:
    op.create_table(
        "purge_receipts",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("purge_id", sa.Uuid(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["purge_id"], ["purges.id"], name="fk_purge_receipts_purge_id_purges"),
        sa.PrimaryKeyConstraint("number", name="pk_purge_receipts"),
        sa.UniqueConstraint("purge_id", name="uq_purge_receipts_purge_id"),
    )
    op.create_table(
        "receipt_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_by", sa.Text(), nullable=True),
        _time("created_at", now=True),
        sa.PrimaryKeyConstraint("kid", name="pk_receipt_keys"),
    )


def upgrade() -> None:
    _purges()
    _roll_ups()
    _receipts()
    op.drop_constraint("kind", "transactions", type_="check")
    op.create_check_constraint("kind", "transactions", f"kind IN ({KINDS}, 'purge')")
    op.drop_constraint("state", "holds", type_="check")
    op.create_check_constraint("state", "holds", f"state IN ({STATES}, 'erased')")
    # A call that never was placed has a tombstone and no movement: this finds those of an account.
    op.create_index(
        "ix_holds_unplaced", "holds", ["account_id"], postgresql_where=sa.text("state = 'void' AND amount = 0")
    )
    op.execute(sa.text(RULES.replace(":", "\\:")))


def downgrade() -> None:
    op.execute(UNRULED)
    op.execute("DROP FUNCTION IF EXISTS rewrap_receipt_keys")
    op.drop_index("ix_holds_unplaced", table_name="holds")
    op.drop_constraint("state", "holds", type_="check")
    op.create_check_constraint("state", "holds", f"state IN ({STATES})")
    op.drop_constraint("kind", "transactions", type_="check")
    op.create_check_constraint("kind", "transactions", f"kind IN ({KINDS})")
    for table in ("receipt_keys", "purge_receipts", "roll_ups", "purges"):
        op.drop_table(table)
