"""What goes wrong, and when: the same for the same seed, as far as clocks allow."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from bench.stack import Api, Stack

FAULTS = {"kill an API": 5, "kill PostgreSQL": 3, "pause an API": 3, "pause an API, its leases run out": 2}
FRESH = "25 seconds"
"""A lease that has less left was not renewed for five seconds: its owner is paused or dead."""
MAX_PAUSE_SECONDS = 8.0


@dataclass(slots=True)
class Nemesis:
    stack: Stack
    seed: int
    say: Callable[[str], None]
    done: Counter[str] = field(default_factory=Counter)

    async def run(self, deadline: float) -> None:
        """One fault after the other; each is mended before the next."""
        dice = Random(self.seed)  # noqa: S311  # repeatable, not secret
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(1.0 + 2.0 * dice.random())
            if clock() >= deadline:
                return
            (fault,) = dice.choices(list(FAULTS), list(FAULTS.values()))
            api = dice.choice(self.stack.apis)
            self.say(f"  {fault}")
            self.done[fault] += 1
            if fault == "kill an API":
                await _kill(api, 1.5 * dice.random())
            elif fault == "kill PostgreSQL":
                await self._kill_postgres(2.0 * dice.random())
            else:
                await self._pause(api, 1.0 + (MAX_PAUSE_SECONDS - 1.0) * dice.random(), expire="leases" in fault)

    async def _kill_postgres(self, seconds: float) -> None:
        postgres = self.stack.postgres
        assert postgres.pid is not None  # noqa: S101  # it runs
        os.kill(postgres.pid, signal.SIGKILL)
        await postgres.wait()
        await asyncio.sleep(seconds)
        await postgres.start()

    async def _pause(self, api: Api, seconds: float, *, expire: bool) -> None:
        """A paused process does not know that time has passed: when it goes on, its holds may have been swept."""
        os.kill(api.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(max(6.5, seconds) if expire else seconds)
            if expire:
                await expire_stale(self.stack)
                await asyncio.sleep(5)
        finally:
            os.kill(api.pid, signal.SIGCONT)


async def _kill(api: Api, seconds: float) -> None:
    os.kill(api.pid, signal.SIGKILL)
    assert api.child is not None  # noqa: S101  # it runs
    await api.child.wait()
    await asyncio.sleep(seconds)
    await api.start()


async def expire_stale(stack: Stack) -> None:
    """As if its lease had run out already: of holds that nobody renews any more."""
    await stack.rows(
        f"UPDATE holds SET lease_until = clock_timestamp() - interval '1 second' "  # noqa: S608  # our own constant
        f"WHERE state = 'open' AND lease_until < clock_timestamp() + interval '{FRESH}'"
    )
