"""Pages of accounts that have very much, and of one that has nothing: they fit, and stay light."""

import pytest
from psycopg import AsyncConnection, sql

from bench.pages import DAYS
from bench.purge import PLANT
from tests.browser.conftest import Member, NewMember
from tests.browser.filled import NAME
from tests.support.stack import Stack
from tests.support.watched_page import Watched

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHARGES = 10_000
REVOKED, LIVE = 900, 100
RICH = 999_999_999_999_999
PAGES = (
    *("/activity?days=90", "/activity?days=90&by=key", "/activity/statement", "/keys", "/plan", "/privacy"),
    *("/studio/image", "/models", "/webhooks"),
)
KEYS = """
WITH made AS (
    INSERT INTO api_keys (id, account_id, name, scopes, limits, created_at, revoked_at, day, day_credits)
    SELECT gen_random_uuid(), %(account)s, %(name)s, ARRAY['chat', 'billing'],
           jsonb_build_object('credits_day', %(rich)s::bigint), now(), CASE WHEN n > %(live)s THEN now() END,
           (now() AT TIME ZONE 'UTC')::date, %(rich)s - 1
    FROM generate_series(1, %(live)s + %(revoked)s) AS n RETURNING id
)
INSERT INTO api_key_secrets (digest, key_id, masked, created_at)
SELECT sha256(id::text::bytea), id, 'yout-Ab3f…9xQ2', now() FROM made
"""


async def grown(site: Stack, member: Member) -> None:
    """Plant what the account would have after very many calls."""
    account = (await member.api.get("/api/auth/me/")).json()["account_id"]
    values = {"account": account, "name": NAME, "rich": RICH, "live": LIVE, "revoked": REVOKED}
    async with await AsyncConnection.connect(site.owner_url, autocommit=True) as connection:
        await connection.execute("UPDATE accounts SET available = %(rich)s WHERE id = %(account)s", values)
        for statement in PLANT.format(account=account, calls=CHARGES, over="1 hour").strip().split(";\n"):
            await connection.execute(statement.encode())
        await connection.execute(DAYS.format(account=account, models=50).encode())
        await connection.execute(sql.SQL(KEYS), values)


@pytest.mark.parametrize("size", ["large", "empty"])
async def test_what_is_large_fits_and_what_is_empty_says_so(size: str, site: Stack, new_member: NewMember) -> None:
    member = await new_member(site)
    if size == "large":
        await grown(site, member)
    watched = await Watched.of(member.context, site.url)
    for path in PAGES:
        answer = await watched.open(path)
        assert answer.status == 200
        faults = await watched.overweight(path) + await watched.layout_shifts()
        assert faults + await watched.overflow() + watched.faults == [], path
    await watched.page.close()
