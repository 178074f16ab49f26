"""Each transaction of a call, a job, a delivery or a page touches rows of one account: accounts can be sharded."""

import json
import re
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import psycopg
import pytest
import pytest_asyncio
from sqlmodel import SQLModel

from db import audit_checks
from db import ledger as batches
from db.engine import Database
from db.writer import LedgerWriter
from dev.postgres import EmbeddedPostgres
from dev.temporal import EmbeddedTemporal
from domain.operations import Grant, Operation, Renew
from temporal import attributes
from tests.support import bank, touches
from tests.support.doubles.webhook_receiver import Receiver, receiving
from tests.support.media_stack import Customer, World, until
from tests.support.own_stack import own_stack

in_loop = pytest.mark.asyncio(loop_scope="module")

CATALOG = """
[providers.demo]
max_concurrent = 50
requests_per_minute = 1000
"""
SPANNING = {
    r"random\(\) LIMIT": "maintenance looks for what is due, and works on each of it by itself",
    r"FROM holds WHERE holds\.state = .* ORDER BY holds\.lease_until": "so does the sweeper",
    r"FROM media_jobs WHERE provider = ": "the limits of a provider count the jobs of all accounts",
    r"FROM data_keys .*ORDER BY": "a process that starts tries its secret on some account's key",
}
"""Statements that may touch rows of several accounts, and why. docs/scaling.md has them."""
HOT = {
    *("accounts", "api_keys", "api_key_secrets", "data_keys", "holds", "transactions", "lines", "usage", "usage_days"),
    *("idempotency", "conversations", "messages", "media_jobs", "job_inputs", "events", "webhook_deliveries"),
    *("webhook_endpoints", "webhook_secrets"),
}
PAGES = (
    *("/api/chat/limit/", "/api/billing/usage/", "/api/billing/usage/?split_by=key", "/api/privacy/"),
    *("/api/billing/usage/?group_by=key", "/api/billing/statement/", "/api/billing/plan/", "/api/billing/grants/"),
    *("/api/media/jobs/", "/api/media/storage/", "/api/media/uploads/", "/api/webhooks/", "/api/webhooks/deliveries/"),
    *("/api/chat/keys/", "/api/chat/settings/", "/api/chat/conversations/", "/api/chat/share/", "/v1/videos"),
)


@dataclass(slots=True)
class Site:
    world: World
    receiver: Receiver
    postgres: EmbeddedPostgres


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with AsyncExitStack() as opened:
        folder = tmp_path_factory.mktemp("one-account")
        temporal = EmbeddedTemporal(folder / "temporal", search_attributes=attributes.DEFINITIONS)
        await opened.enter_async_context(temporal)
        receiver = await opened.enter_async_context(receiving())
        more = {"YOUT_WEBHOOKS_ALLOW_LOOPBACK": "true", "YOUT_SHUTDOWN_TIMEOUT": "3"}
        stack = own_stack(postgres, tmp_path_factory, "touches", CATALOG, temporal=temporal.address, extra=more)
        touches.record(stack.owner_url)
        world = await opened.enter_async_context(World.of(stack))
        opened.enter_context(stack.running("worker"))
        opened.enter_context(stack.running("api"))
        yield Site(world, receiver, postgres)


async def _sent(customer: Customer, path: str, status: int = 200, **body: Any) -> httpx2.Response:
    answer = await customer.http.post(path, json=body)
    assert answer.status_code == status, (path, answer.text)
    return answer


async def _chats(customer: Customer) -> None:
    """Whole, streamed with renewals, failed, saved, and again by its key."""
    say: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello there"}], "max_tokens": 30}
    await _sent(customer, "/v1/chat/completions", model="demo-chat-slow", stream=True, **say)
    await _sent(customer, "/v1/chat/completions", 502, model="demo-chat-fail", **say)
    await _sent(customer, "/v1/embeddings", model="demo-embedding", input="a")
    await _sent(customer, "/api/chat/stream/", model="demo-chat", message="Hello", save=True)

    async def saved() -> bool:
        return bool((await customer.http.get("/api/chat/conversations/")).json()["data"])

    await until(saved, "the chat to be saved")
    customer.http.headers["idempotency-key"] = uuid.uuid4().hex
    whole, again = [await _sent(customer, "/v1/chat/completions", model="demo-chat", **say) for _ in range(2)]
    del customer.http.headers["idempotency-key"]
    assert whole.json()["id"] == again.json()["id"]
    receipt = await customer.http.get(f"/api/billing/charges/{whole.json()['id'].removeprefix('chatcmpl-')}/")
    assert receipt.status_code == 200, receipt.text


