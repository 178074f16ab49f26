"""The audit's checks of payments: what they gave and took back is in the books, and is what was paid and went back.

A purge leaves references of movements as hashes: both forms are looked up.
"""

_SUM = """
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(l.amount), 0) AS credits FROM ({refs}) r
        JOIN transactions t ON t.account_id = p.account_id AND t.kind = '{kind}' AND t.ref IN (
            r.ref, 'sha256:' || encode(sha256(convert_to('yout reference|' || r.ref, 'UTF8')), 'hex'))
        JOIN lines l ON l.transaction_id = t.id AND l.book = 'available'
    ) moved
"""
_GIVEN = _SUM.format(
    kind="grant",
    refs="""
        SELECT 'stripe:' || p.id AS ref UNION ALL
        SELECT 'plan:' || m.id || ':' || n FROM plan_terms m, generate_series(0, m.months_given - 1) n
        WHERE m.payment_id = p.id""",
)
_TAKEN = _SUM.format(
    kind="adjust", refs="SELECT 'stripe:' || p.id || ':' || n AS ref FROM generate_series(1, p.moves) n"
)
PAYMENTS = {
    "payment_not_as_given": f"""
        SELECT p.id, 'it gave ' || p.credits || ' credits by its row and ' || moved.credits || ' by the books'
        FROM payments p JOIN accounts a ON a.id = p.account_id {_GIVEN} WHERE p.credits <> moved.credits
    """,  # noqa: S608  # our own text
    "payment_not_as_taken": f"""
        SELECT p.id, p.taken || ' credits were taken back by its row and ' || -moved.credits || ' by the books'
        FROM payments p JOIN accounts a ON a.id = p.account_id {_TAKEN} WHERE p.taken <> -moved.credits
    """,  # noqa: S608  # our own text
    "payment_not_as_returned": """
        SELECT p.id, p.taken + p.due || ' credits are to go back, for ' || back.amount || ' of ' || p.amount
        FROM payments p JOIN accounts a ON a.id = p.account_id CROSS JOIN LATERAL (
            SELECT coalesce(sum(c.refunded + (
                SELECT coalesce(sum((d.value ->> 'amount')::bigint), 0) FROM jsonb_each(c.disputes) d
                WHERE (d.value ->> 'withheld')::boolean)), 0) AS amount
            FROM payment_charges c WHERE c.payment_id = p.id
        ) back
        WHERE p.taken + p.due <> CASE WHEN p.amount > 0
            THEN div(p.credits::numeric * least(back.amount, p.amount), p.amount) ELSE 0 END
    """,
}
