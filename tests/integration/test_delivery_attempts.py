"""Attempts of webhook deliveries against a real Postgres, with a sender in memory and a clock of the test's own."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import event, text

from cli.command import yout
from db.data_keys import Sealing
from db.deliveries import PendingDeliveries, WebhookPruning
from db.engine import Database
from db.prepared import PreparedConnection
from db.writer import LedgerWriter
from domain.errors import RequestInvalid
from domain.operations import Adjust
from domain.webhooks import PAUSES, Answer
from gateway import keys
from gateway.deliveries import CONCURRENT, CONCURRENT_OF_ACCOUNT, Deliveries, Step
from gateway.delivery_log import DeliveryLog
from gateway.webhooks import EndpointOrder, Webhooks
from tests.integration.test_many_rows import nodes
from tests.support.bank import WRAPPING, open_account, reserve, settle
from tests.support.media_stack import until
from tests.support.stack import SECRET

URL = "https://receiver.example/"
HOUR = timedelta(hours=1)


@dataclass
class Sent:
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Sender:
    """Counts who is sent to at a time. Waits while `open` is not set."""

    answer: Answer = field(default_factory=lambda: Answer(200))
    sent: list[Sent] = field(default_factory=list)
    active: Counter[str] = field(default_factory=Counter)
    peak: Counter[str] = field(default_factory=Counter)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def deliver(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.sent.append(Sent(url, dict(headers), body))
        for counted in (url, "all"):
            self.active[counted] += 1
            self.peak[counted] = max(self.peak[counted], self.active[counted])
        await self.open.wait()
        for counted in (url, "all"):
            self.active[counted] -= 1
        return self.answer


@dataclass
class Post:
    """Accounts, their endpoints, and one worker's attempts."""

    database: Database
    ledger: LedgerWriter
    sender: Sender = field(default_factory=Sender)
    ahead: timedelta = timedelta(0)
    worker: Deliveries = field(init=False)
    webhooks: Webhooks = field(init=False)

    def __post_init__(self) -> None:
        sealing = Sealing(WRAPPING)
        self.worker = Deliveries(self.database, sealing, self.sender, now=lambda: datetime.now(UTC) + self.ahead)
        self.webhooks = Webhooks(self.database, sealing, lambda url: None, 100)
        self.log = DeliveryLog(self.database, sealing)
        self.sender.open.set()

    async def account(self, credits: int = 0) -> UUID:
        return (await open_account(self.database, self.ledger, credits)).account_id

    async def endpoint(self, account_id: UUID, url: str = URL, types: list[str] | None = None) -> UUID:
        return (await self.webhooks.create(account_id, EndpointOrder(url, types=types), None))[0].id

    async def row(self, statement: str, **values: object) -> Any:
        async with self.database.transaction() as session:
            return (await (await session.connection()).execute(text(statement), values)).one_or_none()

    async def delivery(self, delivery_id: UUID) -> Any:
        return await self.row("SELECT * FROM webhook_deliveries WHERE id = :id", id=delivery_id)

    async def until_sent(self, number: int) -> None:
        await reached(number, lambda: len(self.sender.sent))


async def reached(number: int, count: Callable[[], int]) -> None:
    async def so_many() -> bool:
        return count() >= number

    await until(so_many, "attempts", every=0.01)


async def done(attempts: Sequence[asyncio.Task[Step]], number: int) -> list[asyncio.Task[Step]]:
    """Those that are over, when so many are. The others wait for the sender."""
    await reached(number, lambda: sum(attempt.done() for attempt in attempts))
    over = [attempt for attempt in attempts if attempt.done()]
    assert len(over) == number
    return over


@pytest.fixture
def post(database: Database, ledger: LedgerWriter) -> Post:
    return Post(database, ledger)


async def test_two_attempts_at_once_are_one_request_and_are_counted_once(post: Post) -> None:
    account_id = await post.account()
    delivery_id = await post.webhooks.test(account_id, await post.endpoint(account_id))
    post.sender.open.clear()
    attempts = [asyncio.create_task(post.worker.attempt(delivery_id, 0)) for _ in range(5)]
    await post.until_sent(1)
    waiting = await done(attempts, 4)
    assert all(one.result().state == "pending" and one.result().pause for one in waiting)
    post.sender.open.set()
    assert [step.state for step in await asyncio.gather(*attempts)].count("delivered") == 1
    row = await post.delivery(delivery_id)
    assert (row.tried, len(row.attempts), len(post.sender.sent)) == (1, 1, 1)
    assert await post.worker.attempt(delivery_id, 0) == Step("delivered")
    assert len(post.sender.sent) == 1


