"""A stack's life full of accidents: words go through every door of it, in each way that a request can end.

Everything is stopped at the end, so that all that is left lies in files.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from psycopg import AsyncConnection
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from db.data_keys import wrapping_aad
from db.erasure import ERASED as ERASED_TABLES
from domain import shares
from domain.ids import workflow_id
from domain.sealing import SealBroken, Wrapping, unseal
from temporal.client import Address, connect, converter
from tests.support import canary_doors as doors
from tests.support import canary_wires as wires
from tests.support.canaries import (
    ADDRESS,
    ASKED,
    CHAT,
    ERASED,
    HEADERS,
    LABEL,
    MOVED,
    NAMED,
    PASSWORDS,
    SAVED,
    SHOWN,
    SPOKEN,
    misuses,
)
from tests.support.canary_doors import Made, Person, Secrets
from tests.support.carried import Carried
from tests.support.doubles import mail_server
from tests.support.doubles.echo_provider import MODELS, WORD, EchoProvider, catalog
from tests.support.fork_server import Process
from tests.support.media_stack import (
    KEYRING,
    Customer,
    Job,
    World,
    embedded,
    maintenance_of,
    temporal_of,
    triggered,
    until,
)
from tests.support.stack import SECRET, Stack
from tests.support.stripe_events import SECRET as STRIPE_SECRET

DEMOS = ("demo-chat", "demo-chat-fail", "demo-chat-broken")


async def _chat(
    customer: Customer, model: str, stream: bool, native: Mapping[str, Any] | None = None
) -> httpx2.Response | None:
    """`native` is the body of a chat that is saved."""
    # no two customers send the same body: the keyed hashes of what one erased would be those of what the other sent
    headers = HEADERS | {
        "idempotency-key": f"{ASKED}-{customer.account_id}-{model}-{stream}-{native and '-'.join(native)}"
    }
    shown = [SHOWN] if model.startswith("test-") else []
    body = {**CHAT, "messages": [*SPOKEN, *shown], "stream": stream, "seed": customer.account_id.int % 10**6}
    path = "/v1/chat/completions" if native is None else doors.STREAM
    try:
        return await customer.http.post(path, json={**(native or body), "model": model}, headers=headers)
    except httpx2.TransportError:
        return None


async def _chats(customer: Customer) -> None:
    """Every way in which a call can go. What a provider quotes in an error reaches nobody."""
    models = [*DEMOS, *(f"test-{name}" for name in MODELS if name not in ("hangs", "stalls"))]
    ways: list[tuple[bool, Mapping[str, Any] | None]] = [(False, None), (True, None)]
    ways += [(True, body) for body in doors.saving("", SAVED)]
    called = [(model, *way) for model in models for way in ways]
    answers = await asyncio.gather(*(_chat(customer, *call) for call in called))
    for (model, stream, _), answer in zip(called, answers, strict=True):
        assert answer is not None
        if model == "test-echoes":
            assert (answer.status_code, WORD in answer.text) == (200, True), answer.text
        if answer.status_code != 200:
            assert not any(word in answer.text for word in (ASKED, SAVED, WORD)), (model, stream)
    again = await _chat(customer, "demo-chat", stream=False)
    assert again is not None
    assert ASKED in again.text


async def _bad_requests(customer: Customer) -> None:
    """What is refused is not quoted either."""
    for method, path, what in misuses():
        answer = await customer.http.request(method, path, **what)
        assert 400 <= answer.status_code < 500, (method, path, answer.status_code)
        assert ASKED not in answer.text + str(answer.headers), (method, path, answer.text)
    await doors.refused(customer.http, "/api/b")
    await doors.refused(customer.http, "/api/c")
    await doors.refused(customer.http, "/api/m")
    await doors.refused(customer.http, "/api/w")
    await doors.refused(customer.http, "/v1/")


async def _jobs(customer: Customer) -> list[Job]:
    """The first image is the one that a worker dies over."""
    image = {"prompt": f"a lake {ASKED}", "size": "64x64"}
    video = {"prompt": f"a sea {ASKED}", "size": "64x64", "duration": 0.5}
    return [
        await customer.ordered("image", model="demo-image", **image),
        await customer.ordered("image", model="demo-image-fail", **image),
        await customer.ordered("image", model="demo-image", **image | {"prompt": f"a lake [refused] {ASKED}"}),
        await customer.ordered("video", model="demo-video", **video),
        await customer.ordered("video", model="demo-video-fail", **video),
        await customer.ordered("speech", model="demo-speech", input=f"Say {ASKED}.", response_format="wav"),
        await customer.ordered("speech", model="demo-speech-fail", input=f"Say {ASKED}."),
    ]


@dataclass(slots=True)
class Left:
    """What a stack has left behind."""

    folder: Path
    tokens: list[str]
    carried: Carried
    secrets: Secrets = field(default_factory=Secrets)
    jobs: list[Job] = field(default_factory=list)
    erased: Made = field(default_factory=lambda: Made("", []))
    """The page and the jobs that were."""
    sealed: dict[bytes, str] = field(default_factory=dict)
    """What had been stored encrypted, before it was erased, and in which column."""
    outputs: list[bytes] = field(default_factory=list)
    """A piece of each output that was erased."""
    still: set[bytes] = field(default_factory=set)
    """What of `sealed` a table has after the purge."""
    tables: dict[str, str] = field(default_factory=dict)
    """Of the database, by their files."""
    histories: dict[str, list[HistoryEvent]] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    """What operators were shown while it ran."""
    limits: dict[str, str] = field(default_factory=dict)
    """Of each process, by its program."""


PAYMENTS = "[payments]\ncredits_per_unit = { usd = 100 }\n"
COMPACT = ("ALTER SYSTEM SET wal_recycle = off", "SELECT pg_reload_conf()", "ANALYZE", "VACUUM FULL")
"""What docs/privacy.md says to do so that dead rows go, and files of the log of writes with them."""
NEXT_FILE = ("SELECT pg_logical_emit_message(false, '', '')", "SELECT pg_switch_wal()")


def _environment(temporary: Path, mails: str) -> dict[str, str]:
    temporary.mkdir()
    return {
        "YOUT_SHUTDOWN_TIMEOUT": "3",
        "TMPDIR": str(temporary),
        "YOUT_SMTP_URL": f"smtp://{mails}",
        "YOUT_MAIL_FROM": "yout@example.test",
        "YOUT_STRIPE_WEBHOOK_SECRETS": STRIPE_SECRET,
        "YOUT_TRUSTED_PROXIES": "127.0.0.1",
        "YOUT_VISITOR_MESSAGES_DAY": "2",
    }


@asynccontextmanager
async def lived(folder: Path, elsewhere: Path) -> AsyncIterator[Left]:
    """Run a stack below one folder, with a catalog from elsewhere, to its end."""
    mails = mail_server.MailServer()
    with EchoProvider() as upstream, mail_server.running(mails) as mail_address:
        (elsewhere / "catalog.toml").write_text(catalog(upstream.url) + PAYMENTS)
        async with embedded(folder) as (postgres, server):
            extra = _environment(folder / "tmp", mail_address)
            stack = Stack.on(
                postgres, folder / "state", server.address, catalog=elsewhere / "catalog.toml", extra=extra
            )
            async with World.of(stack) as world:
                customers = [await world.customer() for _ in range(2)]
                left = Left(folder, [each.token for each in customers], Carried([]))
                left.carried.words = [ASKED, SAVED, ERASED, LABEL, NAMED, ADDRESS, MOVED, *PASSWORDS]
                for each in customers:
                    each.http.event_hooks = {"response": [left.carried.note]}
                async with _activity(world, left):
                    left.jobs = await _accidents(world, *customers)
                    await _recovery(world, customers, left, mails)
                upstream.release.set()
                left.limits |= {each.name: _limits(each.pid) for each in (postgres, server)}
                jobs = await temporal_of(server)
                for client in (jobs, await maintenance_of(jobs)):
                    left.histories |= {
                        each.id: [event async for event in client.get_workflow_handle(each.id).fetch_history_events()]
                        async for each in client.list_workflows()
                    }
                await _compacted(world)
                files = "SELECT pg_relation_filenode(oid)::text, relname FROM pg_class"
                left.tables = dict(await world.rows(files))
    yield left


async def _compacted(world: World) -> None:
    """Rows that are visible to somebody stay: wait for those who look at an earlier state."""
    looking = "SELECT 1 FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"
    await until(lambda: _all(world, looking, 0), "nobody to look at an earlier state")
    for statement in COMPACT:
        await world.rows(statement)
    for _ in await world.rows("SELECT name FROM pg_ls_waldir()"):
        for statement in NEXT_FILE:
            await world.rows(statement)
    await world.rows("CHECKPOINT")


@asynccontextmanager
async def _activity(world: World, left: Left) -> AsyncIterator[None]:
    """Look again and again at what the database shows its operator of running statements."""

    queries = set[str]()

    async def look() -> None:
        async with await AsyncConnection.connect(world.stack.owner_url, autocommit=True) as connection:
            while True:
                shown = await connection.execute("SELECT query FROM pg_stat_activity")
                queries.update(query for (query,) in await shown.fetchall() if query)
                await asyncio.sleep(0.05)  # a connection shows its last statement until the next one

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
    left.shown["activity"] = "\n".join(queries)
    assert "write_batch" in left.shown["activity"]


def _limits(pid: int | None) -> str:
    return Path(f"/proc/{pid}/limits").read_text()


async def _accidents(world: World, customer: Customer, other: Customer) -> list[Job]:
    """A worker dies over the first output, an API over a stream that has begun."""
    stack = world.stack
    with stack.running("worker", {"YOUT_FAILPOINT": "copy:between"}) as worker, stack.running("api") as api:
        jobs = await _jobs(customer)
        await asyncio.gather(_chats(customer), _bad_requests(other), wires.called(customer), wires.mistaken(other))
        hanging = asyncio.create_task(_chat(other, "test-hangs", stream=True))
        stalling = [asyncio.create_task(_chat(other, "test-stalls", True, save)) for save in doors.saving("", ASKED)]
        query = "SELECT id FROM holds WHERE model = 'test-hangs' OR model = 'test-stalls' AND relayed_output > 0"
        await until(lambda: _all(world, query, 3), "three calls to run, two of them saved")
        await until(lambda: _ended(worker), "the worker to die")
        api.kill()
        assert await asyncio.gather(hanging, *stalling) == [None] * 3
    return jobs


async def _maintained(client: Client) -> None:
    """A round of what else runs by a schedule, so that its history is there to be read."""
    await until(lambda: triggered(client), "the schedule")
    upkeep = await maintenance_of(client)
    rounds = "WorkflowType = 'MaintenanceWorkflow' AND ExecutionStatus = 'Completed'"
    await until(lambda: _any(upkeep, rounds), "a round of maintenance")


async def _any(client: Client, query: str) -> bool:
    return (await client.count_workflows(query)).count > 0


async def _all(world: World, query: str, count: int) -> bool:
    return len(await world.rows(query)) == count


async def _ended(process: Process) -> bool:
    return process.poll() is not None


async def _purged(world: World, customer: Customer, left: Left) -> None:
    """Everything that the customer saved is erased: a row from a backup cannot be opened with the keys left."""
    keys = "SELECT epoch, wrapped FROM data_keys WHERE account_id = %s AND wrapped IS NOT NULL"
    shared = "SELECT slug_hash, sealed FROM shares WHERE account_id = %s"
    ((slug_hash, sealed),) = await world.rows(shared, customer.account_id)
    ((old, wrapped),) = await world.rows(keys, customer.account_id)
    place = shares.aad(customer.account_id, slug_hash, "messages")

    def opened(epoch: int, wrapped: bytes, of_epoch: int) -> bytes:
        data_key = Wrapping.of(SECRET).unwrap(wrapped, aad=wrapping_aad(customer.account_id, epoch))
        return unseal(data_key, sealed, aad=f"{place}|{of_epoch}")

    assert ERASED.encode() in opened(old, wrapped, old)
    left.sealed = await _stored_bytes(world, customer)
    assert {sealed, wrapped} <= set(left.sealed)
    stored = [path for path in _objects(world, customer) if path.is_file()]
    media = world.stack.state / "media"
    others = [path for path in media.rglob("*") if path.is_file() and path not in stored]
    left.outputs = [only_in(path, others) for path in stored]
    assert len(left.outputs) == len(left.erased.jobs) + 2  # each film has a poster
    started = await customer.http.post("/api/chat/purge/", json={"confirm": "erase"})
    assert started.status_code == 202

    async def completed() -> bool:
        answer = await customer.http.get(f"/api/chat/purge/{started.json()['purge_id']}/")
        return bool(answer.json()["status"] == "completed")

    await until(completed, "the purge")
    for path in (f"/c/{left.erased.slug}", f"/api/chat/share/{left.erased.slug}/"):
        assert (await customer.http.get(path)).status_code == 404
    assert ERASED not in (await customer.http.get("/api/chat/conversations/export/")).text
    ((epoch, wrapped),) = await world.rows(keys, customer.account_id)
    assert epoch > old
    for of_epoch in (old, epoch):
        with pytest.raises(SealBroken):
            opened(epoch, wrapped, of_epoch)
    left.still = set(left.sealed) & set(await _stored_bytes(world, customer))
    assert not [path for path in _objects(world, customer) if path.is_file()]


def _objects(world: World, customer: Customer) -> Iterator[Path]:
    return (world.stack.state / "media" / customer.account_id.hex).rglob("*")


def only_in(path: Path, others: Sequence[Path]) -> bytes:
    """48 bytes of this file that no other has: demo outputs may have whole stretches alike."""
    content, rest = path.read_bytes(), [other.read_bytes() for other in others]
    windows = (content[place:][:48] for place in range(len(content) // 2, len(content) - 48, 7))
    return next(window for window in windows if not any(window in other for other in rest))


async def _stored_bytes(world: World, customer: Customer) -> dict[bytes, str]:
    """What the tables that a purge erases, and that of keys, have of the customer in columns of bytes."""
    columns = "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND data_type = 'bytea'"
    columns += " AND column_name <> 'checksum'"  # a hash
    found: dict[bytes, str] = {}
    for table in {"data_keys", *(each.table for each in ERASED_TABLES)} - {"job_inputs", "job_files", "upload_parts"}:
        for (column,) in await world.rows(columns, table):
            query = f"SELECT {column} FROM {table} WHERE account_id = %s AND {column} IS NOT NULL"
            found |= {row[0]: f"{table}.{column}" for row in await world.rows(query, customer.account_id)}
    return {value: place for value, place in found.items() if len(value) >= 28}


async def _recovery(world: World, customers: Sequence[Customer], left: Left, mails: mail_server.MailServer) -> None:
    customer, other = customers = [await _again(world, each) for each in customers]
    slow = {"YOUT_UPSTREAM_FIRST_BYTE_TIMEOUT": "6"}
    with world.stack.running("worker") as worker, world.stack.running("api", slow) as api:
        left.limits |= {"worker": _limits(worker.pid), "api": _limits(api.pid)}
        await _doors(world, customers, left, mails)
        await _purged(world, other, left)
        client = await connect(Address(world.stack.temporal_address), converter(KEYRING))
        await _cancelled(customer, client)
        states = [(await customer.ended(job))["status"] for job in left.jobs]
        assert states == ["succeeded", "failed", "failed", "succeeded", "failed", "succeeded", "failed"]
        await _maintained(client)
        left.shown["metrics"] = (await customer.http.get("/metrics")).text


async def _again(world: World, customer: Customer) -> Customer:
    """The same customer, with no connection to the process that was killed."""
    http = httpx2.AsyncClient(base_url=customer.http.base_url, headers=customer.http.headers, timeout=60)
    http.event_hooks = customer.http.event_hooks
    return replace(customer, http=await world.opened.enter_async_context(http))


async def _doors(world: World, customers: Sequence[Customer], left: Left, mails: mail_server.MailServer) -> None:
    """All at once, then those that find the tables broken."""
    customer, other = customers
    url = world.stack.url
    too_slow, _, left.erased, _ = await asyncio.gather(
        _chat(customer, "test-hangs", stream=True),
        doors.saved(customer, left.secrets, SAVED),
        doors.saved(other, left.secrets, ERASED),
        doors.visited(url, left.secrets),
    )
    assert too_slow is not None
    assert (too_slow.status_code, ASKED in too_slow.text) == (504, False), too_slow.text
    for job in left.erased.jobs:
        await other.in_state({"job_uuid": job, "model": "media"}, "succeeded")
    async with doors.fault(world):
        await doors.failed(other, ERASED)
    await doors.paid(world)
    async with Person.at(url, mails, left.secrets, left.carried) as person:
        await person.life(world)


async def _cancelled(customer: Customer, client: Client) -> None:
    slow = {"model": "demo-image-slow", "prompt": f"[seconds=300] {ASKED}", "size": "64x64"}
    cancelled = await customer.ordered("image", **slow)
    await customer.in_state(cancelled, "running")
    await client.get_workflow_handle(workflow_id(UUID(cancelled["job_uuid"]))).cancel()
    assert (await customer.ended(cancelled))["status"] == "cancelled"
