"""Events of media jobs over a real port, as a browser's `EventSource` and a program read them."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest
from starlette.types import Message

from api import media_events
from api.media_events import JobEventStream
from dev.postgres import EmbeddedPostgres
from domain.errors import RateLimited, ServiceUnavailable
from gateway.listeners import Listeners
from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import AccountClient
from tests.support.own_stack import own_stack
from tests.support.stack import Stack, eventually

JOBS = "/api/media/jobs/"


@dataclass(frozen=True)
class Event:
    name: str
    id: str
    data: dict[str, Any]


class Events:
    """The events of an open stream."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next(self) -> Event | None:
        """Return the next event, or None when the stream has ended."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            name, _, value = line.partition(": ")
            if "data" in fields and not line:
                return Event(fields["event"], fields["id"], json.loads(fields["data"]))
            fields[name] = value
        return None


@pytest.fixture(scope="module")
def stack(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Its rows are changed by hand, which another test's look at the books would find."""
    started = own_stack(postgres, tmp_path_factory, "events")
    with started.running("api"):
        yield started


@asynccontextmanager
async def listening(owner: AccountClient, job_id: str, seen: str | None = None) -> AsyncIterator[Events]:
    headers = {} if seen is None else {"last-event-id": seen}
    async with owner.http.stream("GET", f"{JOBS}{job_id}/events/", headers=headers) as answer:
        yield Events(answer)


@pytest.fixture
async def job_id(owner: AccountClient) -> str:
    body = {"model": "demo-image", "prompt": "a lake", "size": "64x64"}
    return str((await owner.http.post("/api/media/image/", json=body)).json()["job_uuid"])


async def changed(stack: Stack, job_id: str, assignments: str) -> None:
    async with await psycopg.AsyncConnection.connect(stack.owner_url, autocommit=True) as connection:
        await connection.execute(f"UPDATE media_jobs SET {assignments} WHERE id = %s".encode(), [job_id])


async def test_a_job_is_followed_from_its_present_state_to_its_end(
    owner: AccountClient, stack: Stack, job_id: str
) -> None:
    async with listening(owner, job_id) as events:
        assert events.answer.headers["content-type"].startswith("text/event-stream")
        assert events.answer.headers["x-accel-buffering"] == "no"
        first = await events.next()
        assert first is not None
        assert (first.name, first.id) == ("status", "queued")
        assert first.data == (await owner.http.get(f"{JOBS}{job_id}/")).json()
        seen = []
        for assignments in (
            "state = 'running'",
            "phase = 'waiting'",
            "phase = 'running'",
            "progress = 40",
            "phase = 'copying'",
            "state = 'failed', phase = NULL",
        ):
            await changed(stack, job_id, assignments)
            event = await events.next()
            assert event is not None
            seen.append((event.name, event.data.get("status"), event.data.get("phase"), event.data["progress"]))
        assert seen == [
            ("status", "running", None, None),
            ("progress", None, "waiting", None),
            ("progress", None, "running", None),
            ("progress", None, "running", 40),
            ("progress", None, "copying", 40),
            ("done", "failed", None, 40),
        ]
        assert await events.next() is None


async def test_whoever_connects_again_gets_what_is_new_and_in_the_end_nothing(
    owner: AccountClient, stack: Stack, job_id: str
) -> None:
    await changed(stack, job_id, "state = 'running', phase = 'running', progress = 10")
    async with listening(owner, job_id) as events:
        last = await events.next()
    assert last is not None
    async with listening(owner, job_id, last.id) as events:
        waiting = asyncio.create_task(events.next())
        await asyncio.sleep(0)
        await changed(stack, job_id, "progress = 20")
        event = await waiting
        assert event is not None
        assert (event.name, event.data["progress"]) == ("progress", 20)
    await changed(stack, job_id, "state = 'failed', phase = NULL")
    async with listening(owner, job_id, event.id) as events:
        done = await events.next()
        assert done is not None
        assert (done.name, await events.next()) == ("done", None)
    async with listening(owner, job_id, done.id) as events:
        assert events.answer.status_code == 204
    async with listening(owner, job_id) as events:
        assert await events.next() == done


