"""Real processes of our programs, without the seconds of CPU that their imports take.

Each is forked from a process that has imported what they import, and has done nothing else. From then on it is what
`python -m api` is: with an environment, an output and an exit code of its own, ended by its pid. Starts from nothing
are tested by `make dev` (tests/integration/test_dev_stack.py), faults at the start, fleets, and the command line.
"""

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
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from dev.child import Child, Program, Streams

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
"""With all that they import. What is missing here is imported by each process."""
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

    def start(self, words: Sequence[str], environment: Mapping[str, str], output: IO[bytes]) -> Process:
        """Run `python -m` with these words in the tree. What it prints and its errors go into that file."""
        order = json.dumps([words, dict(environment)]).encode()
        with self._lock:
            socket.send_fds(self._socket, [order], [output.fileno()])
            answer, handles, *_ = socket.recv_fds(self._socket, ORDER_BYTES, 1)
        return Process(self, int(answer), handles[0])

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
        order, files, *_ = socket.recv_fds(connection, ORDER_BYTES, 1)
        if not files:
            if not order:
                return b""
            _, status = os.waitpid(int(order), 0)
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        pid = os.fork()
        if not pid:
            os.dup2(files[0], 1)
            os.dup2(files[0], 2)
            os.close(files[0])
            return order
        os.close(files[0])
        handle = os.pidfd_open(pid)
        socket.send_fds(connection, [str(pid).encode()], [handle])
        os.close(handle)


def _become(order: bytes) -> None:
    """Run what was ordered, to its end."""
    words, environment = json.loads(order)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = words
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=True)  # type: ignore[union-attr]  # both are text files
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.enable()
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


def main(number: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    for module in IMPORTED:
        importlib.import_module(module)
    importlib.import_module("providers.tokenizer").load()
    gc.freeze()
    with socket.socket(fileno=number) as connection:
        connection.send(b"ready")
        order = _serve(connection)
    if order:
        _become(order)


if __name__ == "__main__":
    main(int(sys.argv[1]))