async def _jobs(site: Site, customer: Customer) -> None:
    """One that succeeds and is told to an endpoint and a URL, one that fails, and one that is cancelled."""
    path = f"/200/{customer.account_id.hex}"
    await _sent(customer, "/api/webhooks/", 201, url=site.receiver.url(path))
    image = {"prompt": "dusk", "size": "64x64"}
    succeeded = await customer.ordered("image", model="demo-image", webhook_url=site.receiver.url(path), **image)
    failed = await customer.ordered("image", model="demo-image-fail", **image)
    slow = await customer.ordered("image", model="demo-image-slow", **image)
    assert (await customer.http.post(f"/api/media/jobs/{slow['job_uuid']}/cancel/")).is_success
    ended = [await customer.ended(job) for job in (succeeded, failed, slow)]
    assert [job["status"] for job in ended] == ["succeeded", "failed", "cancelled"]
    assert (await customer.http.get(ended[0]["outputs"][0]["url"])).status_code == 200

    async def all_delivered() -> bool:
        return len(site.receiver.at(path)) == 4

    await until(all_delivered, "the messages of four ends")


async def _pages(customer: Customer) -> None:
    for page in PAGES:
        answer = await customer.http.get(page)
        assert answer.status_code == 200, (page, answer.text)


def _spans(statement: str) -> bool:
    return any(re.search(pattern, statement) for pattern in SPANNING)


@in_loop
async def test_a_transaction_touches_one_account(site: Site) -> None:
    """Of calls, jobs, deliveries and pages of two accounts, one after the other; what may touch more is declared."""
    customers = [await site.world.customer() for _ in range(2)]
    since = site.postgres.log.stat().st_size
    for customer in customers:
        await _chats(customer)
        await _jobs(site, customer)
        await _pages(customer)
    reached = _without_audits(touches.read(site.world.stack.owner_url, site.postgres.log, since))
    assert {touch.table for touch in reached} >= HOT
    by_statement = touches.accounts_of(reached, lambda touch: (touch.transaction, touch.statement))
    spanning = {statement for (_, statement), accounts in by_statement.items() if len(accounts) > 1}
    assert [statement for statement in spanning if not _spans(statement)] == []
    alone = [touch for touch in reached if not _spans(touch.statement)]
    by_transaction = touches.accounts_of(alone, lambda touch: touch.transaction)
    several = {transaction for transaction, accounts in by_transaction.items() if len(accounts) > 1}
    assert {touch.statement for touch in alone if touch.transaction in several} == set()
    assert spanning, "it sees no account beside another"
    assert await _strangers(site) == []


def _without_audits(reached: Sequence[touches.Touch]) -> list[touches.Touch]:
    """An audit reads the books of all accounts, and begins every ten minutes of the clock."""
    checks = {" ".join(query.split()) for query in audit_checks.CHECKS.values()}
    audits = {touch.transaction for touch in reached if touch.statement in checks}
    return [touch for touch in reached if touch.transaction not in audits]


async def _strangers(site: Site) -> list[str]:
    """References between rows of two accounts, and rows that do not name theirs."""
    wrong = []
    for table in SQLModel.metadata.tables.values():
        for key in table.foreign_keys:
            other = key.column.table
            if "account_id" in table.columns and "account_id" in other.columns:
                pair = f"{table.name} a JOIN {other.name} b ON b.{key.column.name} = a.{key.parent.name}"
                query = f"SELECT a.account_id FROM {pair} WHERE a.account_id IS DISTINCT FROM b.account_id"
                wrong += [f"{table.name}.{key.parent.name}"] * len(await site.world.rows(query))
    return wrong


def _locked(connection: psycopg.Connection[Any], operations: Sequence[Operation]) -> dict[str, list[str]]:
    """What a batch locks and reads, without its time."""
    values = batches._Wanted.by(operations).parameters({}) | {"wait": True}
    row = connection.execute(batches._READ.sql, values).fetchone()
    assert row is not None
    connection.rollback()
    document: dict[str, Any] = json.loads(row[0])
    return {name: sorted(map(str, rows or ())) for name, rows in document.items() if name != "now"}


async def test_a_batch_is_the_sum_of_its_accounts(database: Database, ledger: LedgerWriter, app_url: str) -> None:
    """One that is split by account locks and reads the same rows: a writer for each database decides the same."""
    parts: list[list[Operation]] = []
    for _ in range(3):
        customer = await bank.open_account(database, ledger, 1000)
        running, renewed, new = (bank.reserve(customer, 10) for _ in range(3))
        await ledger.ask(running)
        await ledger.ask(renewed)
        granted = Grant(customer.account_id, 5, f"opening:{customer.account_id}")
        parts.append([new, bank.settle(customer, running.hold_id, 4), Renew(renewed.hold_id, 1), granted])
    with psycopg.connect(app_url) as connection:
        whole = _locked(connection, [operation for part in parts for operation in part])
        each = [_locked(connection, part) for part in parts]
    assert whole == {name: sorted(row for one in each for row in one[name]) for name in whole}
    assert [len(one["accounts"]) for one in each] == [1, 1, 1]
    assert len(whole["holds"]) == 6
