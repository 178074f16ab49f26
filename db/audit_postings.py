"""The audit's checks of the postings and position of each movement, and of the columns of a hold."""

_SHAPES = """
    SELECT t.id, t.kind, t.hold_id, t.ref, t.note, l.* FROM transactions t JOIN (
        SELECT transaction_id, sum(amount) AS total,
               coalesce(sum(amount) FILTER (WHERE book = 'available'), 0) AS available,
               coalesce(sum(amount) FILTER (WHERE book = 'held'), 0) AS held,
               coalesce(sum(amount) FILTER (WHERE book = 'revenue'), 0) AS revenue,
               coalesce(sum(amount) FILTER (WHERE book = 'written_off'), 0) AS written_off,
               count(*) FILTER (WHERE book = 'grants') AS grants,
               count(*) FILTER (WHERE book = 'adjustments') AS adjustments,
               count(*) FILTER (WHERE book IN ('held', 'revenue', 'written_off')) AS others,
               count(*) FILTER (WHERE (account_id IS NULL) = (book IN ('available', 'held'))) AS ownerless
        FROM lines GROUP BY transaction_id
    ) l ON l.transaction_id = t.id
"""

POSTINGS = {
    # What the trigger on `lines` refuses: it finds rows that were written without the trigger.
    "postings_of_another_kind": f"""
        SELECT p.id, p.kind || ' posted ' || p.available || ' available, ' || p.held || ' held, ' || p.revenue
               || ' revenue, ' || p.written_off || ' written off'
        FROM ({_SHAPES}) p
        WHERE NOT (p.total = 0 AND p.ownerless = 0 AND (p.hold_id IS NULL) = (p.ref IS NOT NULL)
            AND (p.hold_id IS NULL) = (p.kind IN ('grant', 'adjust', 'purge'))
            AND CASE p.kind
                WHEN 'grant' THEN p.available > 0 AND p.grants = 1 AND p.adjustments + p.others = 0
                WHEN 'purge' THEN p.available <= 0 AND p.held = 0 AND p.revenue >= 0 AND p.written_off <= 0
                    AND p.grants + p.adjustments = 0 AND p.note IS NULL
                WHEN 'adjust' THEN p.adjustments = 1 AND p.grants + p.others = 0 AND coalesce(p.note, '') <> ''
                ELSE p.grants + p.adjustments = 0 AND CASE p.kind
                    WHEN 'hold' THEN p.held > 0 AND p.available = -p.held AND p.others = 1
                    WHEN 'extend' THEN p.held > 0 AND p.available = -p.held AND p.others = 1
                    WHEN 'release' THEN p.held < 0 AND p.available = -p.held AND p.others = 1
                    WHEN 'charge' THEN p.held < 0 AND p.revenue >= 0 AND p.written_off <= 0
                    WHEN 'refund' THEN p.held = 0 AND p.available > 0 AND p.revenue < 0 AND p.written_off >= 0
                    ELSE false END
            END)
    """,  # noqa: S608  # our own text
    "position_drift": """
        SELECT a.id, 'movements ' || a.movements || ' up to ' || coalesce(a.moved_at::text, '-') || ', there are '
               || coalesce(t.n, 0) || ' up to ' || coalesce(t.last, 0) || ' of ' || coalesce(t.at::text, '-')
        FROM accounts a LEFT JOIN (
            SELECT account_id, count(*) AS n, min(position) AS first, max(position) AS last, max(created_at) AS at
            FROM transactions GROUP BY account_id
        ) t ON t.account_id = a.id
        LEFT JOIN (
            SELECT account_id, sum(movements) AS n FROM roll_ups GROUP BY account_id
        ) r ON r.account_id = a.id
        WHERE a.movements <> coalesce(t.n, 0) + coalesce(r.n, 0) OR a.movements < t.last OR a.moved_at < t.at
           OR r.n IS NULL AND (coalesce(t.last, 0) <> coalesce(t.n, 0) OR coalesce(t.first, 1) <> 1
                               OR a.moved_at IS DISTINCT FROM t.at)
    """,
    # Of an account whose calls were erased, the first one adds up all that is left before it.
    "running_balance_drift": """
        SELECT b.account_id, 'after movement ' || b.position || ' it says ' || b.available || ' and ' || b.held
        FROM (
            SELECT account_id, position, available, held, coalesce(lag(position) OVER earlier, 0) AS since,
                   coalesce(lag(available) OVER earlier, 0) AS had, coalesce(lag(held) OVER earlier, 0) AS had_held
            FROM running_balances WHERE account_id IN (SELECT id FROM accounts)
            WINDOW earlier AS (PARTITION BY account_id ORDER BY position)
        ) b
        LEFT JOIN transactions t ON t.account_id = b.account_id AND t.position > b.since AND t.position <= b.position
        LEFT JOIN lines l ON l.transaction_id = t.id AND l.account_id = b.account_id
        GROUP BY b.account_id, b.position, b.available, b.held, b.had, b.had_held
        HAVING b.available - b.had <> coalesce(sum(l.amount) FILTER (WHERE l.book = 'available'), 0)
            OR b.held - b.had_held <> coalesce(sum(l.amount) FILTER (WHERE l.book = 'held'), 0)
    """,
    "movement_out_of_order": """
        SELECT t.id, t.kind || ' of ' || t.created_at || ' after one of ' || t.before FROM (
            SELECT id, kind, created_at, lag(created_at) OVER (PARTITION BY account_id ORDER BY position) AS before
            FROM transactions
        ) t WHERE t.before > t.created_at
    """,
    "hold_contradicts_itself": """
        SELECT id, state || ', charged ' || charged || ', closed by ' || coalesce(closed_by, 'nobody') || ' at '
               || coalesce(closed_at::text, 'no time')
        FROM holds
        WHERE (closed_at IS NULL) <> (state = 'open') OR (closed_by IS NULL) <> (state = 'open')
           OR closed_by NOT IN ('call', 'sweeper', 'job') OR lease_until IS NOT NULL AND state <> 'open'
           OR state <> 'settled' AND (charged, written_off, refunded) <> (0, 0, 0) OR closed_at < created_at
           OR refunded NOT IN (0, charged) OR choices < 1 OR least(input_bound, input_count, relayed_output) < 0
           OR amount = 0 AND state NOT IN ('void', 'erased') OR input_count > input_bound OR tokens_limit < 1
           OR key_id IS NULL AND tokens_limit IS NOT NULL OR closed_by = 'job' AND prices IS NOT NULL
    """,
    "hold_amount_without_movement": """
        SELECT h.id, 'an amount of 0, and transactions' FROM holds h
        WHERE h.amount = 0 AND EXISTS (SELECT FROM transactions t WHERE t.hold_id = h.id)
    """,
    "hold_tokens_wrong": """
        SELECT id, 'took ' || tokens_taken || ' tokens of its key and account' FROM holds
        WHERE tokens_taken <> CASE WHEN prices IS NULL THEN 0 ELSE input_bound + coalesce(output_limit, 0) * choices END
    """,
    "hold_not_when_moved": """
        SELECT h.id, t.kind || ' at ' || t.created_at || ', the hold says ' || coalesce(e.at::text, 'no time')
        FROM holds h JOIN transactions t ON t.hold_id = h.id AND t.kind IN ('hold', 'charge', 'release')
        CROSS JOIN LATERAL (SELECT CASE t.kind WHEN 'hold' THEN h.created_at ELSE h.closed_at END AS at) e
        WHERE e.at NOT BETWEEN t.created_at - interval '5 minutes' AND t.created_at + interval '5 minutes'
    """,
    "key_period_wrong": """
        SELECT k.id, 'counts ' || coalesce(k.day::text, 'no day') || ' and ' || coalesce(k.month::text, 'no month')
               || ', its last call began on ' || c.day
        FROM api_keys k JOIN (
            SELECT key_id, max((created_at AT TIME ZONE 'UTC')::date) AS day FROM KEYS_HOLDS h GROUP BY key_id
        ) c ON c.key_id = k.id
        WHERE k.day IS DISTINCT FROM c.day OR k.month IS DISTINCT FROM date_trunc('month', c.day)::date
    """,
    "key_month_drift": """
        SELECT k.id, 'spent of ' || coalesce(k.month::text, 'no month') || ' is ' || k.month_credits
               || ', its calls come to ' || coalesce(s.spent, 0)
        FROM api_keys k LEFT JOIN (
            SELECT key_id, date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month,
                   sum(CASE state WHEN 'open' THEN amount ELSE charged - refunded END) AS spent
            FROM KEYS_HOLDS h GROUP BY 1, 2
        ) s ON s.key_id = k.id AND s.month = k.month
        WHERE k.month >= (HOLDS_KEPT_FROM AT TIME ZONE 'UTC')::date AND k.month_credits <> coalesce(s.spent, 0)
              AND (k.month_credits < coalesce(s.spent, 0) OR NOT PURGED_SINCE(k.month))
           OR k.month IS NULL AND k.month_credits <> 0 OR k.day IS NULL AND k.day_credits <> 0
    """,
    "key_rate_behind_its_calls": """
        SELECT k.id, 'requests up to ' || coalesce(k.requests_tat::text, '-') || ', tokens up to '
               || coalesce(k.tokens_tat::text, '-') || ', a call began at ' || c.at
        FROM api_keys k JOIN (SELECT key_id, max(created_at) AS at FROM KEYS_HOLDS h GROUP BY 1) c ON c.key_id = k.id
        WHERE coalesce(k.requests_tat < c.at, true) OR coalesce(k.tokens_tat < c.at, true)
           OR k.requests_tat > now() + interval '2 minutes'
    """,
    "account_rate_behind_its_calls": """
        SELECT a.id, 'requests up to ' || coalesce(a.requests_tat::text, '-') || ', tokens up to '
               || coalesce(a.tokens_tat::text, '-') || ', a call began at ' || c.at
        FROM accounts a JOIN (
            SELECT account_id, max(created_at) AS at FROM holds WHERE amount > 0 GROUP BY 1
        ) c ON c.account_id = a.id
        WHERE coalesce(a.requests_tat < c.at, true) OR coalesce(a.tokens_tat < c.at, true)
           OR a.requests_tat > now() + interval '2 minutes'
    """,
}
