"""The audit's checks of what a row says about itself, and of what two rows say that were written together."""

from domain.house_account import HOUSE_ACCOUNT
from domain.keys import SCOPES

_SCOPES = ", ".join(f"'{scope}'" for scope in sorted(SCOPES))

_CALLERS = {
    "account_without_user": f"""
        SELECT a.id, 'nobody signs in to it' FROM accounts a
        WHERE NOT EXISTS (SELECT FROM users u WHERE u.account_id = a.id) AND a.id <> '{HOUSE_ACCOUNT}'
    """,  # noqa: S608  # our own constant
    "user_not_of_its_account": """
        SELECT u.id, 'made at ' || u.created_at || ', its account at ' || a.created_at
        FROM accounts a JOIN users u ON u.account_id = a.id WHERE u.created_at <> a.created_at
    """,
    "account_younger_than_its_movements": """
        SELECT a.id, 'made at ' || a.created_at || ', its first movement is of ' || t.created_at
        FROM accounts a JOIN transactions t ON t.account_id = a.id AND t.position = 1
        WHERE t.created_at < a.created_at - interval '5 minutes'
    """,
    "data_key_not_of_its_account": """
        SELECT d.account_id, 'its data key of epoch ' || d.epoch || ' is not as it was made'
        FROM accounts a JOIN data_keys d ON d.account_id = a.id
        WHERE (d.wrapped IS NULL) <> (d.destroyed_at IS NOT NULL) OR d.epoch < 1
           OR d.wrapped IS NULL AND d.epoch = a.epoch OR d.wrapped IS NOT NULL AND d.checksum IS DISTINCT FROM
              checksum_of(encode(d.wrapped, 'hex'), d.account_id::text, d.epoch::text)
    """,
    "secret_not_of_its_key": """
        SELECT k.id, 'a secret of it, ' || s.masked || ', was made for another key or account'
        FROM api_keys k JOIN api_key_secrets s ON s.key_id = k.id
        WHERE s.checksum IS DISTINCT FROM
              checksum_of(encode(s.digest, 'hex'), s.masked, s.key_id::text, k.account_id::text)
    """,
    "key_with_many_secrets": """
        SELECT k.id, s.n || ' tokens of it work' FROM api_keys k JOIN (
            SELECT key_id, count(*) AS n FROM api_key_secrets
            WHERE revoked_at IS NULL AND coalesce(expires_at > now(), true) GROUP BY key_id
        ) s ON s.key_id = k.id WHERE s.n > 2
    """,
    "key_with_wrong_ancestors": """
        SELECT k.id, 'its ancestors are ' || array_to_string(k.ancestors, ' ') FROM api_keys k
        LEFT JOIN public.api_keys p ON p.id = k.ancestors[1]
        WHERE k.ancestors <> '{}' AND (p.account_id IS DISTINCT FROM k.account_id
              OR k.ancestors IS DISTINCT FROM p.id || p.ancestors OR k.created_at < p.created_at)
    """,
    "hold_ancestors_miscounted": """
        SELECT h.id, 'counts on ' || cardinality(h.ancestor_tokens_limits) || ' ancestors, its key has '
               || coalesce(cardinality(k.ancestors), 0)
        FROM holds h LEFT JOIN api_keys k ON k.id = h.key_id
        WHERE h.ancestor_tokens_limits IS NOT NULL
          AND cardinality(h.ancestor_tokens_limits) IS DISTINCT FROM cardinality(k.ancestors)
    """,
    "key_without_live_secret": """
        SELECT k.id, 'not revoked, and every secret of it is' FROM api_keys k
        WHERE k.revoked_at IS NULL
          AND NOT EXISTS (SELECT FROM api_key_secrets s WHERE s.key_id = k.id AND s.revoked_at IS NULL)
    """,
    "key_contradicts_itself": f"""
        SELECT k.id, 'made at ' || k.created_at || ', revoked at ' || coalesce(k.revoked_at::text, '-') || ', used at '
               || coalesce(k.last_used_at::text, '-') || ', for ' || array_to_string(k.scopes, ' ')
        FROM api_keys k LEFT JOIN (SELECT key_id, max(created_at) AS at FROM holds GROUP BY key_id) h ON h.key_id = k.id
        WHERE NOT k.scopes <@ ARRAY[{_SCOPES}] OR k.expires_at <= k.created_at
           OR k.revoked_at < k.created_at OR k.revoked_at > now() + interval '5 minutes'
           OR k.last_used_at NOT BETWEEN k.created_at - interval '5 minutes' AND now() + interval '5 minutes'
           OR coalesce(k.last_used_at, '-infinity') < h.at - interval '5 minutes'
           OR k.created_at > now() + interval '5 minutes'
           OR least(k.open_holds, k.day_credits, k.month_credits) < 0
    """,  # noqa: S608  # our own text
}

