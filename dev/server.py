"""The base of the embedded servers: a locked folder, a log, one process, a context manager."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from dev import locks
from dev.child import Child, Program, Streams, spawn

TIMEOUT = 30.0
"""Seconds in which the processes of a crashed or killed server may end by themselves."""

Result = TypeVar("Result")


class EmbeddedServer(ABC):
    """A server with its data in `folder`; use it with `async with`, with `with`, or by `start` and `stop`."""

    name: str

    def __init__(self, folder: Path, log: Path | None) -> None:
        self.folder = folder.absolute()
        self.log = log or self.folder / f"{type(self).__name__.removeprefix('Embedded').lower()}.log"
        self._lock = locks.Lock(self.folder / "lock")
        self._child: Child | None = None

    @abstractmethod
    async def start(self) -> None:
        """Start the server and return when it answers. A restart keeps the address."""

    @property
    def title(self) -> str:
        return self.name

    @property
    def clue(self) -> str:
        """The path of its log."""
        return str(self.log)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    async def reserve(self) -> None:
        """Lock the folder. Waits for a server that a killed stack has left behind."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._lock.take(TIMEOUT)

    async def wait(self) -> int:
        """Wait until the server has ended, for any reason, and return its exit code."""
        if self._child is None:
            raise RuntimeError("not started")
        return await self._child.wait()

    async def stop(self, hurry: asyncio.Event | None = None) -> None:
        if self._child is not None:
            await self._child.end(hurry)
        self._lock.release()

    async def _launch(self, program: Program) -> Child:
        """Start the process. It inherits the lock of the folder and holds it until it ends."""
        await self.reserve()
        with self.log.open("ab") as log, self._lock.handed_over() as lock:
            self._child = spawn(replace(program, kept_open=(lock,)), Streams(output=log))
        return self._child

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        return _run(self.__aenter__())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _run(self.stop())


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run the work on a new event loop in this thread. The thread's current loop does not change."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