async def test_cancelling_ends_the_stream(owner: AccountClient, job_id: str) -> None:
    async with listening(owner, job_id) as events:
        await events.next()
        await owner.http.post(f"{JOBS}{job_id}/cancel/")
        done = await events.next()
        assert done is not None
        assert (done.name, done.data["status"]) == ("done", "cancelled")


async def test_a_key_that_is_revoked_meanwhile_gets_no_end(owner: AccountClient, stack: Stack, job_id: str) -> None:
    async with listening(owner, job_id) as events:
        assert (await events.next()) is not None
        async with await psycopg.AsyncConnection.connect(stack.owner_url, autocommit=True) as connection:
            revoke = "UPDATE api_keys SET revoked_at = now() WHERE account_id = %s"
            await connection.execute(revoke, [owner.customer.account_id])
        await changed(stack, job_id, "state = 'failed'")
        assert await events.next() is None


async def test_another_accounts_job_is_not_found(new_owner: OpenAccountClient, job_id: str) -> None:
    stranger = await new_owner()
    for each in (job_id, uuid4()):
        assert (await stranger.http.get(f"{JOBS}{each}/events/")).status_code == 404


async def test_the_head_alone_ends_at_once(owner: AccountClient, job_id: str) -> None:
    answer = await owner.http.head(f"{JOBS}{job_id}/events/")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_streams_share_one_connection_to_the_database(owner: AccountClient, stack: Stack, job_id: str) -> None:
    count = """SELECT count(*) FILTER (WHERE query = 'LISTEN yout_jobs' OR application_name = 'yout-job-changes')
        FROM pg_stat_activity WHERE datname = current_database()"""
    async with AsyncExitStack() as opened:
        streams = [await opened.enter_async_context(listening(owner, job_id)) for _ in range(30)]
        assert {event.name for stream in streams if (event := await stream.next())} == {"status"}
        async with await psycopg.AsyncConnection.connect(stack.owner_url) as connection:
            assert await (await connection.execute(count.encode())).fetchone() == (1,)
        await owner.http.post(f"{JOBS}{job_id}/cancel/")
        assert [event.name for stream in streams if (event := await stream.next())] == ["done"] * 30


async def test_an_account_has_a_bounded_number_of_streams(owner: AccountClient, stack: Stack, job_id: str) -> None:
    limits = httpx2.Limits(max_connections=None)
    http = httpx2.AsyncClient(base_url=stack.url, headers=owner.http.headers, limits=limits)
    async with http, AsyncExitStack() as opened:
        one = replace(owner, http=http)
        streams = [await opened.enter_async_context(listening(one, job_id)) for _ in range(101)]
        assert [stream.answer.status_code for stream in streams] == [200] * 100 + [429]
        assert int(streams[-1].answer.headers["retry-after"]) >= 1

    async def free() -> bool:
        async with listening(owner, job_id) as events:
            return events.answer.status_code == 200

    assert await eventually(free)


def test_places_are_of_accounts_and_of_the_process() -> None:
    listeners = Listeners(max_of_account=1, max_in_all=2)
    first, second, third = UUID(int=1), UUID(int=2), UUID(int=3)
    with listeners.place(first), listeners.place(second):
        with pytest.raises(RateLimited), listeners.place(first):
            pass
        with pytest.raises(ServiceUnavailable), listeners.place(third):
            pass
    with listeners.place(third):
        pass


async def test_a_client_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_events, "MAX_STALL", timedelta(0))
    aborted, gone = asyncio.Event(), asyncio.Event()
    stream = object.__new__(JobEventStream)

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def stuck(_: Message) -> None:
        await asyncio.Event().wait()

    def abort() -> None:
        aborted.set()
        gone.set()

    scope: dict[str, Any] = {"state": {"abort": abort}}
    await stream._follow(scope, receive, media_events._sent(stuck, b"x"))
    assert aborted.is_set()
