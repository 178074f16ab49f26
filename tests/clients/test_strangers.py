"""Whoever has no key waits among others without one: nothing that strangers do takes from accounts."""

import asyncio
from collections import Counter

import httpx2
import psycopg

from api.resources import MAX_OPEN_WAITING
from tests.clients.conftest import OpenAccountClient
from tests.support.signed_in import SAME_ORIGIN, browser
from tests.support.stack import Stack, eventually

CREDENTIALS = {"email": "nobody@example.test", "password": "a long sentence"}
QUESTION = {"model": "test-plain", "messages": [{"role": "user", "content": "Hi"}]}
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


async def test_strangers_who_wait_in_the_database_take_no_connection_from_accounts(
    new_owner: OpenAccountClient, stack: Stack
) -> None:
    """More strangers than there are connections wait for rows that are locked. Accounts are served all the while."""
    owner = await new_owner()
    in_a_browser = await browser(owner.database, owner.customer.account_id, stack.url)
    async with (
        httpx2.AsyncClient(base_url=stack.url, headers=SAME_ORIGIN, timeout=30) as visitor,
        await psycopg.AsyncConnection.connect(stack.owner_url, autocommit=True) as watch,
        await psycopg.AsyncConnection.connect(stack.owner_url) as locking,
    ):
        await locking.execute("LOCK TABLE throttles, shares, visitor_counts IN ACCESS EXCLUSIVE MODE")
        strangers = [
            asyncio.create_task(request)
            for n in range(12)
            for request in (
                visitor.post("/api/auth/login/", json=CREDENTIALS),
                visitor.get(f"/c/{n:022}"),
                visitor.get("/api/chat/limit/"),
            )
        ]

        async def they_wait() -> bool:
            row = await (await watch.execute(WAITING)).fetchone()
            return row is not None and row[0] >= 3

        assert await eventually(they_wait)
        served = [await owner.http.get("/api/auth/me/"), await in_a_browser.get("/api/auth/sessions/")]
        served.append(await owner.http.post("/v1/chat/completions", json=QUESTION))
        served.append(await owner.http.post("/api/chat/conversations/", json={"title": "A"}))
        assert [answer.status_code for answer in served] == [200, 200, 200, 201]
        await locking.rollback()
        answers = await asyncio.gather(*strangers)
    await in_a_browser.aclose()
    assert {answer.status_code for answer in answers} <= {200, 401, 404, 429, 503}
    assert (await owner.http.get("/api/auth/me/")).status_code == 200


async def test_a_flood_of_one_network_is_refused_without_the_database(stack: Stack) -> None:
    """While one of its requests waits there, a few wait for that one, and all others are answered."""
    async with (
        httpx2.AsyncClient(base_url=stack.url, headers=SAME_ORIGIN, timeout=30) as visitor,
        await psycopg.AsyncConnection.connect(stack.owner_url) as locking,
    ):
        await locking.execute("LOCK TABLE throttles IN ACCESS EXCLUSIVE MODE")
        flood = [asyncio.create_task(visitor.post("/api/auth/login/", json=CREDENTIALS)) for _ in range(40)]

        async def answered() -> list[httpx2.Response] | None:
            done = [task.result() for task in flood if task.done() and task.result().status_code == 429]
            return done if len(done) >= 40 - 1 - MAX_OPEN_WAITING else None

        refused = await eventually(answered)
        assert refused is not None
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        await locking.rollback()
        statuses = Counter([answer.status_code for answer in await asyncio.gather(*flood)])
    assert statuses[429] >= 40 - 1 - MAX_OPEN_WAITING
    assert statuses.keys() <= {401, 429, 503}
