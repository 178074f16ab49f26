"""What is killed and paused, and when: the same for the same seed, as far as clocks allow."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from bench.torture.stack import Part, TortureStack

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
DOWN, PAUSED, BETWEEN = 1.5, 4.0, 1.0
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
    _until: float = 0.0
    _locks: defaultdict[int, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """What is broken is mended before it breaks again."""

    async def run(self, faults: int, at_once: int, seconds: float) -> bool:
        """Tell whether all faults were done before the time was over."""
        self._until = asyncio.get_running_loop().time() + seconds
        script = iter(_script(Random(self.seed), faults))  # noqa: S311  # repeatable, not secret
        await asyncio.gather(*(self._lane(script, Random(self.seed + lane)) for lane in range(at_once)))  # noqa: S311
        return self.count == faults

    async def _lane(self, script: Iterator[tuple[str, str]], dice: Random) -> None:
        """One fault after the other; each is mended before the next."""
        while asyncio.get_running_loop().time() < self._until and (fault := next(script, None)):
            deed, victim = fault
            await asyncio.sleep(BETWEEN * dice.random())
            part = dice.choice(self.stack.parts()[victim])
            async with self._locks[id(part.startable)]:
                await self._do(deed, part, dice)
            self.done[f"{deed} {victim}"] += 1

    async def _do(self, deed: str, part: Part, dice: Random) -> None:
        self.count += 1
        self.say(f"  {self.count}: {deed} {part.name}")
        if deed == "kill":
            await part.kill()
            await asyncio.sleep(DOWN * dice.random())
            await part.start()
            return
        seconds = LONG_PAUSE if part.name == "worker" and dice.random() < 0.3 else PAUSED * dice.random()
        part.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            part.resume()


def _script(dice: Random, faults: int) -> list[tuple[str, str]]:
    """Each kind of fault once, if there is room, and the rest by chance."""
    script = list(FAULTS)[:faults]
    script += dice.choices(list(FAULTS), list(FAULTS.values()), k=faults - len(script))
    dice.shuffle(script)
    return script
