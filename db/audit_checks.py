"""The audit's checks: name → a query that returns (subject, detail) for each fault.

Rows that are kept for a limited time may be missing before the horizon that was recorded when they were deleted, and
not after it. Their movements are never deleted, and are always checked: `_FORGOTTEN`.
"""

import re

from db.audit_guards import GUARDS
from db.audit_payments import PAYMENTS
from db.audit_postings import POSTINGS
from db.audit_prices import PRICES
from db.audit_purges import PURGES
from db.audit_references import REFERENCES
from db.audit_rows import ROWS

_SUMS = {
    "transaction_unbalanced": """
        SELECT transaction_id, 'lines sum to ' || sum(amount) FROM lines GROUP BY transaction_id HAVING sum(amount) <> 0
    """,
    "ledger_unbalanced": """
        SELECT 'ledger', 'all lines sum to ' || sum(amount) FROM lines HAVING sum(amount) <> 0
    """,
    "transaction_without_lines": """
        SELECT t.id, t.kind FROM transactions t WHERE NOT EXISTS (SELECT FROM lines l WHERE l.transaction_id = t.id)
    """,
    "line_without_transaction": """
        SELECT l.transaction_id, l.book FROM lines l
        WHERE NOT EXISTS (SELECT FROM transactions t WHERE t.id = l.transaction_id)
    """,
    "line_of_another_account": """
        SELECT l.transaction_id, l.book FROM lines l JOIN transactions t ON t.id = l.transaction_id
        WHERE l.account_id <> t.account_id
    """,
    "balance_negative": """
        SELECT id, 'available ' || available || ', held ' || held FROM accounts WHERE available < 0 OR held < 0
    """,
    "available_drift": """
        SELECT a.id, 'available is ' || a.available || ', its lines sum to ' || coalesce(s.amount, 0)
        FROM accounts a LEFT JOIN (
            SELECT account_id, sum(amount) AS amount FROM lines WHERE book = 'available' GROUP BY account_id
        ) s ON s.account_id = a.id
        WHERE a.available <> coalesce(s.amount, 0)
    """,
    "held_drift": """
        SELECT a.id, 'held is ' || a.held || ', its lines sum to ' || coalesce(s.amount, 0)
        FROM accounts a LEFT JOIN (
            SELECT account_id, sum(amount) AS amount FROM lines WHERE book = 'held' GROUP BY account_id
        ) s ON s.account_id = a.id
        WHERE a.held <> coalesce(s.amount, 0)
    """,
    "lines_of_missing_account": """
        SELECT l.account_id, 'lines sum to ' || sum(l.amount) FROM lines l
        WHERE l.account_id IS NOT NULL AND NOT EXISTS (SELECT FROM accounts a WHERE a.id = l.account_id)
        GROUP BY l.account_id
    """,
}

