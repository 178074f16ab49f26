"""Readiness is answered at once, whatever PostgreSQL does."""

import asyncio
from typing import cast

import pytest

from api import health
from db.engine import Database
from domain.errors import ServiceUnavailable


class Fake:
    def __init__(self, error: Exception | None = None, *, hangs: bool = False) -> None:
        self._error, self.hangs = error, hangs

    async def check_writable(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self._error:
            raise self._error


@pytest.mark.parametrize(
    ("database", "answers"), [(Fake(), True), (Fake(ServiceUnavailable()), False), (Fake(hangs=True), False)]
)
async def test_a_database_answers_or_not(monkeypatch: pytest.MonkeyPatch, database: Fake, answers: bool) -> None:
    monkeypatch.setattr(health, "MAX_SILENCE_SECONDS", 0.2 if database.hangs else 60)
    assert await health.answers(cast(Database, database)) is answers


async def test_a_fault_of_ours_is_none_of_the_database() -> None:
    with pytest.raises(ValueError, match="ours"):
        await health.answers(cast(Database, Fake(ValueError("ours"))))
