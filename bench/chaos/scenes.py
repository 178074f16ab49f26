"""Endings that must occur in every run, made on purpose: on an account of their own, one after the other."""

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.chaos.calls import Attempt, Request, ask
from bench.stack import METERED, Stack

CREDITS = 20_000
"""An eighth of it buys less than `GROWS` says, and all of it less than `DEAR` costs."""
GROWS = f"{METERED}pace-0-2500"
DEAR = "dear-90000"
SLOW = "pace-50-2000"
MODELS = (GROWS, DEAR, SLOW)
MAX_CREDITS = 1000
TIMEOUT = 30.0
_PROMPT = [{"role": "user", "content": "What remains?"}]


@dataclass(frozen=True, slots=True)
class Scene:
    model: str
    stream: bool = False
    more: Mapping[str, Any] = field(default_factory=lambda: {"max_tokens": 200})
    leaves_after: int | None = None


WHILE_IT_CAN_PAY = (
    Scene("plain"),
    Scene("plain", stream=True),
    Scene("cut-3", stream=True),
    Scene(SLOW, stream=True, leaves_after=5),
    Scene(GROWS, stream=True, more={}),
    Scene("plain", more={"max_credits": MAX_CREDITS}),
    Scene("status-500"),
)


@dataclass(slots=True)
class Stage:
    """The account, and what its client heard."""

    stack: Stack
    account: str
    token: str
    attempts: list[tuple[Scene, Attempt]] = field(default_factory=list)

    @classmethod
    async def built(cls, stack: Stack) -> "Stage":
        return cls(stack, *await stack.open_account("scenes@example.test", CREDITS))

    async def play(self) -> None:
        """All of them. The last one takes what is left, and more than that."""
        async with aiohttp.ClientSession() as session:
            for scene in WHILE_IT_CAN_PAY:
                await self._ask(session, scene)
            await self._settled()
            await self._die_in_the_middle(session)
            await self._ask(session, Scene(DEAR))

    async def _ask(self, session: aiohttp.ClientSession, scene: Scene) -> None:
        attempt = Attempt()
        self.attempts.append((scene, attempt))
        body = {"model": f"bench-{scene.model}", "messages": _PROMPT, "stream": scene.stream, **scene.more}
        url = self.stack.apis[0].url
        await ask(session, Request(url, self.token, body, leaves_after=scene.leaves_after), attempt)

    async def _die_in_the_middle(self, session: aiohttp.ClientSession) -> None:
        """A stream whose process is killed once the ledger knows what was relayed; another process sweeps its hold."""
        api = self.stack.apis[0]
        streaming = asyncio.create_task(self._ask(session, Scene(SLOW, stream=True)))
        await self._until("SELECT count(*) > 0 FROM holds WHERE account_id = %s AND relayed_output > 0 AND {open}")
        os.kill(api.pid, signal.SIGKILL)
        await streaming
        assert api.child is not None  # noqa: S101  # it ran
        await api.child.wait()
        await self.stack.rows(
            "UPDATE holds SET lease_until = clock_timestamp() - interval '1 second' "
            "WHERE account_id = %s AND state = 'open'",
            self.account,
        )
        await self._settled()
        await api.start()

    async def _settled(self) -> None:
        await self._until("SELECT count(*) = 0 FROM holds WHERE account_id = %s AND {open}")

    async def _until(self, query: str) -> None:
        deadline = asyncio.get_running_loop().time() + TIMEOUT
        while not await self.stack.number(query.format(open="state = 'open'"), self.account):
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(query)
            await asyncio.sleep(0.1)