_HOLDS = {
    "held_not_open_holds": """
        SELECT a.id, 'held is ' || a.held || ', open holds sum to ' || coalesce(s.amount, 0)
        FROM accounts a LEFT JOIN (
            SELECT account_id, sum(amount) AS amount FROM holds WHERE state = 'open' GROUP BY account_id
        ) s ON s.account_id = a.id
        WHERE a.held <> coalesce(s.amount, 0)
    """,
    "open_holds_miscounted": """
        SELECT a.id, 'open_holds is ' || a.open_holds || ', there are ' || coalesce(s.n, 0)
        FROM accounts a LEFT JOIN (
            SELECT account_id, count(*) AS n FROM holds WHERE state = 'open' GROUP BY account_id
        ) s ON s.account_id = a.id
        WHERE a.open_holds <> coalesce(s.n, 0)
    """,
    "key_open_holds_miscounted": """
        SELECT k.id, 'open_holds is ' || k.open_holds || ', there are ' || coalesce(s.n, 0)
        FROM api_keys k LEFT JOIN (
            SELECT key_id, count(*) AS n FROM KEYS_HOLDS h WHERE state = 'open' GROUP BY key_id
        ) s ON s.key_id = k.id
        WHERE k.open_holds <> coalesce(s.n, 0)
    """,
    "key_budget_drift": """
        SELECT k.id, 'spent of ' || k.day || ' is ' || k.day_credits || ', its calls come to ' || coalesce(s.spent, 0)
        FROM api_keys k LEFT JOIN (
            SELECT key_id, (created_at AT TIME ZONE 'UTC')::date AS day,
                   sum(CASE state WHEN 'open' THEN amount ELSE charged - refunded END) AS spent
            FROM KEYS_HOLDS h GROUP BY 1, 2
        ) s ON s.key_id = k.id AND s.day = k.day
        WHERE k.day >= (HOLDS_KEPT_FROM AT TIME ZONE 'UTC')::date AND k.day_credits <> coalesce(s.spent, 0)
          AND (k.day_credits < coalesce(s.spent, 0) OR NOT PURGED_SINCE(k.day))
    """,
    "usage_day_drift": """
        SELECT coalesce(d.account_id, u.account_id), coalesce(d.day, u.day) || ': ' || coalesce(d.credits, 0)
               || ' rolled up, ' || coalesce(u.credits, 0) || ' in single rows'
        FROM (SELECT account_id, day, sum(credits) AS credits, sum(calls) AS calls FROM usage_days GROUP BY 1, 2) d
        FULL JOIN (
            SELECT account_id, (created_at AT TIME ZONE 'UTC')::date AS day, sum(credits) AS credits, count(*) AS calls
            FROM usage GROUP BY 1, 2
        ) u ON u.account_id = d.account_id AND u.day = d.day
        WHERE coalesce(d.day, u.day) >= (USAGE_KEPT_FROM AT TIME ZONE 'UTC')::date
          AND coalesce(d.account_id, u.account_id) NOT IN PURGING
          AND (d.credits IS DISTINCT FROM u.credits OR d.calls IS DISTINCT FROM u.calls)
    """,
    # ten seconds' grace: the sweeper runs every few seconds
    "hold_expired": """
        SELECT id, 'open, lease ran out at ' || lease_until FROM holds
        WHERE state = 'open' AND lease_until < clock_timestamp() - interval '10 seconds'
    """,
    "hold_not_placed": """
        SELECT h.id, h.state || ' for ' || h.amount || ' without a matching hold transaction'
        FROM holds h LEFT JOIN (
            SELECT t.hold_id, t.account_id, sum(l.amount) AS amount
            FROM transactions t JOIN lines l ON l.transaction_id = t.id AND l.book = 'held'
            WHERE t.kind IN ('hold', 'extend') GROUP BY t.hold_id, t.account_id
        ) p ON p.hold_id = h.id AND p.account_id = h.account_id
        WHERE h.amount > 0 AND p.amount IS DISTINCT FROM h.amount
    """,
    "settled_without_charge": """
        SELECT h.id, 'settled, charge transactions: ' || count(t.id)
        FROM holds h LEFT JOIN transactions t ON t.hold_id = h.id AND t.kind = 'charge'
        WHERE h.state = 'settled' GROUP BY h.id HAVING count(t.id) <> 1
    """,
    "charge_without_settled_hold": """
        SELECT t.id, 'charge of hold ' || coalesce(t.hold_id::text, '-') || ', which is ' || coalesce(h.state,
        'missing') FROM transactions t LEFT JOIN holds h ON h.id = t.hold_id
        WHERE t.kind = 'charge' AND h.state IS DISTINCT FROM 'settled'
          AND NOT (h.id IS NULL AND t.created_at < HOLDS_KEPT_FROM)
    """,
    "void_without_release": """
        SELECT h.id, 'void, release transactions: ' || count(t.id)
        FROM holds h LEFT JOIN transactions t ON t.hold_id = h.id AND t.kind = 'release'
        WHERE h.state = 'void' AND h.amount > 0 GROUP BY h.id HAVING count(t.id) <> 1
    """,
    "release_without_void_hold": """
        SELECT t.id, 'release of hold ' || coalesce(t.hold_id::text, '-') || ', which is ' || coalesce(h.state,
        'missing') FROM transactions t LEFT JOIN holds h ON h.id = t.hold_id
        WHERE t.kind = 'release' AND h.state IS DISTINCT FROM 'void'
          AND NOT (h.id IS NULL AND t.created_at < HOLDS_KEPT_FROM)
    """,
    "hold_transaction_without_hold": """
        SELECT t.id, t.kind || ' without its hold' FROM transactions t
        WHERE t.kind IN ('hold', 'extend', 'charge', 'release', 'refund')
          AND NOT EXISTS (SELECT FROM holds h WHERE h.id = t.hold_id) AND t.created_at >= HOLDS_KEPT_FROM
    """,
    "hold_not_emptied": """
        SELECT h.id, h.state || ', its held lines sum to ' || sum(l.amount)
        FROM holds h JOIN transactions t ON t.hold_id = h.id JOIN lines l ON l.transaction_id = t.id AND l.book = 'held'
        GROUP BY h.id, h.state, h.amount HAVING sum(l.amount) <> CASE WHEN h.state = 'open' THEN h.amount ELSE 0 END
    """,
}

