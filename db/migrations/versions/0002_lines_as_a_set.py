"""Lines are checked as a set, not one by one.

That a line's transaction exists is found out by the trigger that adds the lines up: transactions are append-only, so
what exists stays.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BALANCED = """
CREATE OR REPLACE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added GROUP BY transaction_id HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'the lines of a transaction must sum to zero' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT FROM added a WHERE NOT EXISTS (SELECT FROM transactions t WHERE t.id = a.transaction_id)) THEN
        RAISE EXCEPTION 'a line needs a transaction' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
"""
OWNED = "fk_lines_transaction_id_transactions"


def upgrade() -> None:
    op.execute(BALANCED)
    op.drop_constraint(OWNED, "lines", type_="foreignkey")


def downgrade() -> None:
    forgetting = ("forget_holds", "forget_usage", "forget_idempotency", "forget_audits", "require_horizon")
    for function in ("ledger_state", "ledger_read", "ledger_write", "ledger_lock", "ledger_apply", *forgetting):
        op.execute(f"DROP FUNCTION IF EXISTS {function}")
    op.create_foreign_key(OWNED, "lines", "transactions", ["transaction_id"], ["id"])
