"""Restarts one part of the stack whenever it ends."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

from dev.child import Child, Program, Streams, spawn
from dev.errors import CannotStart
from dev.lines import Hear, follow
from dev.report import Report, cause

WAITING = 10.0

Ready = Callable[[], Awaitable[bool]]


class Part(Protocol):
    """Something that runs, ends, and can be started again."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def clue(self) -> str:
        """Where to read its log: a path or a phrase."""
        ...

    async def start(self) -> None: ...

    async def wait(self) -> int: ...

    async def stop(self, hurry: asyncio.Event | None = None) -> None: ...


class Process:
    """A part that is one of our own programs. Its output goes to the terminal; `ready` returns when it serves."""

    def __init__(self, program: Program, hear: Hear, ready: Ready | None = None) -> None:
        self.name = self.title = program.name
        self.clue = f"its lines above, which begin with `{program.name}`"
        self._program = program
        self._hear = hear
        self._ready = ready
        self._child: Child | None = None

    async def start(self) -> None:
        """Start the process and return when it serves. Raises `CannotStart` if it ends before that."""
        self._child = spawn(self._program, Streams(output=subprocess.PIPE))
        if self._child.output is not None:
            await follow(self._child.output, self._hear)
        while self._ready is not None and not await self._ready():
            if self._child.code is not None:
                raise CannotStart(f"{self.name} ended before it served ({cause(self._child.code)})")
            await asyncio.sleep(0.03)

    async def wait(self) -> int:
        if self._child is None:
            raise RuntimeError("not started")
        code = await self._child.wait()
        self._child.sweep()  # its child processes would keep its port
        return code

    async def stop(self, hurry: asyncio.Event | None = None) -> None:
        if self._child is not None:
            await self._child.end(hurry)


@dataclass(frozen=True)
class Pauses:
    """How long to wait before a restart, in seconds."""

    alive: float = 10.0
    """If a part served for this many seconds, its next end counts as the first."""
    first: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0)
    then: float = 15.0

    def after(self, deaths: int) -> float:
        return self.first[deaths - 1] if deaths <= len(self.first) else self.then


USUAL = Pauses()


class Keeper:
    """Starts a part, reports it, and starts it again whenever it ends.

    If other parts need it and its first start fails, the stack ends with the error of that start.
    """

    def __init__(self, part: Part, report: Report, *, needed: bool = False, pauses: Pauses = USUAL) -> None:
        self.part = part
        self.up = asyncio.Event()
        """Set once it has started for the first time."""
        self._report = report
        self._needed = needed
        self._pauses = pauses
        self._born: float | None = None

    async def keep(self) -> NoReturn:
        clock = asyncio.get_running_loop().time
        deaths = 0
        while True:
            self._born = None
            how = await self._lived()
            quick = self._born is None or clock() - self._born < self._pauses.alive
            deaths = deaths + 1 if quick else 1
            await self._mourn(how, deaths)

    async def _lived(self) -> str:
        """Run the part once. Return how it ended, in a line."""
        try:
            await self._started()
            return f"{self.part.name} died ({cause(await self.part.wait())})"
        except CannotStart as problem:
            if self._needed and not self.up.is_set():
                raise
            await self.part.stop()
            return problem.line

    async def _started(self) -> None:
        clock = asyncio.get_running_loop().time
        began, wondering = clock(), asyncio.create_task(self._wonder())
        try:
            await self.part.start()
        finally:
            wondering.cancel()
        self._report.step(f"{self.part.title} is back" if self.up.is_set() else self.part.title, clock() - began)
        self._born = clock()
        self.up.set()

    async def _wonder(self) -> NoReturn:
        while True:
            await asyncio.sleep(WAITING)
            self._report.note(f"Still waiting for {self.part.title} …")

    async def _mourn(self, how: str, deaths: int) -> None:
        pause = self._pauses.after(deaths)
        soon = f" in {pause:g} s" if pause else ""
        self._report.warning(f"{how}; starting it again{soon}")
        if deaths == len(self._pauses.first) + 1:
            self._report.failure(
                f"{self.part.name} has died {deaths} times in a row, each time within seconds. "
                f"Look at {self.part.clue}. It is tried again every {self._pauses.then:g} s."
            )
        await asyncio.sleep(pause)