_CHARGES = {
    "charge_not_as_held": """
        SELECT h.id, 'charged ' || h.charged || ', written off ' || h.written_off || ', lines say '
               || -coalesce(sum(l.amount) FILTER (WHERE l.book IN ('available', 'held')), 0) || ' and '
               || -coalesce(sum(l.amount) FILTER (WHERE l.book = 'written_off'), 0)
        FROM holds h JOIN transactions t ON t.hold_id = h.id AND t.kind = 'charge'
        JOIN lines l ON l.transaction_id = t.id
        GROUP BY h.id, h.charged, h.written_off
        HAVING -coalesce(sum(l.amount) FILTER (WHERE l.book IN ('available', 'held')), 0) <> h.charged
            OR -coalesce(sum(l.amount) FILTER (WHERE l.book = 'written_off'), 0) <> h.written_off
    """,
    "charge_without_usage": """
        SELECT t.hold_id, 'charged without a usage entry' FROM transactions t
        WHERE t.kind = 'charge' AND t.created_at >= USAGE_KEPT_FROM
          AND NOT EXISTS (SELECT FROM usage u WHERE u.hold_id = t.hold_id)
    """,
    "usage_without_charge": """
        SELECT u.hold_id, 'usage entry of a hold that is ' || coalesce(h.state, 'missing')
        FROM usage u LEFT JOIN holds h ON h.id = u.hold_id
        WHERE h.state IS DISTINCT FROM 'settled' AND NOT (h.id IS NULL AND u.created_at < HOLDS_KEPT_FROM)
    """,
    "usage_not_as_charged": """
        SELECT u.hold_id, 'usage says ' || u.credits || ' + ' || u.written_off || ', charged '
               || h.charged || ' + ' || h.written_off
        FROM usage u JOIN holds h ON h.id = u.hold_id
        WHERE u.credits <> h.charged OR u.written_off <> h.written_off OR u.account_id <> h.account_id
    """,
    "charge_not_as_priced": """
        SELECT h.id, 'charged ' || h.charged || ' + ' || h.written_off || ' for ' || u.input_tokens || ' + '
               || u.output_tokens || ' tokens that cost ' || p.exact
        FROM holds h JOIN usage u ON u.hold_id = h.id CROSS JOIN LATERAL (
            SELECT coalesce((
                SELECT t -> 'rates' FROM jsonb_array_elements(price -> 'tiers') t
                WHERE u.input_tokens > (t ->> 'above')::bigint ORDER BY (t ->> 'above')::bigint DESC LIMIT 1
            ), price -> 'rates') AS rates
            FROM coalesce(h.prices #> ARRAY['service_tiers', u.service_tier], h.prices) AS price
        ) r CROSS JOIN LATERAL (SELECT ceil((
            CASE WHEN u.meters <> '{}' THEN (
                SELECT sum((rates ->> key)::numeric * value::bigint) FROM jsonb_each_text(u.meters)
            ) ELSE (rates ->> 'input')::numeric * (u.input_tokens - u.cached_tokens - u.cache_write_tokens)
            + (rates ->> 'cached_input')::numeric * u.cached_tokens
            + (rates ->> 'cache_write')::numeric * u.cache_write_tokens
            + (rates ->> 'output')::numeric * u.output_tokens END) / 1000000000) AS exact) p
        WHERE h.prices IS NOT NULL
          AND h.charged + h.written_off NOT IN (p.exact, greatest(p.exact, 10), least(p.exact, h.amount))
    """,
    "flat_charge_not_as_held": """
        SELECT h.id, 'charged ' || h.charged || ' of a flat ' || h.amount
        FROM holds h LEFT JOIN media_jobs j ON j.id = h.id
        WHERE h.state = 'settled' AND h.prices IS NULL AND h.charged <> CASE WHEN j.id IS NULL THEN h.amount
            ELSE ceil(h.amount::numeric * least(jsonb_array_length(j.outputs), j.outputs_ordered) / j.outputs_ordered)
            END
    """,
    "refund_not_as_charged": """
        SELECT h.id, 'refunded ' || h.refunded || ' of ' || h.charged || ', lines say ' || coalesce(sum(l.amount), 0)
        FROM holds h LEFT JOIN transactions t ON t.hold_id = h.id AND t.kind = 'refund'
        LEFT JOIN lines l ON l.transaction_id = t.id AND l.book = 'available'
        WHERE h.refunded <> 0 OR t.id IS NOT NULL
        GROUP BY h.id, h.refunded, h.charged HAVING h.refunded <> coalesce(sum(l.amount), 0) OR h.refunded <> h.charged
    """,
}

