"""The maintenance loop of a process goes on, whatever happens to whom it asks."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from api import background
from api.background import MaintenanceTask
from db.leadership import Leadership
from domain.rounds import MaintenanceErrors
from tests.support.stack import eventually


class Unsteady(Leadership):
    """Leads, after a question that fails in a way that nobody has thought of."""

    def __init__(self) -> None:
        super().__init__("", 1)
        self.answers: Iterator[bool | Exception] = iter([True, KeyError(), True])

    async def held(self) -> bool:
        answer = next(self.answers, True)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Log:
    def report(self, what: str, *, where: str, remedy: str, **values: object) -> None: ...

    def clear(self, where: str) -> None: ...


async def test_the_loop_outlives_a_fault_of_its_leadership(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PAUSE", timedelta(milliseconds=1))
    rounds, errors = 0, MaintenanceErrors(Log(), str)

    async def work() -> None:
        nonlocal rounds
        rounds += 1

    async def has_gone_on() -> bool:
        return rounds > 3

    task = MaintenanceTask("sweep", work, every=timedelta(0))
    running = asyncio.create_task(background.run(Unsteady(), [task], errors))
    assert await eventually(has_gone_on)
    assert errors.by_task["leadership"] == 1
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
