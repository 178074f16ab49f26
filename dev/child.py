"""A child process of the stack: starts it, waits for it and ends it."""

import asyncio
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import IO

from dev.identity import Identity, Ourselves

PR_SET_PDEATHSIG = 1
HURRIED = 1.0
"""Seconds for each signal after a second Ctrl-C."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program to run and how to end it, as data, so that a test can replace it."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    ending: tuple[tuple[Signals, float], ...] = ((SIGTERM, 10.0),)
    """Signals to send in order, each with the seconds to wait after it. SIGKILL always follows the last one."""
    if_orphaned: Signals = SIGKILL
    """The signal that the kernel sends when the process that started this one has ended."""
    identity: Identity = field(default_factory=Ourselves)
    kept_open: tuple[int, ...] = ()
    """File descriptors that the process inherits. A lock is held as long as one of them is open."""


@dataclass(frozen=True)
class Streams:
    """The standard streams of a process."""

    output: int | IO[bytes] = subprocess.DEVNULL
    errors: int | IO[bytes] = subprocess.STDOUT
    given: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Finished:
    """The result of a program that has ended."""

    code: int
    output: str = field(repr=False)
    errors: str = field(repr=False)


class Child:
    """A running process. Bound to no event loop, so that a fixture may start and stop it in different ones."""

    def __init__(self, program: Program, process: subprocess.Popen[bytes]) -> None:
        self.program = program
        self.pid = process.pid
        self._process = process

    @property
    def output(self) -> IO[bytes] | None:
        return self._process.stdout

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        return self._process.poll()

    async def wait(self) -> int:
        while (code := self._process.poll()) is None:
            await _gone(self.pid)
        return code

    async def end(self, hurry: asyncio.Event | None = None) -> int:
        """Send the signals until the process has ended, then end its group. Return the exit code."""
        for signal, seconds in self.program.ending:
            self._process.send_signal(signal)
            if await self._ends_within(seconds, hurry):
                break
        self.sweep()
        self._process.kill()
        return await self.wait()

    def sweep(self) -> None:
        """Kill the other processes of its group. The group's id is its process id."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, SIGKILL)

    async def _ends_within(self, seconds: float, hurry: asyncio.Event | None) -> bool:
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        while self.code is None and clock() < deadline:
            if hurry is not None and hurry.is_set():
                deadline = min(deadline, clock() + HURRIED)
                hurry = None
            await asyncio.sleep(0.01)
        return self.code is not None


def spawn(program: Program, streams: Streams = Streams()) -> Child:
    """Start a process that ends when this one does, even when this one is killed.

    Call it from the main thread: the kernel takes the end of the starting *thread* for the end of the parent.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(f"{program.name} must be started from the main thread")
    process = subprocess.Popen(
        program.command,
        env=program.environment,
        cwd=program.folder,
        stdin=subprocess.PIPE if streams.given else subprocess.DEVNULL,
        stdout=streams.output,
        stderr=streams.errors,
        start_new_session=True,  # Ctrl-C of the terminal must not reach it: the supervisor stops the parts in order
        pass_fds=program.kept_open,
        preexec_fn=_between_fork_and_exec(program),
    )
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin as given:
            given.write(streams.given)
    return Child(program, process)


async def finish(program: Program, given: bytes = b"") -> Finished:
    """Run a program to its end. If the caller is cancelled, the program is ended."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = spawn(program, Streams(output=output, errors=errors, given=given))
        try:
            code = await child.wait()
        finally:
            if child.code is None:
                await child.end()
        return Finished(code, _text(output), _text(errors))


def _between_fork_and_exec(program: Program) -> Callable[[], None]:
    parent, linux = os.getpid(), sys.platform == "linux"
    prctl = ctypes.CDLL(None).prctl if linux else None  # before the fork: little is safe after it

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would have prompts and secrets in it
        program.identity.become()
        if prctl is not None:  # last: a change of identity clears it
            prctl(PR_SET_PDEATHSIG, int(program.if_orphaned), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)  # the parent was gone before the kernel was told

    return prepare


async def _gone(pid: int) -> None:
    """Wait until the process has ended, or for a moment if the kernel cannot report that."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        await asyncio.sleep(0.05)
        return
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace").strip()