async def test_an_account_with_many_deliveries_leaves_starts_to_others(post: Post) -> None:
    flood, other = await post.account(), await post.account()
    endpoint = await post.endpoint(flood)
    many = {await post.webhooks.test(flood, endpoint) for _ in range(6)}
    one = await post.webhooks.test(other, await post.endpoint(other))
    pending = PendingDeliveries(post.database)
    due = await pending.due(2)
    assert {key.account_id for key in due} == {flood, other}
    for key in due:
        await pending.started(key)
    left = await pending.due(10)
    assert len(left) == 5
    assert {key.id for key in (*due, *left)} == many | {one}


async def test_only_deliveries_that_are_returned_are_looked_up_elsewhere(post: Post) -> None:
    """Very many may be due: events and jobs are joined to those of this round."""
    statements: list[tuple[str, Any]] = []
    reads = post.database._reads.sync_engine
    event.listen(
        reads, "before_cursor_execute", lambda _, __, statement, values, *___: statements.append((statement, values))
    )
    await PendingDeliveries(post.database).due(1)
    ((statement, values),) = statements
    async with post.database.connection() as connection:
        explained = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values)
        plan = explained.scalar_one()[0]["Plan"]
    limits = [node for node in nodes(plan) if node["Node Type"] == "Limit"]
    read = [{node.get("Relation Name") for node in nodes(limit)} - {None} for limit in limits]
    assert read == [{"webhook_deliveries"}]


async def test_an_attempt_that_was_killed_is_made_again_with_its_id_and_bytes(post: Post) -> None:
    account_id = await post.account()
    delivery_id = await post.webhooks.test(account_id, await post.endpoint(account_id))
    post.sender.open.clear()
    killed = asyncio.create_task(post.worker.attempt(delivery_id, 0))
    await post.until_sent(1)
    killed.cancel()
    await asyncio.wait([killed])
    post.sender.open.set()
    early = await post.worker.attempt(delivery_id, 0)
    assert (early.state, len(post.sender.sent)) == ("pending", 1)
    assert early.pause is not None
    post.ahead = early.pause
    assert await post.worker.attempt(delivery_id, 0) == Step("delivered")
    first, second = post.sender.sent
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert (await post.delivery(delivery_id)).tried == 1


async def test_a_redelivery_during_an_attempt_is_a_round_of_its_own(post: Post) -> None:
    account_id = await post.account()
    delivery_id = await post.webhooks.test(account_id, await post.endpoint(account_id))
    post.sender.open.clear()
    attempt = asyncio.create_task(post.worker.attempt(delivery_id, 0))
    await post.until_sent(1)
    await post.log.redeliver(account_id, delivery_id)
    post.sender.open.set()
    await attempt
    row = await post.delivery(delivery_id)
    assert (row.round, row.tried, row.state, len(row.attempts)) == (1, 0, "pending", 1)
    assert await post.worker.attempt(delivery_id, 0) == Step("pending"), "the old round's workflow ends"
    assert await post.worker.attempt(delivery_id, 1) == Step("delivered")
    assert len({one.headers["webhook-id"] for one in post.sender.sent}) == 1


async def test_many_slow_endpoints_of_an_account_get_so_many_places_and_no_more(post: Post) -> None:
    account_id, other = await post.account(), await post.account()
    endpoints = [await post.endpoint(account_id, f"{URL}{number}") for number in range(6)]
    deliveries = [await post.webhooks.test(account_id, one) for one in endpoints for _ in range(CONCURRENT + 1)]
    quick = await post.webhooks.test(other, await post.endpoint(other, f"{URL}quick"))
    post.sender.open.clear()
    attempts: list[asyncio.Task[Step]] = []
    for first in range(0, len(deliveries), 7):  # fewer at once than the pool has connections
        attempts.extend(asyncio.create_task(post.worker.attempt(one, 0)) for one in deliveries[first : first + 7])
        await reached(len(attempts), lambda: len(post.sender.sent) + sum(attempt.done() for attempt in attempts))
    of_other = asyncio.create_task(post.worker.attempt(quick, 0))
    await post.until_sent(CONCURRENT_OF_ACCOUNT + 1)
    assert post.sender.peak["all"] == CONCURRENT_OF_ACCOUNT + 1
    assert max(post.sender.peak[f"{URL}{number}"] for number in range(6)) == CONCURRENT
    for attempt in attempts:
        attempt.cancel()
    post.sender.open.set()
    assert await of_other == Step("delivered")


