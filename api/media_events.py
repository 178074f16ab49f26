"""`/api/media/jobs/<uuid>/events/`: what happens to a job, as server-sent events.

A stream waits in memory: it has no connection to the database, and makes no query while nothing happens. A client that
is slow gets the newest state alone; one that reads nothing is dropped.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Response
from starlette.types import Receive, Scope, Send

from api import auth
from api.body import StrictRoute
from api.deps import CurrentResources, MayRender
from api.media import view
from api.resources import Resources
from api.stream_response import stream_headers
from domain.errors import GatewayError
from domain.media import Job, State
from gateway.job_changes import JobWatch, position

HEARTBEAT = timedelta(seconds=15)
"""The longest silence: then a comment is written."""
MAX_STALL = timedelta(seconds=30)
"""A client that takes nothing for this long is dropped."""
MAX_STREAM = timedelta(minutes=10)
"""Then a client connects again. It names the last event that it has seen."""
RECONNECT_MILLISECONDS = 2000
_COMMENT = b":\n\n"

router = APIRouter(prefix="/api/media/jobs", tags=["media"], route_class=StrictRoute)


@router.get(
    "/{job_uuid}/events/",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}, 204: {"description": "`done` was seen before."}},
)
async def follow_job(
    job_uuid: UUID,
    caller: MayRender,
    resources: CurrentResources,
    last_event_id: Annotated[str | None, Header(max_length=100, description="`id` of the last event seen.")] = None,
) -> Response:
    """Follow a job until it ends.

    The first event is the job as it is. `status` and `done` have the job as `GET …/jobs/<uuid>/` answers it; `progress`
    has its `phase` and `progress` alone. After `done` the stream ends. It ends without `done` after ten minutes:
    connect again, with `Last-Event-ID`.
    """
    return JobEventStream(resources, caller.account_id, job_uuid, last_event_id)


class JobEventStream(Response):
    """The answer. Its errors are raised before anything is written."""

    def __init__(self, resources: Resources, account_id: UUID, job_id: UUID, seen: str | None) -> None:
        super().__init__()
        self._resources, self._account_id, self._job_id, self._seen = resources, account_id, job_id, seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with (
            self._resources.listeners.place(self._account_id),
            self._resources.job_changes.watch(self._job_id, listener=True) as watch,
        ):
            async with self._resources.reads.slot(self._account_id):  # the handler has left the one that it had
                job = await self._resources.jobs.owned(self._account_id, self._job_id)
            if job.state.terminal and self._seen == position(job):  # a browser connects again, until it gets a 204
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
            await send({"type": "http.response.start", "status": 200, "headers": stream_headers("text/event-stream")})
            if scope["state"].get("headless"):
                await _sent(send, b"", more=False)
            else:
                await self._follow(scope, receive, self._write(scope, send, job, watch))

    async def _follow(self, scope: Scope, receive: Receive, writing: Coroutine[Any, Any, None]) -> None:
        """Write until the end, or until the client has gone. Close the connection of one that takes nothing."""
        gone, written = asyncio.create_task(_gone(receive)), asyncio.create_task(writing)
        try:
            await asyncio.wait({gone, written}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                return
            if isinstance(written.exception(), _Stalled):
                scope["state"].get("abort", gone.cancel)()
                await asyncio.wait({gone})
            else:
                written.result()
        finally:
            for task in (gone, written):
                task.cancel()
            await asyncio.gather(gone, written, return_exceptions=True)

    async def _write(self, scope: Scope, send: Send, job: Job, watch: JobWatch) -> None:
        await _sent(send, b"retry: %d\n\n" % RECONNECT_MILLISECONDS)
        with suppress(TimeoutError, GatewayError):  # it ends early: the client asks again, and is told why
            async with asyncio.timeout(MAX_STREAM.total_seconds()):
                async for data in self._events(scope, job, watch):
                    await _sent(send, data)
        await _sent(send, b"", more=False)

    async def _events(self, scope: Scope, job: Job, watch: JobWatch) -> AsyncIterator[bytes]:
        if self._seen != position(job):
            yield self._event(job, None)
        while not job.state.terminal:
            try:
                async with asyncio.timeout(HEARTBEAT.total_seconds()):
                    before, job = job, await watch.next(job)
            except TimeoutError:
                yield _COMMENT
            else:
                if job.state.terminal:  # with links to its outputs: not for a key that was revoked meanwhile
                    await auth.authenticate({**scope, "state": {}})
                yield self._event(job, before.state)

    def _event(self, job: Job, before: State | None) -> bytes:
        if job.state is before:
            progress = {"job_uuid": job.id, "phase": job.phase, "progress": job.progress}
            return _written("progress", position(job), progress)
        name = "done" if job.state.terminal else "status"
        return _written(name, position(job), view(self._resources, job).model_dump())


class _Stalled(Exception):
    """The client takes nothing."""


async def _sent(send: Send, data: bytes, *, more: bool = True) -> None:
    try:
        async with asyncio.timeout(MAX_STALL.total_seconds()):
            await send({"type": "http.response.body", "body": data, "more_body": more})
    except TimeoutError:
        raise _Stalled from None


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _written(name: str, event_id: str, data: Mapping[str, Any]) -> bytes:
    body = orjson.dumps(data, option=orjson.OPT_UTC_Z)
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), event_id.encode(), body)
