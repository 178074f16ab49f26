"""What is killed and paused, and when: the same for the same seed, as far as clocks allow."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from bench.torture.stack import TortureStack

FAULTS = {
    ("kill", "worker"): 8,
    ("pause", "worker"): 4,
    ("kill", "API"): 3,
    ("pause", "API"): 2,
    ("kill", "Temporal"): 2,
    ("pause", "Temporal"): 1,
    ("kill", "PostgreSQL"): 2,
    ("pause", "PostgreSQL"): 1,
}
AWAY, PAUSED, BETWEEN = 1.5, 4.0, 1.0
"""Seconds, at most."""
LONG_PAUSE = 12.0
"""Of a worker: longer than Temporal waits for its heartbeats, so that another one takes its work over."""


@dataclass(slots=True)
class Nemesis:
    stack: TortureStack
    seed: int
    say: Callable[[str], None]
    done: Counter[str] = field(default_factory=Counter)
    count: int = 0

    async def run(self, faults: int) -> None:
        """One fault after the other; each is mended before the next."""
        dice = Random(self.seed)  # noqa: S311  # repeatable, not secret
        for deed, victim in self._script(dice, faults):
            await asyncio.sleep(BETWEEN * dice.random())
            await self._do(deed, victim, dice)
            self.done[f"{deed} {victim}"] += 1
            self.count += 1

    def _script(self, dice: Random, faults: int) -> list[tuple[str, str]]:
        """Each kind of fault once, if there is room, and the rest by chance."""
        script = list(FAULTS)[:faults]
        script += dice.choices(list(FAULTS), list(FAULTS.values()), k=faults - len(script))
        dice.shuffle(script)
        return script

    async def _do(self, deed: str, victim: str, dice: Random) -> None:
        part = dice.choice(self.stack.parts()[victim])
        self.say(f"  {self.count + 1}: {deed} {victim}")
        if deed == "kill":
            await part.kill()
            await asyncio.sleep(AWAY * dice.random())
            await part.start()
            return
        seconds = LONG_PAUSE if victim == "worker" and dice.random() < 0.3 else PAUSED * dice.random()
        part.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            part.resume()
