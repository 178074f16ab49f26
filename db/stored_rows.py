"""Counts the rows that are stored for an account: of every table in `db/erasure.py`, by its name there."""

from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from db import accounts
from db.erasure import ERASED, RETAINED

MAX_COUNTED = 100_000
"""Of one name. Counting ends there, so that a large account costs no more."""
OUTPUTS = "outputs"
"""Files in the object store, by the jobs that made them."""

_OF_USER = "user_id IN (SELECT id FROM users WHERE account_id = :account)"
_CONDITIONS = {
    "accounts": "id = :account",
    "sessions": _OF_USER,
    "one_time_links": _OF_USER,
    "api_key_secrets": "key_id IN (SELECT id FROM api_keys WHERE account_id = :account)",
    "purge_receipts": "purge_id IN (SELECT id FROM purges WHERE account_id = :account)",
}
"""Of tables whose rows do not have the account's id in an index."""
_COUNT = "(SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {rows} LIMIT :most) AS counted)"
# Holds have no index on accounts: the first movement of each does. Those that were never placed have none.
_HOLDS = (
    "(SELECT count(*) FROM (SELECT 1 FROM transactions WHERE account_id = :account AND kind = 'hold' LIMIT :most) AS a)"
    " + (SELECT count(*) FROM (SELECT 1 FROM holds WHERE account_id = :account AND state = 'void' AND amount = 0"
    " LIMIT :most) AS b)"
)
_OUTPUTS = (
    "(SELECT coalesce(sum(jsonb_array_length(outputs)), 0) FROM (SELECT outputs FROM media_jobs"
    " WHERE account_id = :account AND state = 'succeeded' AND outputs_deleted_at IS NULL LIMIT :most) AS counted)"
)


async def count(session: AsyncSession, account_id: UUID) -> dict[str, int]:
    """Return how much is stored, by name: `MAX_COUNTED` + 1 where there is more than that.

    Also what a purge that runs has not erased yet. Of the calls that a purge has erased, `holds` counts none.
    """
    counted = {entry.name: _COUNT.format(table=entry.table, rows=entry.rows) for entry in ERASED}
    counted |= {entry.table: _retained(entry.table) for entry in RETAINED}
    counted |= {"holds": _HOLDS, OUTPUTS: _OUTPUTS}
    every_epoch = await accounts.epoch(session, account_id) + 1
    query = text("SELECT " + ", ".join(counted.values()))
    values = {"account": account_id, "epoch": every_epoch, "most": MAX_COUNTED + 1}
    row = (await (await session.connection()).execute(query, values)).one()
    return {name: min(int(number), MAX_COUNTED + 1) for name, number in zip(counted, row, strict=True)}


def _retained(table: str) -> str:
    return _COUNT.format(table=table, rows=_CONDITIONS.get(table, "account_id = :account"))
