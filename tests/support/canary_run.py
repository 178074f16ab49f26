"""A stack that words go through by every endpoint, in each way that a request can end, with processes killed.

Everything is stopped at the end, so that all that is left lies in files.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import httpx2
from psycopg import AsyncConnection
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from domain.ids import workflow_id
from temporal.client import Address, connect, converter
from tests.support import canary_calls as calls
from tests.support import canary_endpoints as endpoints
from tests.support import canary_wires as wires
from tests.support.canaries import (
    ADDRESS,
    ASKED,
    ERASED,
    LABEL,
    MOVED,
    NAMED,
    PASSWORDS,
    SAVED,
)
from tests.support.canary_endpoints import Made, Person, Secrets
from tests.support.canary_fields import Carried
from tests.support.canary_purge import Purged, purged
from tests.support.doubles import mail_server
from tests.support.doubles.echo_provider import EchoProvider, catalog
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
from tests.support.stack import Stack
from tests.support.stripe_events import SECRET as STRIPE_SECRET


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
    purged: Purged = field(default_factory=lambda: Purged({}, [], set()))
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
async def run(folder: Path, elsewhere: Path) -> AsyncIterator[Left]:
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
        jobs = await calls.jobs(customer)
        await asyncio.gather(calls.chats(customer), calls.refused(other), wires.called(customer), wires.mistaken(other))
        hanging = asyncio.create_task(calls.chat(other, "test-hangs", stream=True))
        stalling = [
            asyncio.create_task(calls.chat(other, "test-stalls", True, save)) for save in endpoints.saving("", ASKED)
        ]
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


async def _recovery(world: World, customers: Sequence[Customer], left: Left, mails: mail_server.MailServer) -> None:
    customer, other = customers = [await _again(world, each) for each in customers]
    slow = {"YOUT_UPSTREAM_FIRST_BYTE_TIMEOUT": "6"}
    with world.stack.running("worker") as worker, world.stack.running("api", slow) as api:
        left.limits |= {"worker": _limits(worker.pid), "api": _limits(api.pid)}
        await _endpoints(world, customers, left, mails)
        left.purged = await purged(world, other, left.erased)
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


async def _endpoints(world: World, customers: Sequence[Customer], left: Left, mails: mail_server.MailServer) -> None:
    """All at once, then those that find the tables broken."""
    customer, other = customers
    url = world.stack.url
    too_slow, _, left.erased, _ = await asyncio.gather(
        calls.chat(customer, "test-hangs", stream=True),
        endpoints.saved(customer, left.secrets, SAVED),
        endpoints.saved(other, left.secrets, ERASED),
        endpoints.visited(url, left.secrets),
    )
    assert too_slow is not None
    assert (too_slow.status_code, ASKED in too_slow.text) == (504, False), too_slow.text
    for job in left.erased.jobs:
        await other.in_state({"job_uuid": job, "model": "media"}, "succeeded")
    async with endpoints.fault(world):
        await endpoints.failed(other, ERASED)
    await endpoints.paid(world)
    async with Person.at(url, mails, left.secrets, left.carried) as person:
        await person.life(world)


async def _cancelled(customer: Customer, client: Client) -> None:
    slow = {"model": "demo-image-slow", "prompt": f"[seconds=300] {ASKED}", "size": "64x64"}
    cancelled = await customer.ordered("image", **slow)
    await customer.in_state(cancelled, "running")
    await client.get_workflow_handle(workflow_id(UUID(cancelled["job_uuid"]))).cancel()
    assert (await customer.ended(cancelled))["status"] == "cancelled"