_OPERATOR = {
    "refund_not_reversing_charge": """
        SELECT h.id, 'charge posted ' || c.revenue || ' and ' || c.lost || ', its refund ' || r.revenue || ' and '
               || r.lost
        FROM holds h
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(l.amount) FILTER (WHERE l.book = 'revenue'), 0) AS revenue,
                   coalesce(sum(l.amount) FILTER (WHERE l.book = 'written_off'), 0) AS lost
            FROM transactions t JOIN lines l ON l.transaction_id = t.id WHERE t.hold_id = h.id AND t.kind = 'charge') c
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(l.amount) FILTER (WHERE l.book = 'revenue'), 0) AS revenue,
                   coalesce(sum(l.amount) FILTER (WHERE l.book = 'written_off'), 0) AS lost
            FROM transactions t JOIN lines l ON l.transaction_id = t.id WHERE t.hold_id = h.id AND t.kind = 'refund') r
        WHERE h.refunded > 0 AND (c.revenue <> -r.revenue OR c.lost <> -r.lost)
    """,
    "adjustment_not_as_booked": """
        SELECT t.id, t.kind || ' of ' || coalesce(a.amount, 0) || ', in the book of adjustments '
               || coalesce(b.amount, 0)
        FROM transactions t
        LEFT JOIN lines a ON a.transaction_id = t.id AND a.book = 'available'
        LEFT JOIN lines b ON b.transaction_id = t.id AND b.book = 'adjustments'
        WHERE (t.kind = 'adjust' OR b.amount IS NOT NULL)
          AND (t.kind <> 'adjust' OR t.hold_id IS NOT NULL OR t.ref IS NULL OR coalesce(t.note, '') = ''
               OR a.amount IS DISTINCT FROM -b.amount)
    """,
    "charged_above_max_credits": """
        SELECT id, 'charged ' || charged || ' of at most ' || max_credits FROM holds
        WHERE max_credits IS NOT NULL AND (charged > max_credits OR amount > max_credits)
    """,
}

