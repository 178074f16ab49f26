"""A whole stack of real processes for the tests of faults: its servers, its customers, and looks at what it keeps."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx2
import psycopg
from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.service import RPCError, RPCStatusCode

from db.audit import audit
from db.engine import Database
from db.writer import LedgerWriter
from dev.postgres import EmbeddedPostgres
from dev.server import EmbeddedServer
from dev.temporal import EmbeddedTemporal
from domain.media import Output
from domain.namespaces import MAINTENANCE
from domain.sealing import Wrapping
from providers.demo.spool import Spool, Submission
from temporal import attributes
from temporal.client import Address, connect, converter
from temporal.codec import Keyring
from tests.support import migrated
from tests.support.bank import open_account
from tests.support.stack import SECRET, Stack
from workflows.maintenance import SCHEDULE_ID

TIMEOUT = 150.0
"""Seconds after which something that must happen counts as not happening; what it takes is asserted nowhere.

Longer than two rounds of maintenance, which come each minute: what one has just missed waits for the next one.
"""
KEYRING = Keyring.derived(SECRET)
ENDED = ("succeeded", "failed", "cancelled")

Result = TypeVar("Result")
Job = Mapping[str, Any]


async def until(condition: Callable[[], Awaitable[Result]], what: str, every: float = 0.1) -> Result:
    """The first truthy answer."""
    deadline = asyncio.get_running_loop().time() + TIMEOUT
    while not (answer := await condition()):
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(every)
    return answer


async def temporal_of(server: EmbeddedTemporal, namespace: str = "default") -> Client:
    return await connect(Address(server.address, namespace), converter(KEYRING))


async def maintenance_of(temporal: Client) -> Client:
    """The namespace of maintenance on the same server."""
    return await connect(Address(temporal.service_client.config.target_host, MAINTENANCE), converter(KEYRING))


async def triggered(temporal: Client) -> bool:
    """Have the schedule do a round of maintenance. False until a worker has made it.

    Also beside one whose worker was killed: Temporal gives up on that one after minutes.
    """
    try:
        upkeep = await maintenance_of(temporal)
        await upkeep.get_schedule_handle(SCHEDULE_ID).trigger(overlap=ScheduleOverlapPolicy.ALLOW_ALL)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def crash(server: EmbeddedServer) -> None:
    """Kill it; `start` brings it back with what it had written."""
    assert server.pid is not None
    os.kill(server.pid, SIGKILL)
    await server.wait()


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[tuple[EmbeddedPostgres, EmbeddedTemporal]]:
    """Both servers below one folder. The database is migrated, and does not wait for the disk: a job commits often."""
    await migrated.put(folder / "postgres")
    postgres = EmbeddedPostgres(folder / "postgres", options=migrated.UNSYNCED)
    temporal = EmbeddedTemporal(folder / "temporal", search_attributes=attributes.DEFINITIONS)
    async with postgres, temporal:
        yield postgres, temporal


@dataclass(slots=True)
class Customer:
    """An account, its key, and its dealings with the API."""

    account_id: UUID
    token: str
    http: httpx2.AsyncClient
    opening: int

    async def order(self, kind: str, **body: object) -> httpx2.Response:
        return await self.http.post(f"/api/media/{kind}/", json=body)

    async def ordered(self, kind: str, **body: object) -> Job:
        answer = await self.order(kind, **body)
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"].endswith(f"/api/media/jobs/{answer.json()['job_uuid']}/")
        return dict(answer.json())

    async def job(self, job_uuid: str) -> Job | None:
        """None while the API is away, or cannot tell."""
        try:
            answer = await self.http.get(f"/api/media/jobs/{job_uuid}/")
        except httpx2.TransportError:
            return None
        if answer.status_code == 503:
            assert answer.headers["retry-after"]
            return None
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def in_state(self, job: Job, *states: str) -> Job:
        async def polled() -> Job | None:
            job_ = await self.job(job["job_uuid"])
            return job_ if job_ and job_["status"] in states else None

        reached = await until(polled, f"a {job['model']} job to be {' or '.join(states)}")
        assert reached is not None
        return reached

    async def ended(self, job: Job) -> Job:
        return await self.in_state(job, *ENDED)

    async def balance(self) -> tuple[int, int]:
        """Available, held."""
        answer = await self.http.get("/api/chat/limit/")
        return answer.json()["balance"], answer.json()["held"]


@dataclass(slots=True)
class World:
    """What the tests of one module share: a stack's environment, and direct access to its data."""

    stack: Stack
    database: Database
    ledger: LedgerWriter
    opened: AsyncExitStack

    @classmethod
    @asynccontextmanager
    async def of(cls, stack: Stack) -> AsyncIterator[Self]:
        async with AsyncExitStack() as opened:
            database = Database.open(stack.database_url, pool=2)
            opened.push_async_callback(database.close)
            ledger = await opened.enter_async_context(LedgerWriter(stack.database_url))
            yield cls(stack, database, ledger, opened)

    async def customer(self, credits: int = 1_000_000) -> Customer:
        account = await open_account(self.database, self.ledger, credits, Wrapping.of(SECRET))
        headers = {"authorization": f"Bearer {account.token}"}
        http = httpx2.AsyncClient(base_url=self.stack.url, headers=headers, timeout=60)
        await self.opened.enter_async_context(http)
        return Customer(account.account_id, account.token, http, credits)

    def submissions(self, job_uuid: str | None = None) -> list[Submission]:
        """What the demo provider was given of a job; of all."""
        return Spool(self.stack.state.resolve() / "demo").submissions(job_uuid)

    async def rows(self, query: str, *values: object) -> list[Any]:
        """Of one statement of the owner in a transaction of its own; empty where it gives none."""
        async with await psycopg.AsyncConnection.connect(self.stack.owner_url, autocommit=True) as connection:
            cursor = await connection.execute(query.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def movements(self, job_uuid: str) -> list[str]:
        """The ledger's transactions of a job or call, oldest first."""
        query = "SELECT kind FROM transactions WHERE hold_id = %s ORDER BY id"
        return [row[0] for row in await self.rows(query, UUID(job_uuid))]

    async def books_are_clean(self) -> None:
        async with self.database.connection() as connection:
            report = await audit(connection)
        assert report.clean, report.findings

    async def ended_once(self, job: Job, state: str) -> None:
        """The job has ended so, with one charge or one release, and one submission to the demo provider."""
        await self.settled_once(job, state)
        assert len(self.submissions(job["job_uuid"])) == 1

    async def settled_once(self, job: Job, state: str) -> None:
        """The job is in that state, with one charge or one release.

        Nothing is left of its input, and in our storage lies what it made, or nothing.
        """
        query = "SELECT account_id, state, credits_cost, credits_refunded, outputs FROM media_jobs WHERE id = %s"
        ((account_id, job_state, cost, refunded, outputs),) = await self.rows(query, UUID(job["job_uuid"]))
        assert (job_state, refunded) == (state, 0 if state == "succeeded" else cost)
        expected = ["hold", "charge" if state == "succeeded" else "release"]
        assert await self.movements(job["job_uuid"]) == expected
        assert not await self.rows("SELECT job_id FROM job_inputs WHERE job_id = %s", UUID(job["job_uuid"]))
        media = self.stack.state / "media"
        stored = (media / account_id.hex / UUID(job["job_uuid"]).hex).glob("*")
        files = [file for output in outputs for file in Output.model_validate(output).files]
        assert {str(path.relative_to(media)) for path in stored} == {file.object_key for file in files}
        assert bool(outputs) == (state == "succeeded")
