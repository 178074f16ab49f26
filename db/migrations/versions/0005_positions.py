"""Each movement has a position in its account, and each kind of movement its exact postings.

A position is taken under the account's lock: positions of an account commit in order, without gaps, and their times
never go back. A statement pages by it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NUMBERED = """
ALTER TABLE transactions DISABLE TRIGGER append_only;
UPDATE transactions t SET position = n.position
FROM (SELECT id, row_number() OVER (PARTITION BY account_id ORDER BY created_at, id) AS position FROM transactions) n
WHERE n.id = t.id;
ALTER TABLE transactions ENABLE TRIGGER append_only;
UPDATE accounts a SET movements = n.movements, moved_at = n.moved_at
FROM (SELECT account_id, count(*) AS movements, max(created_at) AS moved_at FROM transactions GROUP BY account_id) n
WHERE n.account_id = a.id;
"""

# Every amount of every kind, and what of it stands on the hold. A hold may be placed, grow and end in one statement:
# what its columns say is what they say after all of it.
EXACT = """
CREATE FUNCTION refuse_wrong_postings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    SELECT coalesce(p.kind, 'a line without a transaction') INTO wrong
    FROM (
        SELECT t.kind, t.account_id, t.hold_id, t.ref, t.note,
               sum(l.amount) AS total,
               count(*) FILTER (WHERE l.account_id <> t.account_id) AS strangers,
               coalesce(sum(l.amount) FILTER (WHERE l.book = 'available'), 0) AS available,
               coalesce(sum(l.amount) FILTER (WHERE l.book = 'held'), 0) AS held,
               coalesce(sum(l.amount) FILTER (WHERE l.book = 'revenue'), 0) AS revenue,
               coalesce(sum(l.amount) FILTER (WHERE l.book = 'written_off'), 0) AS written_off,
               count(*) FILTER (WHERE l.book = 'grants') AS grants,
               count(*) FILTER (WHERE l.book = 'adjustments') AS adjustments,
               count(*) FILTER (WHERE l.book IN ('held', 'revenue', 'written_off')) AS others
        FROM lines l LEFT JOIN transactions t ON t.id = l.transaction_id
        WHERE l.transaction_id IN (SELECT transaction_id FROM added) GROUP BY l.transaction_id, t.id
    ) p
    LEFT JOIN holds h ON h.id = p.hold_id AND h.account_id = p.account_id
    WHERE NOT coalesce(
        p.total = 0 AND p.strangers = 0 AND (p.hold_id IS NULL) = (p.ref IS NOT NULL)
        AND (p.hold_id IS NULL) = (p.kind IN ('grant', 'adjust')) AND CASE p.kind
            WHEN 'grant' THEN p.available > 0 AND p.grants = 1 AND p.adjustments + p.others = 0
            WHEN 'adjust' THEN p.adjustments = 1 AND p.grants + p.others = 0 AND p.note <> ''
            ELSE p.grants + p.adjustments = 0 AND h.id IS NOT NULL AND CASE p.kind
                WHEN 'hold' THEN p.held > 0 AND p.held <= h.amount AND p.available = -p.held AND p.others = 1
                WHEN 'extend' THEN p.held > 0 AND p.held < h.amount AND p.available = -p.held AND p.others = 1
                WHEN 'release' THEN h.state = 'void' AND p.held = -h.amount AND p.available = h.amount
                                    AND p.others = 1
                WHEN 'charge' THEN h.state = 'settled' AND p.held = -h.amount AND p.available = h.amount - h.charged
                                   AND p.revenue = h.charged + h.written_off AND p.written_off = -h.written_off
                WHEN 'refund' THEN h.state = 'settled' AND h.refunded = h.charged AND p.held = 0
                                   AND p.available = h.charged AND p.revenue = -h.charged - h.written_off
                                   AND p.written_off = h.written_off
                ELSE false END
        END, false)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'these are not the postings of: %', wrong USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER exact AFTER INSERT ON lines
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_wrong_postings();

CREATE FUNCTION refuse_no_postings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added a WHERE NOT EXISTS (SELECT FROM lines l WHERE l.transaction_id = a.id)) THEN
        RAISE EXCEPTION 'a transaction needs postings' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER posted AFTER INSERT ON transactions
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_no_postings();
DROP TRIGGER balanced ON lines;
DROP FUNCTION refuse_unbalanced;
"""

BALANCED = """
DROP TRIGGER exact ON lines;
DROP TRIGGER posted ON transactions;
DROP FUNCTION refuse_wrong_postings, refuse_no_postings;
CREATE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added GROUP BY transaction_id HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'the lines of a transaction must sum to zero' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT FROM added a WHERE NOT EXISTS (SELECT FROM transactions t WHERE t.id = a.transaction_id)) THEN
        RAISE EXCEPTION 'a line needs a transaction' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER balanced AFTER INSERT ON lines
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_unbalanced();
"""


def upgrade() -> None:
    op.add_column("accounts", sa.Column("movements", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("accounts", sa.Column("moved_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("transactions", sa.Column("position", sa.BigInteger(), nullable=True))
    op.execute(NUMBERED)
    op.alter_column("transactions", "position", nullable=False)
    op.create_index("uq_transactions_account_id_position", "transactions", ["account_id", "position"], unique=True)
    op.execute(EXACT)


def downgrade() -> None:
    op.execute(BALANCED)
    op.drop_index("uq_transactions_account_id_position", table_name="transactions")
    op.drop_column("transactions", "position")
    for column in ("moved_at", "movements"):
        op.drop_column("accounts", column)