async def test_slow_endpoints_of_many_accounts_leave_places_for_quick_ones(post: Post) -> None:
    post.worker.lanes.places = 3
    accounts = [await post.account() for _ in range(5)]
    quick, *slow = [await post.endpoint(one, f"{URL}{number}") for number, one in enumerate(accounts)]
    first = await post.webhooks.test(accounts[0], quick)
    assert await post.worker.attempt(first, 0) == Step("delivered")  # it was quick: from now on it has its own lane
    post.sender.open.clear()
    waiting = [await post.webhooks.test(one, endpoint) for one, endpoint in zip(accounts[1:], slow, strict=True)]
    attempts = [asyncio.create_task(post.worker.attempt(one, 0)) for one in waiting]
    await post.until_sent(1 + 3)
    refused = await done(attempts, 1)
    assert [one.result().state for one in refused] == ["pending"]
    attempts.append(asyncio.create_task(post.worker.attempt(await post.webhooks.test(accounts[0], quick), 0)))
    await post.until_sent(1 + 3 + 1)
    post.sender.open.set()
    await asyncio.gather(*attempts)
    assert post.sender.peak["all"] == 4
    assert post.worker.lanes.slow == 0


@pytest.mark.parametrize(
    ("status", "hint", "least", "most"),
    [
        (500, "7200", 4, 6),
        (503, "7200", 7200, 7200),
        (429, "1", 4, 6),
        (429, "999999999", 86_400, 86_400),
        (429, "soon", 4, 6),
        (301, None, 4, 6),
    ],
)
async def test_the_pause_after_a_failure(post: Post, status: int, hint: str | None, least: int, most: int) -> None:
    account_id = await post.account()
    delivery_id = await post.webhooks.test(account_id, await post.endpoint(account_id))
    post.sender.answer = Answer(status, retry_after=hint)
    await post.worker.attempt(delivery_id, 0)
    row = await post.row(
        "SELECT extract(epoch FROM next_attempt_at - ended) AS pause FROM webhook_deliveries, "
        "LATERAL (SELECT (attempts -> 0 ->> 'at')::timestamptz AS ended) a WHERE id = :id",
        id=delivery_id,
    )
    assert least <= row.pause < most + 5  # plus what the attempt itself took


async def test_an_endpoint_is_switched_off_after_120_hours_of_failures_with_notice(post: Post) -> None:
    account_id = await post.account()
    failing = await post.endpoint(account_id)
    other = await post.endpoint(account_id, f"{URL}other", types=["webhook.disabled"])
    post.sender.answer = Answer(500)

    async def fail(at: timedelta) -> Any:
        post.ahead = at
        await post.worker.attempt(await post.webhooks.test(account_id, failing), 0)
        return await post.row("SELECT * FROM webhook_endpoints WHERE id = :id", id=failing)

    count = "SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = :id"
    assert (await fail(timedelta(0))).failing_since is not None
    row = await fail(119 * HOUR)
    assert (row.enabled, tuple(await post.row(count, id=other))) == (True, (0,))
    left = await post.webhooks.test(account_id, failing)
    row = await fail(120 * HOUR + timedelta(minutes=1))
    assert (row.enabled, row.disabled_reason) == (False, "failing")
    assert tuple(await post.row(count, id=other)) == (1,)
    assert (await post.delivery(left)).state == "cancelled"
    with pytest.raises(RequestInvalid):
        await post.log.redeliver(account_id, left)


async def test_one_success_begins_the_120_hours_anew(post: Post) -> None:
    account_id = await post.account()
    endpoint = await post.endpoint(account_id)
    for at, status in ((0, 500), (100, 200), (130, 500), (200, 500)):
        post.ahead, post.sender.answer = at * HOUR, Answer(status)
        await post.worker.attempt(await post.webhooks.test(account_id, endpoint), 0)
    assert tuple(await post.row("SELECT enabled FROM webhook_endpoints WHERE id = :id", id=endpoint)) == (True,)


async def test_a_round_ends_after_its_last_attempt(post: Post) -> None:
    account_id = await post.account()
    delivery_id = await post.webhooks.test(account_id, await post.endpoint(account_id))
    post.sender.answer = Answer(trouble="timeout")
    steps = []
    for _ in PAUSES:
        steps.append(await post.worker.attempt(delivery_id, 0))
        post.ahead += steps[-1].pause or timedelta(0)
    assert [step.state for step in steps] == ["pending"] * (len(PAUSES) - 1) + ["failed"]
    assert {one.headers["webhook-id"] for one in post.sender.sent} == {post.sender.sent[0].headers["webhook-id"]}


