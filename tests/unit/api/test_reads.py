"""Requests without a body are answered in their account's turn: many slow ones leave connections to the others."""

import asyncio
import importlib
import pkgutil
from contextlib import nullcontext
from types import SimpleNamespace
from typing import cast
from uuid import UUID, uuid4

from fastapi import APIRouter
from starlette.types import Message

import api
from api.body import StrictRoute
from api.media_events import JobEventStream
from api.resources import Resources
from domain.errors import NotFound
from gateway.concurrent_requests import ConcurrentRequests
from gateway.listeners import Listeners

WITHOUT_TURNS = {"codec", "health", "metrics", "models", "payments", "stored_objects"}
"""Modules whose endpoints are of no account, or read nothing of it from a table."""


def test_every_endpoint_of_an_account_has_turns() -> None:
    names = {module.name for module in pkgutil.iter_modules(api.__path__)} - {"__main__"}
    modules = [importlib.import_module(f"api.{name}") for name in sorted(names - WITHOUT_TURNS)]
    routers = [value for module in modules for value in vars(module).values() if isinstance(value, APIRouter)]
    routes = [route for router in routers for route in router.routes]
    assert len(routes) > 50
    assert [route for route in routes if not isinstance(route, StrictRoute)] == []


async def test_streams_of_events_read_their_jobs_in_turns() -> None:
    """They begin after their handler has left its turn."""
    running = peak = 0

    async def owned(_account_id: UUID, _job_id: UUID) -> None:
        nonlocal running, peak
        running, peak = running + 1, max(peak, running + 1)
        await asyncio.sleep(0)
        running -= 1
        raise NotFound

    def watch(_job_id: UUID, *, listener: bool) -> nullcontext[None]:
        return nullcontext()

    async def receive() -> Message:
        raise AssertionError

    async def send(_: Message) -> None:
        raise AssertionError

    fakes = {"jobs": SimpleNamespace(owned=owned), "job_changes": SimpleNamespace(watch=watch)}
    resources = SimpleNamespace(listeners=Listeners(100, 100), reads=ConcurrentRequests(2), **fakes)
    account_id = uuid4()
    streams = [JobEventStream(cast(Resources, resources), account_id, uuid4(), None) for _ in range(10)]
    ends = await asyncio.gather(*(one({"state": {}}, receive, send) for one in streams), return_exceptions=True)
    assert {type(end) for end in ends} == {NotFound}
    assert peak == 2
