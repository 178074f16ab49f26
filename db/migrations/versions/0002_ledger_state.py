"""`ledger_state`: a batch's locks and reads in one round trip. Lines are checked as a set, not one by one.

Each statement of the function sees what was committed before it began, so what is read after the locks is what they
protect. That a line's transaction exists is found out by the trigger that adds the lines up: transactions are
append-only, so what exists stays.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LEDGER_STATE = """
CREATE FUNCTION ledger_state(
    _accounts uuid[], _digests bytea[], _ending uuid[], _holds uuid[],
    _claim_digests bytea[], _claim_scopes bytea[], _refs text[]
) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    accounts_ json; keys_ json; secrets_ json; claims_ json; holds_ json; refs_ json;
    claimed uuid[];
BEGIN
    SELECT json_agg(json_build_array(id, available, held, open_holds, suspended, plan_active, recognise_retries))
    INTO accounts_ FROM (
        SELECT id, available, held, open_holds, suspended_at IS NOT NULL AS suspended, plan_active, recognise_retries
        FROM accounts WHERE id IN (
            SELECT unnest(_accounts)
            UNION
            SELECT k.account_id FROM api_key_secrets s JOIN api_keys k ON k.id = s.key_id WHERE s.digest = ANY(_digests)
        ) ORDER BY id FOR UPDATE
    ) locked;

    IF cardinality(_digests) + cardinality(_ending) > 0 THEN
        SELECT json_agg(json_build_array(id, account_id, scopes, dead, limits, requests_tat, tokens_tat, open_holds,
                                         day, day_credits, month, month_credits))
        INTO keys_ FROM (
            SELECT id, account_id, scopes, limits, requests_tat, tokens_tat, open_holds, day, day_credits, month,
                   month_credits, revoked_at IS NOT NULL OR coalesce(expires_at <= clock_timestamp(), false) AS dead
            FROM api_keys WHERE id IN (
                SELECT key_id FROM api_key_secrets WHERE digest = ANY(_digests)
                UNION
                SELECT key_id FROM holds WHERE id = ANY(_ending)
            ) ORDER BY id FOR UPDATE
        ) locked;
    END IF;

    IF cardinality(_digests) > 0 THEN
        SELECT json_agg(json_build_array(
            encode(digest, 'hex'), key_id,
            revoked_at IS NOT NULL OR coalesce(expires_at <= clock_timestamp(), false)))
        INTO secrets_ FROM api_key_secrets WHERE digest = ANY(_digests);
    END IF;

    IF cardinality(_claim_scopes) > 0 THEN
        SELECT json_agg(json_build_array(
                   i.account_id, encode(i.scope, 'hex'), encode(i.fingerprint, 'hex'), i.hold_id,
                   encode(i.sealed, 'base64'))),
               array_agg(i.hold_id)
        INTO claims_, claimed
        FROM unnest(_claim_digests, _claim_scopes) AS c(digest, scope)
        JOIN api_key_secrets s ON s.digest = c.digest JOIN api_keys k ON k.id = s.key_id
        JOIN idempotency i ON i.account_id = k.account_id AND i.scope = c.scope AND i.expires_at > now();
    END IF;

    SELECT json_agg(json_build_array(
        id, account_id, key_id, kind, model, state, amount, price_version, prices::text, input_bound, input_count,
        output_limit, choices, tokens_taken, tokens_limit, relayed_output, charged, written_off, refunded, lease_until,
        created_at, closed_at, closed_by, max_credits))
    INTO holds_ FROM (
        SELECT * FROM holds WHERE id = ANY(_holds || claimed) ORDER BY id FOR UPDATE
    ) locked;

    IF cardinality(_refs) > 0 THEN
        SELECT json_agg(json_build_array(t.ref, t.account_id, l.amount)) INTO refs_
        FROM transactions t JOIN lines l ON l.transaction_id = t.id AND l.book = 'available' WHERE t.ref = ANY(_refs);
    END IF;

    RETURN json_build_object('now', clock_timestamp(), 'accounts', accounts_, 'keys', keys_, 'secrets', secrets_,
                             'claims', claims_, 'holds', holds_, 'refs', refs_);
END $$;
"""


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
    op.execute(LEDGER_STATE)
    op.execute(BALANCED)
    op.drop_constraint(OWNED, "lines", type_="foreignkey")


def downgrade() -> None:
    op.create_foreign_key(OWNED, "lines", "transactions", ["transaction_id"], ["id"])
    op.execute("DROP FUNCTION ledger_state")
