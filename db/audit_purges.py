"""The audit's checks of purges: what was rolled up is in the books, and what was erased is gone."""

PURGES = {
    "roll_up_not_as_booked": """
        SELECT r.purge_id, 'rolled up ' || r.credits || ' + ' || r.written_off || ', lines say '
               || -coalesce(l.available, 0) || ' + ' || -coalesce(l.written_off, 0)
        FROM roll_ups r LEFT JOIN public.transactions t
            ON t.id = r.transaction_id AND t.kind = 'purge' AND t.account_id = r.account_id
            AND t.ref = 'purge:' || r.purge_id
        LEFT JOIN LATERAL (
            SELECT sum(amount) FILTER (WHERE book = 'available') AS available,
                   sum(amount) FILTER (WHERE book = 'revenue') AS revenue,
                   sum(amount) FILTER (WHERE book = 'written_off') AS written_off
            FROM public.lines WHERE transaction_id = t.id) l ON true
        WHERE (r.credits, r.credits + r.written_off, r.written_off)
              <> (-coalesce(l.available, 0), coalesce(l.revenue, 0), -coalesce(l.written_off, 0))
    """,
    "purge_movement_without_roll_up": """
        SELECT t.id, 'no purge has rolled up to it' FROM transactions t
        WHERE t.kind = 'purge' AND NOT EXISTS (SELECT FROM roll_ups r WHERE r.transaction_id = t.id)
    """,
    "rolled_up_with_faults": """
        SELECT purge_id, faults || ' of ' || calls || ' calls had a charge, hold and usage that did not agree'
        FROM roll_ups WHERE faults <> 0
    """,
    "roll_up_contradicts_itself": """
        SELECT purge_id, calls || ' calls, ' || charges || ' charges, ' || movements || ' movements, ' || usage_entries
               || ' usage entries' FROM roll_ups
        WHERE charges > calls OR usage_entries > charges OR movements < 2 * calls OR position > until
           OR usage_credits < 0 OR credits < 0 OR credits_at_cut > credits OR written_off < 0
           OR (SELECT p.account_id FROM purges p WHERE p.id = purge_id) <> account_id
    """,
    "call_outlived_its_purge": """
        SELECT h.id, h.state || ' hold of epoch ' || h.epoch || ', its account is in epoch ' || a.epoch
        FROM holds h JOIN accounts a ON a.id = h.account_id
        WHERE h.epoch > a.epoch OR h.epoch < a.epoch AND h.state <> 'erased' AND a.id NOT IN PURGING
    """,
    "key_outlived_its_purge": """
        SELECT d.account_id, 'the data key of epoch ' || d.epoch || ' is not destroyed'
        FROM data_keys d JOIN accounts a ON a.id = d.account_id
        WHERE d.epoch < a.epoch AND d.wrapped IS NOT NULL AND a.id NOT IN PURGING
    """,
    "purge_without_receipt": """
        SELECT p.id, 'completed at ' || p.completed_at || ', and there is no receipt' FROM purges p
        WHERE p.completed_at IS NOT NULL AND NOT EXISTS (SELECT FROM purge_receipts r WHERE r.purge_id = p.id)
        UNION ALL
        SELECT min(purge_id::text)::uuid, 'receipts are numbered up to ' || max(number) || ', there are ' || count(*)
        FROM purge_receipts HAVING max(number) <> count(*)
    """,
}
