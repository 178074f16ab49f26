"""The steps of a purge, in memory: what was asked for, and how often each is not yet done."""

from collections import Counter
from datetime import timedelta
from uuid import UUID

from domain.purges import PurgeKey
from gateway.erasure_steps import Deleted
from tests.support.temporal.script import Script

AFTER = UUID(int=7)


class FakeErasing:
    def __init__(self, script: Script) -> None:
        self._script = script
        self.unfinished: Counter[str] = Counter()
        """By step: how often it is not done yet."""
        self.steps: list[str] = []
        self.accepted: list[PurgeKey] = []
        """Purges that wait for somebody to start them."""

    async def waiting(self, older_than: timedelta, limit: int) -> list[PurgeKey]:
        return self.accepted[:limit]

    async def cut(self, _: UUID) -> int:
        return int(not await self._done("cut"))

    async def survey(self, _: UUID) -> None:
        await self._done("survey")

    async def shred(self, _: UUID) -> None:
        await self._done("shred")

    async def delete_media(self, _: UUID, after: UUID | None) -> Deleted:
        done = await self._done("delete_media" if after is None else "delete_media after")
        return Deleted(None if done else AFTER, 0, 0)

    async def media_left(self, _: UUID) -> int:
        return int(not await self._done("media_left"))

    async def delete_rows(self, _: UUID) -> bool:
        return await self._done("delete_rows")

    async def roll_up(self, _: UUID) -> bool:
        return await self._done("roll_up")

    async def conclude(self, _: UUID) -> bool:
        return await self._done("conclude")

    async def _done(self, step: str) -> bool:
        self.steps.append(step)
        await self._script.at(f"erasure.{step}")
        self.unfinished[step] -= 1
        return self.unfinished[step] < 0
