"""What API and worker share: for how long a link of the object store works, and who looks whether it answers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest

import wiring
from domain.errors import ServiceUnavailable
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


class AwayThenBack:
    """A store that does not answer at first."""

    def __init__(self) -> None:
        self.answers: list[bool] = []
        self.back = asyncio.Event()

    async def listed(self, after: str, limit: int) -> list[str]:
        self.answers.append(len(self.answers) > 1)
        if not self.answers[-1]:
            raise ServiceUnavailable(reported=True)
        self.back.set()
        return []


async def test_a_process_without_work_looks_again_whether_the_store_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "STORAGE_PAUSE", timedelta())
    store = AwayThenBack()
    watching = asyncio.create_task(wiring._watch(cast(ObjectStorage, store)))
    async with asyncio.timeout(60):
        await store.back.wait()
    watching.cancel()
    assert store.answers[:3] == [False, False, True]
