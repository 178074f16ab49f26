"""Makes what is there older, as if the days had passed: ids too, which begin with their time."""

from uuid import UUID

import psycopg

_AGED = """
SET session_replication_role = replica;
CREATE TEMP TABLE aged AS
    SELECT id, uuidv7(interval '{days} days ago') AS older FROM holds WHERE account_id = '{account}';
UPDATE holds h SET id = older, created_at = created_at - interval '{days} days',
       closed_at = closed_at - interval '{days} days' FROM aged a WHERE a.id = h.id;
UPDATE media_jobs SET created_at = created_at - interval '{days} days',
       started_at = started_at - interval '{days} days', finished_at = finished_at - interval '{days} days',
       deadline = deadline - interval '{days} days',
       submit_intended_at = submit_intended_at - interval '{days} days' WHERE account_id = '{account}';
UPDATE media_jobs j SET id = older, outputs = replace(
    outputs::text, replace(j.id::text, '-', ''), replace(older::text, '-', ''))::jsonb FROM aged a WHERE a.id = j.id;
UPDATE job_inputs i SET job_id = older FROM aged a WHERE a.id = i.job_id;
UPDATE usage u SET hold_id = older, created_at = created_at - interval '{days} days' FROM aged a WHERE a.id = u.hold_id;
UPDATE transactions t SET hold_id = older FROM aged a WHERE a.id = t.hold_id;
CREATE TEMP TABLE moved AS
    SELECT id, uuidv7(created_at - now() - interval '{days} days') AS older FROM transactions
    WHERE account_id = '{account}';
UPDATE lines l SET transaction_id = older FROM moved m WHERE m.id = l.transaction_id;
UPDATE transactions t SET id = older, created_at = created_at - interval '{days} days' FROM moved m WHERE m.id = t.id;
UPDATE transactions t SET checksum = checksum_of(
    t.kind, t.account_id::text, t.hold_id::text, t.ref, t.note, l.amount::text)
FROM lines l WHERE l.transaction_id = t.id AND l.book = 'available' AND t.checksum IS NOT NULL;
UPDATE accounts SET created_at = created_at - interval '{days} days', moved_at = moved_at - interval '{days} days'
WHERE id = '{account}';
UPDATE users SET created_at = created_at - interval '{days} days' WHERE account_id = '{account}';
UPDATE usage_days SET day = day - {days} - 1000000 WHERE account_id = '{account}';
UPDATE usage_days SET day = day + 1000000 WHERE account_id = '{account}';
UPDATE api_keys SET day = day - {days}, month = date_trunc('month', day - {days}) WHERE account_id = '{account}';
"""


async def backdate(url: str, account_id: UUID, days: int) -> dict[UUID, UUID]:
    """All that an account has done. Returns its holds' new ids by their old ones."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for statement in _AGED.format(days=int(days), account=account_id).split(";\n"):
            if statement.strip():
                await connection.execute(statement.encode())
        rows = await (await connection.execute("SELECT id, older FROM aged")).fetchall()
        return {row[0]: row[1] for row in rows}
