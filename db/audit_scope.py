"""The rows of an incremental audit: temporary tables and views replace the tables, with what has moved since a moment.

The checks are the same. Each runs over the least that it needs: most over the movements since then and their holds,
sums over all rows of the accounts that have moved, roll-ups over the days since then. Accounts without movements are
left to the whole audit.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from domain.ids import uuid7


class Scope(StrEnum):
    MOVED = "moved"
    ACCOUNTS = "accounts"
    DAYS = "days"


SCOPES: dict[str, Scope] = {
    **dict.fromkeys(("available_drift", "held_drift", "lines_of_missing_account", "position_drift"), Scope.ACCOUNTS),
    "running_balance_drift": Scope.ACCOUNTS,
    **dict.fromkeys(("key_budget_drift", "key_month_drift", "key_period_wrong"), Scope.ACCOUNTS),
    **dict.fromkeys(("key_rate_behind_its_calls", "key_contradicts_itself"), Scope.ACCOUNTS),
    **dict.fromkeys(("payment_not_as_given", "payment_not_as_taken", "payment_not_as_returned"), Scope.ACCOUNTS),
    **dict.fromkeys(("usage_day_drift", "usage_day_not_as_booked", "usage_day_cost_drift"), Scope.DAYS),
    **dict.fromkeys(("usage_day_meters_drift", "usage_day_not_as_used"), Scope.DAYS),
}
"""The scope of each check. A check that is not named has the scope `MOVED`."""

# A movement's id begins with its time, so the primary key finds those since then.
_TOUCHED = """
CREATE TEMP TABLE touched_holds ON COMMIT DROP AS
SELECT hold_id AS id FROM public.transactions WHERE id >= '{first}' AND hold_id IS NOT NULL
UNION SELECT id FROM public.holds WHERE state = 'open';
CREATE TEMP TABLE touched ON COMMIT DROP AS
SELECT account_id AS id FROM public.transactions WHERE id >= '{first}'
UNION SELECT account_id FROM public.holds WHERE state = 'open';
ANALYZE touched_holds, touched;
CREATE TEMP VIEW accounts AS SELECT * FROM public.accounts WHERE id IN (SELECT id FROM touched);
CREATE TEMP VIEW api_keys AS SELECT * FROM public.api_keys WHERE account_id IN (SELECT id FROM touched)
"""
_SCOPED = {
    Scope.MOVED: """
CREATE TEMP TABLE holds ON COMMIT DROP AS SELECT h.* FROM public.holds h JOIN touched_holds USING (id);
CREATE TEMP TABLE transactions ON COMMIT DROP AS
SELECT * FROM public.transactions WHERE id >= '{first}'
UNION SELECT t.* FROM touched_holds h JOIN public.transactions t ON t.hold_id = h.id AND t.kind <> 'extend'
UNION SELECT t.* FROM touched_holds h JOIN public.transactions t ON t.hold_id = h.id AND t.kind = 'extend';
CREATE TEMP TABLE lines ON COMMIT DROP AS
SELECT l.* FROM public.lines l JOIN transactions t ON t.id = l.transaction_id;
CREATE TEMP TABLE usage ON COMMIT DROP AS
SELECT u.* FROM public.usage u JOIN touched_holds h ON h.id = u.hold_id;
CREATE TEMP TABLE usage_days ON COMMIT DROP AS SELECT * FROM public.usage_days
WHERE account_id IN (SELECT id FROM touched) AND day >= '{day}';
CREATE TEMP TABLE media_jobs ON COMMIT DROP AS SELECT j.* FROM public.media_jobs j JOIN touched_holds USING (id);
CREATE TEMP TABLE idempotency ON COMMIT DROP AS
SELECT i.* FROM public.idempotency i JOIN touched_holds h ON h.id = i.hold_id;
ANALYZE holds, transactions, lines, usage, usage_days, media_jobs, idempotency
""",
    Scope.ACCOUNTS: """
DROP TABLE holds, transactions, lines, usage, usage_days, media_jobs, idempotency;
CREATE TEMP TABLE holds ON COMMIT DROP AS SELECT * FROM public.holds WHERE account_id IN (SELECT id FROM touched);
CREATE TEMP VIEW transactions AS SELECT * FROM public.transactions WHERE account_id IN (SELECT id FROM touched);
CREATE TEMP VIEW lines AS SELECT * FROM public.lines WHERE account_id IN (SELECT id FROM touched);
ANALYZE holds
""",
    Scope.DAYS: """
DROP TABLE holds;
DROP VIEW transactions, lines;
CREATE TEMP TABLE transactions ON COMMIT DROP AS SELECT * FROM public.transactions
WHERE account_id IN (SELECT id FROM touched) AND created_at >= '{day}';
CREATE TEMP VIEW lines AS SELECT l.* FROM public.lines l JOIN transactions t ON t.id = l.transaction_id;
CREATE TEMP TABLE usage ON COMMIT DROP AS SELECT * FROM public.usage
WHERE account_id IN (SELECT id FROM touched) AND created_at >= '{day}';
CREATE TEMP VIEW usage_days AS SELECT * FROM public.usage_days
WHERE account_id IN (SELECT id FROM touched) AND day >= '{day}';
ANALYZE transactions, usage
""",
}


def begin(since: datetime) -> Iterator[str]:
    return _statements(_TOUCHED, since)


def enter(scope: Scope, since: datetime) -> Iterator[str]:
    """Yield the statements that switch to this scope from the one declared before it."""
    return _statements(_SCOPED[scope], since)


def _statements(script: str, since: datetime) -> Iterator[str]:
    first: UUID = uuid7(int(since.timestamp() * 1000), bytes(10))
    day = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    yield from script.format(first=first, day=day.isoformat()).strip().split(";\n")
