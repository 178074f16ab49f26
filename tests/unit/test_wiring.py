"""What API and worker share: for how long a link of the object store works, and who looks whether it answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest
import structlog

import wiring
from db import sweeper
from domain.errors import ServiceUnavailable
from domain.faults import Fault
from domain.rounds import FAILED, MaintenanceErrors
from logs import OperatorFaults
from storage.base import Listed
from storage.objects import ObjectStorage
from wiring import Wired

Presigned = Callable[[str, timedelta], Awaitable[str | None]]


class LinkingStorage:
    async def link(self, key: str, lifetime: timedelta) -> str:
        return f"{key} {lifetime.total_seconds():g}"


def presigned(setting: int) -> Presigned | None:
    settings = SimpleNamespace(presigned_lifetime=timedelta(seconds=setting))
    wired = SimpleNamespace(settings=settings, storage=LinkingStorage())
    return Wired.presigned.fget(wired)  # type: ignore[attr-defined,no-any-return]  # of a property


@pytest.mark.parametrize(
    ("setting", "left", "link"),
    [(300, 3600, "a 300"), (300, 2, "a 2"), (1, 3600, "a 1"), (60, 0, "a 1"), (60, -5, "a 1")],
)
async def test_a_link_works_no_longer_than_the_setting_and_the_output(setting: int, left: int, link: str) -> None:
    link_of = presigned(setting)
    assert link_of is not None
    assert await link_of("a", timedelta(seconds=left)) == link


def test_without_the_setting_there_are_no_links() -> None:
    assert presigned(0) is None


def test_a_worker_reports_parts_and_tasks_and_no_rows() -> None:
    """The places of faults of rows are ids, and metrics have a line for each place."""
    faults = OperatorFaults(structlog.get_logger())
    errors = MaintenanceErrors(faults, str)
    for item in ("job 1", "job 2"):
        errors.failed("reconcile", item, ValueError())
    faults.report(sweeper.FAULT, where="account an id", remedy="look")
    faults.report("a provider is away", where="lab", remedy="wait")
    failed, away = wiring._of_parts(faults)
    assert (failed.what, failed.where) == (FAILED, "reconcile")
    assert away == Fault("a provider is away", "lab", "wait")
    errors.succeeded("reconcile", "job 1")
    assert wiring._of_parts(faults) == [failed, away]
    errors.succeeded("reconcile", "job 2")
    assert wiring._of_parts(faults) == [away]


class FullThenEmptied:
    """A store that answers, and has no room at first."""

    def __init__(self) -> None:
        self.writes: list[bool] = []
        self.objects: dict[str, bytes] = {}
        self.emptied = asyncio.Event()

    async def put(self, key: str, chunks: AsyncIterator[bytes], **_: object) -> None:
        self.writes.append(len(self.writes) > 1)
        if not self.writes[-1]:
            raise ServiceUnavailable(reported=True)
        self.objects[key] = b"".join([chunk async for chunk in chunks])

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        yield self.objects[key][start:end]

    async def listed(self, after: str, limit: int) -> list[Listed]:
        return []

    async def delete(self, key: str) -> None:
        if self.objects.pop(key, None):
            self.emptied.set()


async def test_a_process_without_work_tries_again_whether_the_store_can_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is full, or where the key may not write, answers reads: jobs would be the first to meet it."""
    monkeypatch.setattr(wiring, "STORAGE_PAUSE", timedelta())
    store = FullThenEmptied()
    watching = asyncio.create_task(wiring._watch(cast(ObjectStorage, store)))
    async with asyncio.timeout(60):
        await store.emptied.wait()
    watching.cancel()
    assert store.writes[:3] == [False, False, True]