_JOBS = {
    "job_without_hold": """
        SELECT j.id, j.state || ' job' FROM media_jobs j WHERE NOT EXISTS (SELECT FROM holds h WHERE h.id = j.id)
    """,
    "job_not_as_hold": """
        SELECT j.id, j.state || ' job, ' || h.state || ' hold' FROM media_jobs j JOIN holds h ON h.id = j.id
        WHERE h.state <> CASE WHEN j.state IN ('queued', 'running') THEN 'open'
                              WHEN j.state = 'succeeded' THEN 'settled' ELSE 'void' END
    """,
    "job_cost_not_as_held": """
        SELECT j.id, 'costs ' || j.credits_cost || ', held ' || h.amount FROM media_jobs j JOIN holds h ON h.id = j.id
        WHERE j.credits_cost <> h.amount OR j.account_id <> h.account_id
    """,
    "job_refund_wrong": """
        SELECT j.id, j.state || ' job, refunded ' || j.credits_refunded || ' of ' || j.credits_cost
        FROM media_jobs j LEFT JOIN holds h ON h.id = j.id
        WHERE j.credits_refunded <> CASE WHEN j.state IN ('failed', 'cancelled') THEN j.credits_cost
                                         WHEN h.state = 'settled' THEN h.amount - h.charged + h.refunded ELSE 0 END
    """,
    "leaseless_hold_without_job": """
        SELECT h.id, 'open without a lease and without a job' FROM holds h
        WHERE h.state = 'open' AND h.lease_until IS NULL AND NOT EXISTS (SELECT FROM media_jobs j WHERE j.id = h.id)
    """,
    "input_of_ended_job": """
        SELECT i.job_id, 'the sealed input of a ' || j.state || ' job is still there'
        FROM job_inputs i JOIN media_jobs j ON j.id = i.job_id WHERE j.state NOT IN ('queued', 'running')
    """,
}

_FORGOTTEN = {
    "forgotten_hold_not_ended": """
        SELECT t.hold_id, 'gone, it ended ' || count(DISTINCT t.id) FILTER (WHERE t.kind IN ('charge', 'release'))
               || ' times, its held lines sum to ' || coalesce(sum(l.amount) FILTER (WHERE l.book = 'held'), 0)
        FROM transactions t JOIN lines l ON l.transaction_id = t.id
        WHERE t.hold_id IS NOT NULL AND NOT EXISTS (SELECT FROM holds h WHERE h.id = t.hold_id)
        GROUP BY t.hold_id
        HAVING count(DISTINCT t.id) FILTER (WHERE t.kind IN ('charge', 'release')) <> 1
            OR coalesce(sum(l.amount) FILTER (WHERE l.book = 'held'), 0) <> 0
    """,
    "usage_not_as_booked": """
        SELECT u.hold_id, 'usage says ' || u.credits || ' + ' || u.written_off || ', lines say '
               || coalesce(c.credits, 0) || ' + ' || coalesce(c.written_off, 0)
        FROM usage u LEFT JOIN (CHARGED) c ON c.hold_id = u.hold_id AND c.account_id = u.account_id
        WHERE u.credits IS DISTINCT FROM c.credits OR u.written_off IS DISTINCT FROM c.written_off
    """,
    "usage_day_not_as_booked": """
        SELECT coalesce(d.account_id, c.account_id), coalesce(d.day, c.day) || ': ' || coalesce(d.credits, 0)
               || ' rolled up, lines say ' || coalesce(c.credits, 0)
        FROM (SELECT account_id, day, sum(credits) AS credits, sum(calls) AS calls FROM usage_days GROUP BY 1, 2) d
        FULL JOIN (
            SELECT account_id, day, sum(credits) AS credits, count(*) AS calls FROM (CHARGED) e GROUP BY 1, 2
        ) c ON c.account_id = d.account_id AND c.day = d.day
        WHERE coalesce(d.account_id, c.account_id) NOT IN PURGING
          AND (d.credits IS DISTINCT FROM c.credits OR d.calls IS DISTINCT FROM c.calls)
    """,
    "usage_day_cost_drift": """
        SELECT coalesce(d.account_id, u.account_id), coalesce(d.day, u.day) || ': providers bill '
               || coalesce(d.cost, 0) || ' rolled up, ' || coalesce(u.cost, 0) || ' in single rows'
        FROM (SELECT account_id, day, sum(provider_cost) AS cost, sum(costed) AS costed FROM usage_days GROUP BY 1, 2) d
        FULL JOIN (
            SELECT account_id, (created_at AT TIME ZONE 'UTC')::date AS day, coalesce(sum(provider_cost), 0) AS cost,
                   count(provider_cost) AS costed
            FROM usage GROUP BY 1, 2
        ) u ON u.account_id = d.account_id AND u.day = d.day
        WHERE coalesce(d.day, u.day) >= (USAGE_KEPT_FROM AT TIME ZONE 'UTC')::date
          AND coalesce(d.account_id, u.account_id) NOT IN PURGING
          AND (d.cost IS DISTINCT FROM u.cost OR d.costed IS DISTINCT FROM u.costed)
    """,
    "usage_day_meters_drift": """
        SELECT coalesce(d.account_id, u.account_id), coalesce(d.day, u.day) || ': ' || coalesce(d.total, 0) || ' of '
               || coalesce(d.meter, u.meter) || ' rolled up, ' || coalesce(u.total, 0) || ' in single rows'
        FROM (
            SELECT account_id, day, model, key AS meter, sum(value::bigint) AS total
            FROM usage_days CROSS JOIN jsonb_each_text(meters) GROUP BY 1, 2, 3, 4
        ) d
        FULL JOIN (
            SELECT account_id, (created_at AT TIME ZONE 'UTC')::date AS day, model, key AS meter,
                   sum(value::bigint) AS total
            FROM usage CROSS JOIN jsonb_each_text(meters) GROUP BY 1, 2, 3, 4
        ) u ON u.account_id = d.account_id AND u.day = d.day AND u.model = d.model AND u.meter = d.meter
        WHERE coalesce(d.day, u.day) >= (USAGE_KEPT_FROM AT TIME ZONE 'UTC')::date
          AND coalesce(d.account_id, u.account_id) NOT IN PURGING
          AND d.total IS DISTINCT FROM u.total
    """,
    "horizon_too_late": """
        SELECT what, 'may be missing up to ' || horizon FROM pruned
        WHERE horizon > now() - interval '1 day'
    """,
}