async def test_old_events_go_with_their_log_and_pending_ones_stay(post: Post, database_url: str) -> None:
    account_id = await post.account()
    endpoint = await post.endpoint(account_id)
    old, pending, new = [await post.webhooks.test(account_id, endpoint) for _ in range(3)]
    await post.worker.attempt(old, 0)
    await post.worker.attempt(new, 0)
    await post.webhooks.rotate(account_id, endpoint, timedelta(0))
    aged = """UPDATE events e SET created_at = e.created_at - interval '31 days'
              FROM webhook_deliveries d WHERE d.event_id = e.id AND d.id = ANY(%s)"""
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute(aged, [[old, pending]])
    assert await WebhookPruning(post.database, timedelta(days=30)).forget() == 1
    assert await post.delivery(old) is None
    assert (await post.delivery(pending)).state == "pending"
    assert (await post.delivery(new)).state == "delivered"
    assert tuple(await post.row("SELECT count(*) FROM webhook_secrets WHERE endpoint_id = :id", id=endpoint)) == (1,)
    assert await WebhookPruning(post.database, None).forget() == 0


async def test_a_revoked_key_is_told_once(post: Post) -> None:
    customer = await open_account(post.database, post.ledger, 0)
    await post.endpoint(customer.account_id, types=["key.revoked"])
    key = await post.row("SELECT id FROM api_keys WHERE account_id = :id", id=customer.account_id)
    for _ in range(2):
        async with post.database.transaction() as session:
            await keys.revoke(session, customer.account_id, None, key.id)
    events = await post.row("SELECT count(*), min(data::text)::jsonb AS data FROM events WHERE type = 'key.revoked'")
    assert tuple(events) == (1, {"key_id": str(key.id), "status": "revoked", "sequence": 1})


async def test_credits_that_fall_again_after_a_rise_are_told_again(post: Post) -> None:
    account_id = await post.account(1000)
    await post.endpoint(account_id, types=["credits.low"])
    await post.webhooks.set_credits_low(account_id, 500)
    for number, amount in enumerate((-400, -200, -100, 300, -300)):  # 600, 400 told, 300, 600, 300 told
        await post.ledger.ask(Adjust(account_id, amount, f"test:{number}", "a test"))
    assert tuple(await post.row("SELECT count(*) FROM events WHERE account_id = :id", id=account_id)) == (2,)


async def test_the_operator_lists_shows_disables_and_sends_again(post: Post, database_url: str) -> None:
    account_id = await post.account()
    endpoint = await post.endpoint(account_id)
    delivery_id = await post.webhooks.test(account_id, endpoint)
    await post.worker.attempt(delivery_id, 0)

    async def run(*words: str, code: int = 0) -> str:
        environment = {"YOUT_DATABASE_URL": database_url, "YOUT_SECRET_KEY": SECRET}
        done = await asyncio.to_thread(CliRunner().invoke, yout, ["webhooks", *words], env=environment)
        assert done.exit_code == code, done.output
        assert "receiver.example" not in done.output
        return done.stdout

    assert str(endpoint) in await run("list", "--account", str(account_id))
    assert '"pending":0' in await run("list", "--json")
    assert "delivered" in await run("show", str(endpoint))
    assert "pending" in await run("redeliver", str(delivery_id), "--json")
    assert (await post.delivery(delivery_id)).round == 1
    for _ in range(2):
        assert "disabled (operator)" in await run("disable", str(endpoint))
    assert (await post.delivery(delivery_id)).state == "cancelled"
    for words in (("show", str(uuid4())), ("redeliver", str(delivery_id)), ("disable", str(uuid4()))):
        await run(*words, code=1)


async def test_a_chat_call_sends_as_many_statements_with_endpoints_as_without(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await open_account(post.database, post.ledger, 10_000)
    statements: list[Any] = []
    run = PreparedConnection.run

    async def counted(self: PreparedConnection, *steps: Any) -> Any:
        statements.extend(steps)
        return await run(self, *steps)

    async def call() -> int:
        statements.clear()
        operation = reserve(customer, 100)
        await post.ledger.ask(operation)
        await post.ledger.ask(settle(customer, operation.hold_id, 10))
        return len(statements)

    monkeypatch.setattr(PreparedConnection, "run", counted)
    await call()  # the first call may also prepare
    without = await call()
    await post.endpoint(customer.account_id)
    await post.webhooks.set_credits_low(customer.account_id, 5_000)
    assert without == await call() > 0
