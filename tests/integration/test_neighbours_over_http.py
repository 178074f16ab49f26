"""Real API processes on one database: one is frozen in the middle of a batch, or the database can only be read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

import httpx2
import psycopg
import pytest

from dev import ports
from dev.postgres import EmbeddedPostgres
from tests.integration.test_other_databases import become
from tests.support.fork_server import Process
from tests.support.media_stack import Customer, World
from tests.support.stack import Stack, eventually

CHAT = "/v1/chat/completions"
KEYS = "/api/chat/keys/"
IMAGE = "/api/media/image/"
READS = {"webhook_endpoints": "/api/webhooks/", "conversations": "/api/chat/conversations/export/"}
"""An answer, and a document that is read while it is sent, with the table that each reads."""
BODY = {"model": "demo-chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
LOCKING = """
SELECT pid, xact_start FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle in transaction' AND pid <> pg_backend_pid()
"""


@pytest.fixture
async def world(postgres: EmbeddedPostgres, database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    stack = Stack.on(postgres, tmp_path / "state", database=database_url.rpartition("/")[2])
    async with World.of(stack) as world:
        yield world


async def frozen_with_locks(api: Process, world: World) -> list[Any]:
    """Stops the process, and lets it go on again until it is stopped while it has a transaction open."""

    async def stopped() -> list[Any]:
        api.send_signal(SIGSTOP)
        before = await world.rows(LOCKING)
        await asyncio.sleep(0.1)  # a transaction of a process that runs is over by then
        still = [row for row in await world.rows(LOCKING) if row in before]
        if not still:
            api.send_signal(SIGCONT)
        return still

    return list(await eventually(stopped))


async def called(customer: Customer, path: str, body: dict[str, Any], over: asyncio.Event) -> set[int]:
    """The same call again and again. What its statuses were."""
    statuses = set()
    while not over.is_set():
        try:
            statuses.add((await customer.http.post(path, json=body)).status_code)
        except httpx2.HTTPError:
            break
    return statuses


@pytest.mark.parametrize(("path", "body"), [(CHAT, BODY), (IMAGE, {"model": "demo-image", "prompt": "x"})])
async def test_neighbours_of_a_process_that_is_frozen_in_an_acceptance_wait_for_no_lock(
    world: World, path: str, body: dict[str, Any]
) -> None:
    """Its owner calls at both processes. The neighbour's calls are served in batches that wait for nobody's lock."""
    owner, neighbour = await world.customer(), await world.customer()
    other = replace(world.stack, port=ports.free(), state=world.stack.state / "other")
    over = asyncio.Event()
    with world.stack.running("api"), other.running("api") as second:
        async with httpx2.AsyncClient(base_url=other.url, headers=owner.http.headers, timeout=60) as there:
            calls = [asyncio.create_task(called(replace(owner, http=there), path, body, over)) for _ in range(8)]
            try:
                for _ in range(3):
                    locking = await frozen_with_locks(second, world)
                    assert locking
                    here = [asyncio.create_task(owner.http.post(path, json=body)) for _ in range(4)]
                    assert (await neighbour.http.post(CHAT, json=BODY)).status_code == 200
                    assert set(locking) <= set(await world.rows(LOCKING))  # it was answered while the lock was held
                    answers = [await neighbour.http.post(CHAT, json=BODY) for _ in range(20)]
                    assert {answer.status_code for answer in answers} == {200}
                    second.send_signal(SIGCONT)
                    assert {answer.status_code for answer in await asyncio.gather(*here)} <= {200, 202}
            finally:
                second.send_signal(SIGCONT)
                over.set()
            statuses = set[int]().union(*await asyncio.gather(*calls))
    assert statuses <= {200, 202, 503}
    await world.books_are_clean()


async def test_one_account_leaves_connections_to_its_neighbours(world: World) -> None:
    """Of its changes one runs at a time: the others would only wait for the account's lock. Of its reads, a few do."""
    owner, neighbour = await world.customer(), await world.customer()
    with world.stack.running("api"):
        created = await owner.http.post(KEYS, json={"name": "k"})
        key, waited = f"{KEYS}{created.json()['id']}/", []
        changes = [
            asyncio.create_task(owner.http.patch(key, json={"limits": {"requests": 1000 + number}}))
            for number in range(40)
        ]
        answers = []
        while not all(change.done() for change in changes):
            answers.append(await neighbour.http.post(CHAT, json=BODY))
            waited.append((await world.rows(WAITING))[0][0])
        assert {answer.status_code for answer in answers} == {200}
        assert {change.result().status_code for change in changes} == {200}
        assert max(waited) <= 2  # one transaction of the pool, and the ledger's connection for locked accounts
        for table, path in READS.items():
            assert await statuses_beside(world, neighbour, table, 4, partial(owner.http.get, path)) == {200}
        large = {"messages": [{"role": "user", "content": "x" * 300_000}]}  # more than the model takes
        chat_id = (await owner.http.post("/api/chat/conversations/", json=large)).json()["id"]
        request = {"model": "demo-chat", "conversation_id": chat_id, "message": "x"}
        quote = partial(owner.http.post, "/api/billing/quote/", json=request)
        assert await statuses_beside(world, neighbour, "messages", 1, quote) == {400, 429}
        share = partial(owner.http.post, "/api/chat/share/", json={"conversation_id": chat_id, "positions": [1]})
        assert await statuses_beside(world, neighbour, "messages", 1, share) <= {201, 400, 429}
    await world.books_are_clean()


async def statuses_beside(
    world: World, neighbour: Customer, table: str, waiting: int, ask: Callable[[], Awaitable[httpx2.Response]]
) -> set[int]:
    """Ask twenty times while the table is locked. The neighbour is answered meanwhile. Return the statuses."""

    async def some_wait() -> bool:
        return bool((await world.rows(WAITING))[0][0] >= waiting)

    async with await psycopg.AsyncConnection.connect(world.stack.owner_url) as lock:
        await lock.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        asking = [asyncio.ensure_future(ask()) for _ in range(20)]
        await eventually(some_wait)
        answers = [await neighbour.http.get(KEYS) for _ in range(5)]
        assert (await world.rows(WAITING))[0][0] <= waiting
        await lock.rollback()
    assert {answer.status_code for answer in answers} == {200}
    return {answer.status_code for answer in await asyncio.gather(*asking)}


async def test_a_database_that_can_only_be_read_is_503_until_it_can_be_written_to(
    world: World, database_url: str
) -> None:
    """The very same process serves again: connections that were open are closed by the server, as in a failover."""
    customer = await world.customer()
    with world.stack.running("api") as api:
        assert (await customer.http.post(CHAT, json=BODY)).status_code == 200
        await become(database_url, read_only=True)
        await cut_off(database_url)
        for path, body in ((CHAT, BODY), (IMAGE, {"model": "demo-image", "prompt": "x"})):
            refused = await customer.http.post(path, json=body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "service_unavailable"), refused.text
            assert int(refused.headers["retry-after"]) >= 1
        assert (await customer.http.get("/readyz")).status_code == 503
        assert (await customer.http.get("/healthz")).status_code == 200
        await become(database_url, read_only=False)

        async def ready() -> bool:
            return (await customer.http.get("/readyz")).status_code == 200

        assert await eventually(ready)
        assert (await customer.http.post(CHAT, json=BODY)).status_code == 200
        assert api.poll() is None
    await world.books_are_clean()


async def cut_off(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as admin:
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
