"""Real processes of our programs, without the seconds of CPU that their imports take.

Each is forked from a process that has imported what they import and read what is shipped, and has done nothing else.
From then on it is what `python -m api` is: with an environment, an output and an exit code of its own, ended by its
pid. Starts from nothing are tested by `make dev` (tests/integration/test_dev_stack.py), faults at the start, fleets,
and what the command line does with a terminal.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from catalog import files
from cli import command
from dev.child import Child, Program, Streams
from providers import tokenizer
from providers.registry import KINDS

ROOT = Path(__file__).resolve().parents[2]
IMPORTED = (
    "server",
    "worker",
    "db.audit",
    "gateway.deliveries",
    "gateway.erasure_steps",
    "gateway.plans",
    "storage.posters",
)
"""With all that they import, and the modules of commands. What is missing here is imported by each process."""
ORDER_BYTES = 1 << 18
SELF = "tests.support.fork_server"


class Process:
    """As `subprocess.Popen` is, for what tests do with it."""

    def __init__(self, server: "ForkServer", pid: int, handle: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server, self._handle = server, handle
        self._lock = threading.Lock()
        weakref.finalize(self, os.close, handle)

    def poll(self) -> int | None:
        return self.returncode if self.returncode is not None else self._read(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self.poll() if timeout == 0 else self._read(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._handle, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _read(self, timeout: float | None) -> int | None:
        """Its exit code, as soon as it has ended. None if it has not within the time."""
        waiting = select.poll()
        waiting.register(self._handle, select.POLLIN)
        if not waiting.poll(None if timeout is None else timeout * 1000):
            return None
        with self._lock:
            if self.returncode is None:
                self.returncode = self._server.code_of(self.pid)
        return self.returncode


class ForkServer:
    """The process that forks, as those see it who want a process. Safe for threads."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        own = {name: value for name, value in os.environ.items() if not name.startswith("YOUT_")}
        with theirs:
            command = [sys.executable, "-m", SELF, str(theirs.fileno())]
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=own, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        weakref.finalize(self, _end, self._socket, self._process)
        assert self._socket.recv(ORDER_BYTES), "the fork server has ended"

    def start(
        self, words: Sequence[str], environment: Mapping[str, str], output: IO[bytes], errors: IO[bytes] | None = None
    ) -> Process:
        """Run `python -m` with these words in the tree. What it prints goes into a file, its errors too or apart."""
        order = json.dumps([words, dict(environment)]).encode()
        with self._lock:
            socket.send_fds(self._socket, [order], [output.fileno(), (errors or output).fileno()])
            answer, handles, *_ = socket.recv_fds(self._socket, ORDER_BYTES, 1)
        return Process(self, int(answer), handles[0])

    def finish(
        self, words: Sequence[str], environment: Mapping[str, str], seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end. Raises `subprocess.TimeoutExpired`, when it has been killed."""
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            process = self.start(words, environment, output, errors)
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
            output.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(words, code, output.read().decode(), errors.read().decode())

    def code_of(self, pid: int) -> int:
        """Of a process that has ended. Once for each."""
        with self._lock:
            self._socket.send(str(pid).encode())
            return int(self._socket.recv(ORDER_BYTES))


def _end(connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
    connection.close()
    process.wait()


@functools.cache
def running() -> ForkServer:
    """That of this process. The first call blocks until all is imported."""
    return ForkServer()


def spawn(program: Program, streams: Streams) -> Child:
    """As `dev.child.spawn` does, for `python -m` in the tree: in its place in a measurement that a test runs."""
    assert program.command[:2] == (sys.executable, "-m")
    assert not isinstance(streams.output, int)
    process = running().start(program.command[2:], program.environment, streams.output)
    return Child(program, cast("subprocess.Popen[bytes]", process))


def _serve(connection: socket.socket) -> bytes:
    """Fork for each order until nobody can send one any more: the order, in the new process; nothing at the end."""
    while True:
        order, files, *_ = socket.recv_fds(connection, ORDER_BYTES, 2)
        if not files:
            if not order:
                return b""
            _, status = os.waitpid(int(order), 0)
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        pid = os.fork()
        if not pid:
            for number, file in enumerate(files, 1):
                os.dup2(file, number)
                os.close(file)
            return order
        for file in files:
            os.close(file)
        handle = os.pidfd_open(pid)
        socket.send_fds(connection, [str(pid).encode()], [handle])
        os.close(handle)


def become(words: list[str], environment: Mapping[str, str]) -> None:
    """Run `python -m` with these words, in a process that was forked, to its end.

    What only takes its memory to pieces is left out: a fifth of a second each.
    """
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = words
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=True)  # type: ignore[union-attr]  # both are text files
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.enable()
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does: it waits for threads
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code or 0)


def main(number: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    commands = {module.partition(":")[0] for module, _ in command.COMMANDS.values()}
    for module in (*IMPORTED, *sorted(commands)):
        importlib.import_module(module)
    tokenizer.load()
    files.load(None, lambda names: {}, KINDS)
    gc.freeze()
    assert len(os.listdir("/proc/self/task")) == 1, "a thread of this process would be missing in those that it forks"  # noqa: PTH208
    with socket.socket(fileno=number) as connection:
        connection.send(b"ready")
        order = _serve(connection)
    if order:
        become(*json.loads(order))


if __name__ == "__main__":
    main(int(sys.argv[1]))
