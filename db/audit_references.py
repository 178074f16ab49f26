"""The audit's checks between tables: owners, times and counts of rows that refer to one another."""

REFERENCES = {
    "account_without_data_key": """
        SELECT a.id, 'there is no data key of its epoch ' || a.epoch FROM accounts a
        WHERE NOT EXISTS (SELECT FROM data_keys d WHERE d.account_id = a.id AND d.epoch = a.epoch)
    """,
    "key_without_its_secret": """
        SELECT k.id, 'no secret of it is as old as the key' FROM api_keys k
        WHERE NOT EXISTS (SELECT FROM api_key_secrets s WHERE s.key_id = k.id AND s.created_at = k.created_at)
    """,
    "secret_outlives_key": """
        SELECT k.id, 'revoked, and a secret of it is not' FROM api_keys k JOIN api_key_secrets s ON s.key_id = k.id
        WHERE k.revoked_at IS NOT NULL AND s.revoked_at IS NULL
    """,
    "key_limits_wrong": """
        SELECT k.id, 'limit ' || l.key || ' is ' || l.value FROM api_keys k, jsonb_each(k.limits) l
        WHERE l.key NOT IN ('requests', 'tokens', 'concurrent', 'credits_day', 'credits_month')
           OR jsonb_typeof(l.value) <> 'number' OR l.value::text !~ '^[0-9]+$'
    """,
    "key_of_another_account": """
        SELECT u.id, u.what || ' with a key of another account' FROM (
            SELECT id, account_id, key_id, 'hold' AS what FROM holds
            UNION ALL SELECT hold_id, account_id, key_id, 'usage' FROM usage
            UNION ALL SELECT account_id, account_id, key_id, 'usage of a day' FROM usage_days
            WHERE key_id <> '00000000-0000-0000-0000-000000000000'
        ) u LEFT JOIN api_keys k ON k.id = u.key_id
        WHERE u.key_id IS NOT NULL AND k.account_id IS DISTINCT FROM u.account_id
    """,
    "transaction_not_of_its_hold": """
        SELECT t.id, t.kind || ' of account ' || t.account_id || ', its hold is of ' || h.account_id
        FROM transactions t JOIN holds h ON h.id = t.hold_id WHERE h.account_id <> t.account_id
    """,
    "usage_not_as_held": """
        SELECT u.hold_id, 'usage of ' || u.kind || ' ' || u.model || ', held for ' || h.kind || ' ' || h.model
               || '; source ' || u.source || ', closed by ' || coalesce(h.closed_by, '-')
        FROM usage u JOIN holds h ON h.id = u.hold_id
        WHERE u.key_id IS DISTINCT FROM h.key_id OR u.kind <> h.kind
           OR u.model <> h.model AND NOT coalesce(
               h.prices #> ARRAY['service_tiers', u.service_tier] IS NOT NULL
               AND (u.service_tier = 'model:' || u.model OR starts_with(u.service_tier, 'model:' || u.model || ' ')),
               false)
           OR u.source NOT IN ('provider', 'counted', 'estimated', 'flat') OR u.cached_tokens < 0
           OR (u.source = 'flat') <> (h.prices IS NULL) OR u.cache_write_tokens < 0
           OR (h.closed_by = 'sweeper') <> (u.source = 'estimated')
           OR u.source = 'estimated' AND (u.input_tokens, u.output_tokens) <> (h.input_count, h.relayed_output)
    """,
    "usage_not_when_charged": """
        SELECT u.hold_id, 'usage of ' || u.created_at || ', charged at ' || t.created_at
        FROM usage u JOIN transactions t ON t.hold_id = u.hold_id AND t.kind = 'charge'
        WHERE u.created_at <> t.created_at
    """,
    "usage_day_not_as_used": """
        SELECT coalesce(d.account_id, u.account_id), coalesce(d.day, u.day) || ', ' || coalesce(d.model, u.model)
               || ': rolled up other than its single rows'
        FROM usage_days d
        FULL JOIN (
            SELECT account_id, (created_at AT TIME ZONE 'UTC')::date AS day, model,
                   coalesce(key_id, '00000000-0000-0000-0000-000000000000') AS key_id, min(kind) AS kind,
                   count(*) AS calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
                   sum(credits) AS credits, coalesce(sum(provider_cost), 0) AS provider_cost,
                   count(provider_cost) AS costed,
                   coalesce(meters_total(meters) FILTER (WHERE meters <> '{}'), '{}') AS meters, epoch
            FROM usage GROUP BY account_id, 2, model, 4, epoch
        ) u USING (account_id, day, model, key_id, epoch)
        WHERE coalesce(d.day, u.day) >= (USAGE_KEPT_FROM AT TIME ZONE 'UTC')::date
          AND coalesce(d.account_id, u.account_id) NOT IN PURGING
          AND (d.kind, d.calls, d.input_tokens, d.output_tokens, d.credits, d.provider_cost, d.costed, d.meters)
              IS DISTINCT FROM
              (u.kind, u.calls, u.input_tokens, u.output_tokens, u.credits, u.provider_cost, u.costed, u.meters)
    """,
    "idempotency_of_another_account": """
        SELECT i.account_id, 'its Idempotency-Key names what belongs to '
               || coalesce(o.account_id::text, 'nobody')
        FROM idempotency i LEFT JOIN LATERAL (
            SELECT account_id FROM holds WHERE id = i.hold_id
            UNION ALL SELECT account_id FROM api_keys WHERE id = i.hold_id
            UNION ALL SELECT account_id FROM transactions WHERE hold_id = i.hold_id AND kind = 'hold'
            UNION ALL SELECT account_id FROM shares WHERE id = i.hold_id
            UNION ALL SELECT account_id FROM conversations WHERE id = i.hold_id
            UNION ALL SELECT account_id FROM purges WHERE id = i.hold_id
            UNION ALL SELECT account_id FROM webhook_endpoints WHERE id = i.hold_id
            LIMIT 1
        ) o ON true
        WHERE i.hold_id IS NOT NULL AND i.expires_at > now() AND o.account_id IS DISTINCT FROM i.account_id
          AND (o.account_id IS NOT NULL OR i.sealed IS NOT NULL)  -- a share or a conversation may have been deleted
    """,
    "idempotency_sealed_too_early": """
        SELECT i.account_id, 'an answer is sealed for a call that is ' || h.state
        FROM idempotency i JOIN holds h ON h.id = i.hold_id WHERE i.sealed IS NOT NULL AND h.state <> 'settled'
    """,
    "job_not_of_its_hold": """
        SELECT j.id, 'job of ' || j.kind || ' ' || j.model || ', held for ' || h.kind || ' ' || h.model
        FROM media_jobs j JOIN holds h ON h.id = j.id LEFT JOIN usage u ON u.hold_id = j.id
        WHERE j.kind <> h.kind OR j.model <> h.model OR h.lease_until IS NOT NULL OR h.prices IS NOT NULL
           OR u.provider IS DISTINCT FROM j.provider AND u.hold_id IS NOT NULL
           OR u.provider_cost IS DISTINCT FROM j.provider_cost AND u.hold_id IS NOT NULL
    """,
    "job_output_of_another": """
        SELECT j.id, 'an output is not of this job and account' FROM media_jobs j, jsonb_array_elements(j.outputs) o
        WHERE coalesce(o ->> 'object_key', '') NOT LIKE
              replace(j.account_id::text, '-', '') || '/' || replace(j.id::text, '-', '') || '/%'
    """,
    "job_not_as_ended": """
        SELECT j.id, j.state || ', finished at ' || coalesce(j.finished_at::text, 'no time') FROM media_jobs j
        WHERE (j.finished_at IS NULL) <> (j.state IN ('queued', 'running'))
           OR (j.expires_at IS NULL) <> (j.state <> 'succeeded')
           OR j.error IS NOT NULL AND j.state NOT IN ('failed', 'cancelled')
           OR j.outputs <> '[]' AND j.state <> 'succeeded' OR j.deadline <= j.created_at
    """,
    "job_without_input": """
        SELECT j.id, j.state || ' job, its sealed input is gone, or sealed with a key that is' FROM media_jobs j
        WHERE j.state IN ('queued', 'running') AND NOT EXISTS (
            SELECT FROM job_inputs i JOIN data_keys d ON d.epoch = i.epoch AND d.account_id = j.account_id
            WHERE i.job_id = j.id)
    """,
    "audit_contradicts_itself": """
        SELECT id, 'an audit of ' || began_at || ' that is clean and found something, or neither' FROM audits
        WHERE clean <> (counts = '{}') OR clean AND drift_credits <> 0
    """,
}
