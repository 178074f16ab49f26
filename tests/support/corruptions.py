"""More ways to corrupt the books, by the check that must name them: one way is one transaction of SQL."""

MORE: dict[str, tuple[str, ...]] = {
    "payment_not_as_given": (
        "UPDATE payments SET credits = credits + 1",
        "UPDATE lines SET amount = amount - 1 WHERE book = 'available' AND transaction_id = "
        "(SELECT id FROM transactions WHERE ref = 'stripe:pi_1')",
        "UPDATE plan_terms SET months_given = 0",
    ),
    "payment_not_as_taken": (
        "UPDATE payments SET taken = taken - 1, due = due + 1 WHERE taken > 0",
        "UPDATE payments SET moves = 0",
    ),
    "payment_not_as_returned": (
        "UPDATE payments SET due = due + 1",
        "UPDATE payment_charges SET refunded = refunded + 1",
    ),
    "running_balance_drift": (
        "INSERT INTO running_balances SELECT id, movements, available + 1, held FROM accounts WHERE movements > 0",
        "INSERT INTO running_balances SELECT id, movements, available, held - 1 FROM accounts WHERE movements > 0",
    ),
    "account_without_data_key": ("DELETE FROM data_keys", "UPDATE accounts SET epoch = 2"),
    "key_without_its_secret": (
        "UPDATE api_key_secrets SET key_id = gen_random_uuid()",
        "UPDATE api_key_secrets SET created_at = now() + interval '1 day'",
    ),
    "secret_outlives_key": ("UPDATE api_keys SET revoked_at = now()",),
    "key_limits_wrong": (
        """UPDATE api_keys SET limits = '{"credits_day": -1}'""",
        """UPDATE api_keys SET limits = '{"credits_dya": 5}'""",
        """UPDATE api_keys SET limits = '{"requests": "5"}'""",
    ),
    "key_of_another_account": (
        "UPDATE api_keys SET account_id = gen_random_uuid()",
        "UPDATE holds SET key_id = gen_random_uuid() WHERE state = 'void'",
        "UPDATE usage SET key_id = gen_random_uuid()",
        "UPDATE usage_days SET key_id = gen_random_uuid()",
    ),
    "transaction_not_of_its_hold": (
        "UPDATE transactions SET account_id = gen_random_uuid() WHERE kind = 'charge'",
        "UPDATE holds SET account_id = gen_random_uuid() WHERE state = 'settled'",
    ),
    "usage_not_as_held": (
        "UPDATE usage SET key_id = NULL",
        "UPDATE usage SET model = 'another'",
        "UPDATE usage SET kind = 'video'",
        "UPDATE usage SET source = 'flat' WHERE kind = 'chat'",
        "UPDATE usage SET source = 'estimated' WHERE kind = 'chat'",
        "UPDATE holds SET model = 'another' WHERE state = 'settled'",
        "UPDATE holds SET closed_by = 'sweeper' WHERE state = 'settled'",
    ),
    "usage_not_when_charged": ("UPDATE usage SET created_at = created_at + interval '1 second'",),
    "usage_day_not_as_used": (
        "UPDATE usage_days SET model = 'another' WHERE kind = 'chat'",
        "UPDATE usage_days SET input_tokens = input_tokens + 1",
        "UPDATE usage_days SET output_tokens = output_tokens - 1",
        "UPDATE usage_days SET kind = 'video'",
        "UPDATE usage_days SET day = day - 1",
        "UPDATE usage_days SET provider_cost = provider_cost + 1",
        """UPDATE usage_days SET meters = '{"web_search": 1}'""",
        "UPDATE usage_days SET costed = costed + 1",
        "UPDATE usage SET input_tokens = input_tokens + 1 WHERE kind = 'image'",
    ),
    "idempotency_of_another_account": (
        "INSERT INTO idempotency (account_id, scope, fingerprint, hold_id, expires_at) "
        "SELECT gen_random_uuid(), 's', 'f', id, now() + interval '1 day' FROM holds LIMIT 1",
        "INSERT INTO idempotency (account_id, scope, fingerprint, hold_id, expires_at) "
        "SELECT gen_random_uuid(), 's', 'f', id, now() + interval '1 day' FROM api_keys LIMIT 1",
        "INSERT INTO idempotency (account_id, scope, fingerprint, hold_id, sealed, expires_at) "
        "SELECT id, 's', 'f', gen_random_uuid(), 'x', now() + interval '1 day' FROM accounts LIMIT 1",
    ),
    "idempotency_sealed_too_early": (
        "INSERT INTO idempotency (account_id, scope, fingerprint, hold_id, sealed, expires_at) "
        "SELECT account_id, 's', 'f', id, 'x', now() + interval '1 day' FROM holds WHERE state = 'void' LIMIT 1",
    ),
    "job_not_of_its_hold": (
        "UPDATE media_jobs SET model = 'another'",
        "UPDATE media_jobs SET kind = 'video'",
        "UPDATE media_jobs SET provider = 'another'",
        "UPDATE media_jobs SET provider_cost = 7",
        "UPDATE holds SET lease_until = now() + interval '1 day' WHERE kind = 'image' AND state = 'open'",
    ),
    "job_output_of_another": ("UPDATE media_jobs SET outputs = '[{}]' WHERE state = 'succeeded'",),
    "job_not_as_ended": (
        "UPDATE media_jobs SET finished_at = NULL WHERE state = 'failed'",
        "UPDATE media_jobs SET finished_at = now() WHERE state = 'queued'",
        "UPDATE media_jobs SET expires_at = NULL WHERE state = 'succeeded'",
        "UPDATE media_jobs SET deadline = created_at - interval '1 day'",
        """UPDATE media_jobs SET error = '{"code": "x"}' WHERE state = 'succeeded'""",
    ),
    "job_without_input": ("DELETE FROM job_inputs", "UPDATE job_inputs SET epoch = 9"),
    "audit_contradicts_itself": (
        "INSERT INTO audits (began_at, whole, clean, drift_credits, counts) "
        """VALUES (now(), true, true, 0, '{"held_drift": 1}')""",
    ),
    "postings_of_another_kind": (
        "UPDATE lines SET book = 'revenue', account_id = NULL WHERE book = 'grants'",
        "UPDATE lines SET book = 'grants' WHERE book = 'revenue' AND amount > 0",
        "UPDATE lines SET book = 'adjustments' WHERE book = 'grants'",
        "UPDATE transactions SET kind = 'grant', note = NULL WHERE kind = 'adjust'",
        "UPDATE transactions SET kind = 'extend' WHERE kind = 'refund'",
        "UPDATE transactions SET ref = NULL WHERE kind = 'grant'",
        "UPDATE transactions SET ref = 'mine' WHERE kind = 'refund'",
        "UPDATE transactions SET hold_id = NULL WHERE kind = 'refund'",
        "UPDATE transactions t SET hold_id = (SELECT id FROM holds h WHERE h.account_id = t.account_id LIMIT 1) "
        "WHERE ref LIKE 'opening:%'",
        "UPDATE lines l SET amount = amount - 7 FROM transactions t WHERE t.id = l.transaction_id AND t.kind = 'hold' "
        "AND book = 'available'; INSERT INTO lines SELECT id, 'revenue', NULL, 7 FROM transactions WHERE kind = 'hold'",
        "UPDATE lines l SET amount = amount + 7 FROM transactions t WHERE t.id = l.transaction_id "
        "AND t.kind = 'release' AND book = 'available'; "
        "INSERT INTO lines SELECT id, 'grants', NULL, -7 FROM transactions WHERE kind = 'release'",
    ),
    "position_drift": (
        "UPDATE accounts SET movements = movements + 1",
        "UPDATE accounts SET movements = movements - 1",
        "UPDATE accounts SET moved_at = moved_at - interval '1 day'",
        "UPDATE accounts SET moved_at = NULL",
        "UPDATE transactions SET position = position + 500 WHERE kind = 'adjust'",
        "DELETE FROM transactions WHERE kind = 'adjust'",
    ),
    "movement_out_of_order": (
        "UPDATE transactions SET created_at = created_at - interval '1 day' WHERE kind = 'adjust'",
        "UPDATE transactions SET position = -position",
    ),
    "hold_contradicts_itself": (
        "UPDATE holds SET closed_at = NULL WHERE state = 'settled'",
        "UPDATE holds SET closed_at = now() WHERE state = 'open'",
        "UPDATE holds SET closed_by = NULL WHERE state = 'void'",
        "UPDATE holds SET closed_by = 'nobody' WHERE state = 'void'",
        "UPDATE holds SET lease_until = now() WHERE state = 'settled'",
        "UPDATE holds SET charged = 5 WHERE state = 'void'",
        "UPDATE holds SET written_off = 5 WHERE state = 'open'",
        "UPDATE holds SET refunded = 5 WHERE state = 'void'",
        "UPDATE holds SET choices = 0",
        "UPDATE holds SET relayed_output = -1",
    ),
    "hold_amount_without_movement": ("UPDATE holds SET amount = 0 WHERE state = 'void'",),
    "hold_tokens_wrong": (
        "UPDATE holds SET tokens_taken = tokens_taken + 1",
        "UPDATE holds SET output_limit = output_limit + 1",
        "UPDATE holds SET choices = 2 WHERE kind = 'chat'",
        "UPDATE holds SET input_bound = input_bound + 1 WHERE kind = 'chat'",
    ),
    "hold_not_when_moved": (
        "UPDATE holds SET created_at = created_at - interval '1 day'",
        "UPDATE holds SET closed_at = closed_at + interval '1 day'",
        "UPDATE transactions SET created_at = created_at + interval '1 day'",
    ),
    "key_period_wrong": (
        "UPDATE api_keys SET day = day + 1",
        "UPDATE api_keys SET day = NULL",
        "UPDATE api_keys SET month = month - 31",
        "UPDATE api_keys SET month = NULL",
    ),
    "key_month_drift": (
        "UPDATE api_keys SET month_credits = month_credits - 1",
        "UPDATE api_keys SET month = NULL",
    ),
    "key_rate_behind_its_calls": (
        "UPDATE api_keys SET requests_tat = NULL",
        "UPDATE api_keys SET tokens_tat = tokens_tat - interval '1 day'",
        "UPDATE api_keys SET requests_tat = now() + interval '1 hour'",
    ),
    "account_rate_behind_its_calls": (
        "UPDATE accounts SET requests_tat = NULL",
        "UPDATE accounts SET tokens_tat = tokens_tat - interval '1 day'",
        "UPDATE accounts SET requests_tat = now() + interval '1 hour'",
    ),
    "roll_up_not_as_booked": (
        "UPDATE roll_ups SET credits = credits + 1",
        "UPDATE roll_ups SET written_off = written_off + 1",
        "UPDATE roll_ups SET transaction_id = NULL",
        "UPDATE lines SET amount = amount - 1 WHERE transaction_id IN (SELECT transaction_id FROM roll_ups)",
    ),
    "purge_movement_without_roll_up": ("DELETE FROM roll_ups",),
    "rolled_up_with_faults": ("UPDATE roll_ups SET faults = 1",),
    "roll_up_contradicts_itself": (
        "UPDATE roll_ups SET charges = calls + 1",
        "UPDATE roll_ups SET movements = 1",
        "UPDATE roll_ups SET usage_entries = charges + 1",
        "UPDATE roll_ups SET account_id = (SELECT id FROM accounts WHERE id <> account_id LIMIT 1)",
    ),
    "call_outlived_its_purge": (
        "UPDATE holds SET epoch = epoch - 1 WHERE state <> 'erased'",
        "UPDATE accounts SET epoch = epoch + 1",
        "UPDATE holds SET epoch = 99",
    ),
    "key_outlived_its_purge": ("UPDATE accounts SET epoch = epoch + 1",),
    "purge_without_receipt": (
        "UPDATE purges SET completed_at = now()",
        "DELETE FROM purge_receipts",
        "UPDATE purge_receipts SET number = 7",
    ),
}
