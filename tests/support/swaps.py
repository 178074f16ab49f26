"""Ways to corrupt the books that leave every sum as it was: rows swapped, moments moved, prices and guards changed."""

_AGED = "'2026-01-01T00:00Z'"

SWAPS: dict[str, tuple[str, ...]] = {
    "account_without_user": ("DELETE FROM users", "UPDATE users SET account_id = gen_random_uuid()"),
    "user_not_of_its_account": (
        "ALTER TABLE users DROP CONSTRAINT uq_users_account_id; "
        "UPDATE users u SET account_id = (SELECT id FROM accounts WHERE id <> u.account_id)",
        "UPDATE accounts SET created_at = created_at - interval '1 second'",
    ),
    "account_younger_than_its_movements": ("UPDATE accounts SET created_at = now() + interval '1 hour'",),
    "data_key_not_of_its_account": (
        "UPDATE data_keys SET wrapped = NULL, destroyed_at = now()",
        "UPDATE data_keys SET destroyed_at = now()",
        "UPDATE data_keys d SET wrapped = o.wrapped FROM data_keys o WHERE o.account_id <> d.account_id",
        "UPDATE data_keys d SET wrapped = o.wrapped, checksum = o.checksum FROM data_keys o "
        "WHERE o.account_id <> d.account_id",
        "UPDATE data_keys SET epoch = -1 WHERE wrapped IS NOT NULL",
    ),
    "secret_not_of_its_key": (
        # two keys of one age, of two accounts: their secrets, their owners, their masks
        f"UPDATE api_keys SET created_at = {_AGED}; UPDATE api_key_secrets SET created_at = {_AGED}; "
        "UPDATE api_key_secrets s SET key_id = (SELECT id FROM api_keys k WHERE k.id <> s.key_id)",
        "UPDATE api_keys k SET account_id = (SELECT id FROM accounts a WHERE a.id <> k.account_id)",
        "UPDATE api_key_secrets SET masked = 'yout-other…mask'",
        "UPDATE api_key_secrets SET digest = sha256(digest)",
        "UPDATE api_key_secrets s SET key_id = o.key_id, checksum = o.checksum FROM api_key_secrets o "
        "WHERE o.digest <> s.digest",
    ),
    "key_with_many_secrets": (
        "INSERT INTO api_key_secrets (digest, key_id, masked, checksum) "
        "SELECT sha256(digest || n::text::bytea), key_id, masked, checksum "
        "FROM api_key_secrets, generate_series(1, 2) n",
    ),
    "key_with_wrong_ancestors": (
        "UPDATE api_keys SET ancestors = ARRAY[gen_random_uuid()]",
        "UPDATE api_keys k SET ancestors = ARRAY(SELECT id FROM api_keys o WHERE o.account_id <> k.account_id LIMIT 1)",
    ),
    "hold_ancestors_miscounted": ("UPDATE holds SET ancestor_tokens_limits = '{1}'",),
    "key_without_live_secret": (
        "UPDATE api_key_secrets SET revoked_at = now()",
        "DELETE FROM api_key_secrets",
        "UPDATE api_keys SET revoked_at = now(); UPDATE api_key_secrets SET revoked_at = now(); "
        "UPDATE api_keys SET revoked_at = NULL",
    ),
    "key_contradicts_itself": (
        "UPDATE api_keys SET scopes = '{everything}'",
        "UPDATE api_keys SET expires_at = created_at - interval '1 day'",
        "UPDATE api_keys SET revoked_at = created_at - interval '1 day'",
        "UPDATE api_keys SET revoked_at = now() + interval '1 day'",
        "UPDATE api_keys SET last_used_at = NULL",
        "UPDATE api_keys SET last_used_at = now() + interval '1 day'",
        "UPDATE api_keys SET created_at = now() + interval '1 day'",
    ),
    "movement_not_as_made": (
        "UPDATE transactions SET ref = ref || '?' WHERE kind = 'grant'",
        "UPDATE transactions SET note = 'For another reason.' WHERE kind = 'adjust'",
        "UPDATE transactions SET note = 'For another reason.' WHERE kind = 'refund'",
        "UPDATE transactions SET note = 'Not asked for.' WHERE kind = 'charge'",
        "UPDATE transactions SET checksum = NULL WHERE kind = 'grant'",
        # the references of two grants, of two accounts
        "CREATE TEMP TABLE o AS SELECT account_id, ref FROM transactions WHERE kind = 'grant'; "
        "UPDATE transactions SET ref = 'away' || position || account_id WHERE kind = 'grant'; "
        "UPDATE transactions t SET ref = (SELECT ref FROM o WHERE o.account_id <> t.account_id LIMIT 1) "
        "WHERE kind = 'grant' AND position = 1",
        # the amounts of a grant and an adjustment: the balance is what it was
        "UPDATE lines l SET amount = CASE l.book WHEN 'available' THEN amount + 5 ELSE amount - 5 END "
        "FROM transactions t WHERE t.id = l.transaction_id AND t.kind = 'grant'; "
        "UPDATE lines l SET amount = CASE l.book WHEN 'available' THEN amount - 5 ELSE amount + 5 END "
        "FROM transactions t WHERE t.id = l.transaction_id AND t.kind = 'adjust'",
    ),
    "movement_not_when_made": (
        "UPDATE transactions SET created_at = created_at - interval '1 hour'",
        "UPDATE transactions SET created_at = now() + interval '1 hour' WHERE kind = 'grant'",
    ),
    "hold_lease_too_long": ("UPDATE holds SET lease_until = now() + interval '1 year' WHERE state = 'open'",),
    "usage_contradicts_itself": (
        "UPDATE usage SET cached_tokens = input_tokens + 1",
        "UPDATE usage SET output_tokens = -1",
        "UPDATE usage SET input_tokens = 7 WHERE source = 'flat'",
        "UPDATE usage SET provider_cost = -1",
        """UPDATE usage SET meters = '{"output": 1, "web_search": 1}'""",
    ),
    "usage_day_contradicts_itself": (
        "UPDATE usage_days SET calls = 0",
        "UPDATE usage_days SET costed = calls + 1",
        "UPDATE usage_days SET day = day + 30",
        "UPDATE usage_days SET provider_cost = 3, costed = 0",
    ),
    "idempotency_contradicts_itself": (
        "INSERT INTO idempotency (account_id, scope, fingerprint, expires_at) "
        "SELECT id, 's', 'f', now() + interval '1 day' FROM accounts LIMIT 1",
        "INSERT INTO idempotency (account_id, scope, fingerprint, hold_id, created_at, expires_at) "
        "SELECT account_id, 's', 'f', id, now() - interval '1 hour', now() + interval '1 day' FROM holds LIMIT 1",
        "INSERT INTO idempotency (account_id, scope, fingerprint, hold_id, created_at, expires_at) "
        "SELECT account_id, 's', 'f', id, now() + interval '2 days', now() + interval '1 day' FROM holds LIMIT 1",
    ),
    "job_contradicts_itself": (
        "UPDATE media_jobs SET progress = 100 WHERE state = 'queued'",
        "UPDATE media_jobs SET progress = 40 WHERE state = 'succeeded'",
        "UPDATE media_jobs SET started_at = NULL WHERE state = 'succeeded'",
        "UPDATE media_jobs SET started_at = created_at - interval '1 day'",
        "UPDATE media_jobs SET finished_at = created_at - interval '1 day' WHERE state = 'failed'",
        "UPDATE media_jobs SET expires_at = finished_at WHERE state = 'succeeded'",
        "UPDATE media_jobs SET outputs_deleted_at = finished_at WHERE state = 'succeeded'",
        "UPDATE media_jobs SET provider_job_id = 'x' WHERE state = 'queued'",
        "UPDATE media_jobs SET provider_job_id = 'x', submit_intended_at = NULL WHERE state = 'succeeded'",
        "UPDATE media_jobs SET credits_cost = -credits_cost",
        "UPDATE media_jobs SET outputs = outputs || outputs WHERE state = 'succeeded'",
        "UPDATE media_jobs SET outputs = jsonb_set(outputs, '{0,bytes}', '-3') WHERE state = 'succeeded'",
    ),
    "job_twice_at_its_provider": ("UPDATE media_jobs SET provider_job_id = 'one'",),
    "job_not_when_held": (
        "UPDATE media_jobs SET created_at = created_at + interval '1 hour'",
        "UPDATE media_jobs SET finished_at = finished_at + interval '1 hour' WHERE state = 'failed'",
    ),
    "record_of_the_future": (
        "INSERT INTO audits (began_at, whole, clean, drift_credits, counts) "
        "VALUES (now() + interval '1 year', true, true, 0, '{}')",
        "INSERT INTO storage_scans (id, finished_at) VALUES (1, now() + interval '1 year')",
    ),
    "hold_not_as_priced": (
        # an open hold's frozen prices, limits and bounds
        "UPDATE holds SET prices = jsonb_set(prices, '{rates,output}', '1') WHERE state = 'open'",
        """UPDATE holds SET prices = jsonb_set(prices, '{tiers}', '[{"above": -1, "rates": {"input": 0,
        "output": 2000000000}}]') WHERE state = 'open'""",
        "UPDATE holds SET output_limit = output_limit + 1, tokens_taken = tokens_taken + 1 WHERE state = 'open'",
        "UPDATE holds SET input_bound = input_bound + 5, tokens_taken = tokens_taken + 5 WHERE kind = 'chat'",
        "UPDATE holds SET choices = 2, tokens_taken = 2 * tokens_taken WHERE kind = 'chat'",
    ),
    "prices_not_of_their_version": (
        "UPDATE holds SET prices = jsonb_set(prices, '{rates,cached_input}', '1') WHERE state = 'open'",
        """UPDATE holds SET prices = prices || '{"service_tiers": {"default": {"rates": {"input": 1, "output": 1,
        "cached_input": 1, "cache_write": 1}}}}' WHERE state = 'open'""",
    ),
    "guard_missing": (
        "ALTER TABLE lines DISABLE TRIGGER exact",
        "ALTER TABLE transactions DISABLE TRIGGER append_only",
        "ALTER TABLE lines ENABLE REPLICA TRIGGER append_only",
        "DROP TRIGGER posted ON transactions",
        "DROP TRIGGER checksum ON api_key_secrets",
        "ALTER TABLE holds DISABLE TRIGGER ALL",
        "ALTER TABLE holds DROP CONSTRAINT ck_holds_amounts",
        "ALTER TABLE media_jobs DROP CONSTRAINT ck_media_jobs_own_outputs",
        "ALTER TABLE transactions DROP CONSTRAINT fk_transactions_account_id_accounts",
        "DROP INDEX uq_transactions_account_id_position",
        "DROP INDEX uq_transactions_hold_id_kind",
    ),
    # Pairs of errors that make up for one another, and rows that are somebody else's.
    "held_drift": (
        "UPDATE accounts SET held = held + 3, available = available - 3",
        "UPDATE accounts a SET available = o.available, held = o.held, open_holds = o.open_holds FROM accounts o "
        "WHERE o.id <> a.id",
    ),
    "hold_not_placed": (
        "UPDATE holds SET amount = amount + CASE state WHEN 'open' THEN 7 ELSE -7 END "
        "WHERE kind = 'chat' AND amount > 0",
    ),
    "charge_without_settled_hold": (
        # a settled hold opened again, with all of its columns as an open one's
        "UPDATE holds SET state = 'open', charged = 0, closed_at = NULL, closed_by = NULL, "
        "lease_until = now() + interval '20 seconds' WHERE state = 'settled' AND refunded = 0 AND kind = 'chat'",
    ),
    "usage_not_as_held": (
        "UPDATE usage SET cached_tokens = cached_tokens + 5, cache_write_tokens = cache_write_tokens - 5",
    ),
    "usage_not_as_booked": (
        "UPDATE usage u SET credits = o.credits FROM usage o WHERE o.hold_id <> u.hold_id AND o.credits <> u.credits",
        "UPDATE usage u SET account_id = (SELECT id FROM accounts a WHERE a.id <> u.account_id)",
    ),
    "usage_day_not_as_booked": (
        "UPDATE usage_days d SET account_id = (SELECT id FROM accounts a WHERE a.id <> d.account_id)",
        "UPDATE usage_days SET day = day - 1",
    ),
    "refund_not_as_charged": (
        "DROP INDEX uq_transactions_hold_id_kind; "
        "INSERT INTO transactions (id, kind, account_id, hold_id, position, note) "
        "SELECT uuidv7(), 'refund', account_id, hold_id, position + 900, 'again' FROM transactions "
        "WHERE kind = 'refund'; "
        "INSERT INTO lines SELECT t.id, l.book, l.account_id, l.amount FROM transactions t JOIN transactions o "
        "ON o.hold_id = t.hold_id AND o.kind = 'refund' AND o.position = t.position - 900 "
        "JOIN lines l ON l.transaction_id = o.id WHERE t.position > 900",
    ),
    "position_drift": (
        "UPDATE transactions SET position = position + 100 WHERE position > 3",
        "DELETE FROM lines l USING transactions t WHERE t.id = l.transaction_id AND t.kind = 'adjust'; "
        "UPDATE accounts a SET available = available + 25, movements = movements - 1 FROM transactions t "
        "WHERE t.account_id = a.id AND t.kind = 'adjust'; DELETE FROM transactions WHERE kind = 'adjust'",
    ),
    "idempotency_of_another_account": (
        "INSERT INTO idempotency (account_id, scope, fingerprint, hold_id, sealed, expires_at) SELECT a.id, 's', 'f', "
        "h.id, 'x', now() + interval '1 day' FROM holds h JOIN accounts a ON a.id <> h.account_id "
        "WHERE h.state = 'settled' LIMIT 1",
    ),
    "job_not_as_hold": (
        "UPDATE media_jobs j SET state = o.state, finished_at = o.finished_at, expires_at = o.expires_at "
        "FROM media_jobs o WHERE o.id <> j.id AND o.state IN ('failed', 'queued') AND j.state IN ('failed', 'queued')",
    ),
}

IMPOSSIBLE = (
    "INSERT INTO transactions (kind, account_id, hold_id, position) "
    "SELECT kind, account_id, hold_id, position + 900 FROM transactions WHERE kind = 'refund'",
    "INSERT INTO transactions (kind, account_id, ref, position) "
    "SELECT kind, account_id, 'again', position FROM transactions WHERE kind = 'grant'",
    "INSERT INTO users (id, account_id, email) SELECT gen_random_uuid(), account_id, 'other' FROM users",
    "UPDATE media_jobs j SET outputs = (SELECT outputs FROM media_jobs o WHERE o.state = 'succeeded' LIMIT 1) "
    "WHERE j.state <> 'succeeded'",
    "DELETE FROM accounts",
    "DELETE FROM api_keys",
    "UPDATE holds SET charged = -charged WHERE charged > 0",
    "UPDATE accounts SET held = -1",
    "UPDATE lines SET amount = amount + 1",
    "DELETE FROM transactions",
    "TRUNCATE transactions",
)
"""What not even the owner can do while triggers and constraints stand."""