_CALLS = {
    "movement_not_as_made": """
        SELECT t.id, t.kind || ' of ' || coalesce(t.ref, 'no reference') || ' is not as it was made'
        FROM transactions t LEFT JOIN lines l ON l.transaction_id = t.id AND l.book = 'available'
        WHERE (t.ref IS NOT NULL OR t.note IS NOT NULL OR t.checksum IS NOT NULL) AND t.checksum IS DISTINCT FROM
              checksum_of(t.kind, t.account_id::text, t.hold_id::text, t.ref, t.note, l.amount::text)
    """,
    "movement_not_when_made": """
        SELECT id, kind || ' of ' || created_at || ', made at ' || uuid_extract_timestamp(id) FROM transactions
        WHERE created_at > now() + interval '5 minutes'
           OR abs(extract(epoch FROM created_at - uuid_extract_timestamp(id))) > 300
    """,
    "hold_lease_too_long": """
        SELECT id, 'its lease runs until ' || lease_until FROM holds
        WHERE state = 'open' AND lease_until > now() + interval '10 minutes'
    """,
    "usage_contradicts_itself": """
        SELECT u.hold_id, u.input_tokens || ' and ' || u.output_tokens || ' tokens are not what its parts come to'
        FROM usage u WHERE u.cached_tokens + u.cache_write_tokens > u.input_tokens
           OR least(u.input_tokens, u.output_tokens, u.credits, u.written_off) < 0 OR u.provider_cost < 0
           OR u.provider IS NULL AND u.provider_cost IS NOT NULL
           OR u.source = 'flat' AND (u.input_tokens, u.output_tokens) <> (0, 0)
           OR u.meters <> '{}' AND (u.input_tokens, u.output_tokens, u.cached_tokens, u.cache_write_tokens) <> (
              SELECT coalesce(sum(value::bigint) FILTER (
                         WHERE key LIKE '%input' OR key LIKE 'cache_write%'), 0),
                     coalesce(sum(value::bigint) FILTER (WHERE key LIKE '%output'), 0),
                     coalesce(sum(value::bigint) FILTER (WHERE key = 'cached_input'), 0),
                     coalesce(sum(value::bigint) FILTER (WHERE key = 'cache_write'), 0)
              FROM jsonb_each_text(u.meters))
    """,
    "usage_day_contradicts_itself": """
        SELECT account_id, day || ', ' || model || ': ' || calls || ' calls, ' || costed || ' of them with a cost'
        FROM usage_days WHERE calls < 1 OR costed NOT BETWEEN 0 AND calls OR day > (now() AT TIME ZONE 'UTC')::date + 1
           OR least(input_tokens, output_tokens, credits) < 0 OR provider_cost < 0 OR costed = 0 AND provider_cost <> 0
    """,
}

_RETAINED = {
    "idempotency_contradicts_itself": """
        SELECT i.account_id, 'an Idempotency-Key of ' || i.created_at || ' until ' || i.expires_at
               || ', which names what was made at ' || coalesce(h.created_at, k.created_at)
        FROM idempotency i LEFT JOIN holds h ON h.id = i.hold_id LEFT JOIN api_keys k ON k.id = i.hold_id
        WHERE i.expires_at > now() AND (i.hold_id IS NULL OR i.expires_at <= i.created_at
           OR i.created_at > now() + interval '5 minutes' OR abs(extract(
              epoch FROM i.created_at - coalesce(h.created_at, k.created_at))) > 60)
    """,
    "job_contradicts_itself": """
        SELECT id, state || ' job, made at ' || created_at || ', started at ' || coalesce(started_at::text, '-')
               || ', finished at ' || coalesce(finished_at::text, '-') || ', progress ' || coalesce(progress::text, '-')
        FROM media_jobs
        WHERE state = 'queued' AND (started_at, progress, provider_job_id) IS DISTINCT FROM (NULL, NULL, NULL)
           OR state IN ('running', 'succeeded') AND started_at IS NULL
           OR least(started_at, finished_at) < created_at - interval '5 minutes'
           OR finished_at < started_at - interval '5 minutes'
           OR greatest(started_at, finished_at, submit_intended_at, outputs_deleted_at) > now() + interval '5 minutes'
           OR progress NOT BETWEEN 0 AND 100 OR (progress = 100) <> (state = 'succeeded')
           OR provider_job_id IS NOT NULL AND submit_intended_at IS NULL
           OR expires_at <= finished_at OR outputs_deleted_at < finished_at - interval '5 minutes'
           OR state = 'succeeded' AND outputs_deleted_at < expires_at - interval '5 minutes'
           OR outputs_deleted_at IS NOT NULL AND state IN ('queued', 'running')
           OR provider_cost < 0 OR credits_cost < 1
           OR jsonb_path_exists(outputs, '$[*].bytes ? (@ < 0)')
           OR jsonb_array_length(outputs) <> (SELECT count(DISTINCT o ->> 'object_key')
                                              FROM jsonb_array_elements(outputs) o)
    """,
    "job_twice_at_its_provider": """
        SELECT min(id::text), count(*) || ' jobs are one job of the provider ' || provider FROM media_jobs
        WHERE provider_job_id IS NOT NULL GROUP BY provider, provider_job_id HAVING count(*) > 1
    """,
    "job_not_when_held": """
        SELECT j.id, 'job of ' || j.created_at || ' to ' || coalesce(j.finished_at::text, '-') || ', held from '
               || h.created_at || ' to ' || coalesce(h.closed_at::text, '-')
        FROM media_jobs j JOIN holds h ON h.id = j.id
        WHERE j.created_at > h.created_at + interval '5 minutes'
           OR abs(extract(epoch FROM j.finished_at - h.closed_at)) > 300
    """,
    "record_of_the_future": """
        SELECT 'audit ' || id, 'began at ' || began_at FROM audits WHERE began_at > now() + interval '5 minutes'
        UNION ALL
        SELECT 'storage scan', 'finished at ' || finished_at FROM storage_scans
        WHERE finished_at > now() + interval '5 minutes'
    """,
}

ROWS = {**_CALLERS, **_CALLS, **_RETAINED}