_WORDS = {
    "PURGING": "(SELECT account_id FROM purges WHERE completed_at IS NULL AND part = '')",
    # the calls that a key's counters have: its own, and those of keys that were made with it
    "KEYS_HOLDS": """(
        SELECT key_id, state, amount, charged, refunded, created_at FROM holds WHERE key_id IS NOT NULL
        UNION ALL SELECT a, state, amount, charged, refunded, h.created_at
        FROM holds h JOIN api_keys o ON o.id = h.key_id CROSS JOIN LATERAL unnest(o.ancestors) a
        WHERE h.ancestor_tokens_limits IS NOT NULL)""",
    "HOLDS_KEPT_FROM": "(SELECT coalesce(max(horizon), '-infinity') FROM pruned WHERE what = 'holds')",
    "USAGE_KEPT_FROM": "(SELECT coalesce(max(horizon), '-infinity') FROM pruned WHERE what = 'usage')",
    "CHARGED": """
        SELECT t.hold_id, t.account_id, (t.created_at AT TIME ZONE 'UTC')::date AS day,
               -coalesce(sum(l.amount) FILTER (WHERE l.book IN ('available', 'held')), 0) AS credits,
               -coalesce(sum(l.amount) FILTER (WHERE l.book = 'written_off'), 0) AS written_off
        FROM transactions t JOIN lines l ON l.transaction_id = t.id WHERE t.kind = 'charge'
        GROUP BY t.hold_id, t.account_id, day
    """,
}


_PURGED_SINCE = r"EXISTS (SELECT FROM purges WHERE account_id = k.account_id AND part = '' AND requested_at >= \1)"
"""A purge erases the calls of a key, and leaves what they count towards its budgets."""


def _spelled_out(query: str) -> str:
    for word, meaning in _WORDS.items():
        query = query.replace(word, meaning)
    return re.sub(r"PURGED_SINCE\(([\w.]+)\)", _PURGED_SINCE, query)


_ALL = {
    **_SUMS,
    **_HOLDS,
    **_CHARGES,
    **_OPERATOR,
    **_JOBS,
    **_FORGOTTEN,
    **POSTINGS,
    **REFERENCES,
    **PRICES,
    **ROWS,
    **PAYMENTS,
    **GUARDS,
    **PURGES,
}
CHECKS: dict[str, str] = {name: _spelled_out(query) for name, query in _ALL.items()}
