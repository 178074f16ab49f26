"""A supervisor in a process of its own, as a terminal would run it, and what it leaves behind."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from dev import ports

ROOT = Path(__file__).resolve().parents[2]
STUBS = "tests.support.dev_stub_stack"
PORTS = ("YOUT_PORT", "YOUT_TEMPORAL_PORT", "YOUT_TEMPORAL_UI_PORT")
TIMEOUT = 180.0


class Stack:
    """One state folder and one set of free ports; `start` may be called again after the end."""

    def __init__(self, folder: Path, module: str = STUBS, **environment: str) -> None:
        self.state = folder / "state"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("YOUT_")},
            **{name: str(ports.free()) for name in PORTS},
            "YOUT_STATE_DIR": str(self.state),
            **environment,
        }
        self._module = module
        self._output = folder / "terminal"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def terminal(self) -> str:
        """All that it has printed since its last start."""
        return self._output.read_text()

    @property
    def printed(self) -> Mapping[str, str]:
        state_file: Mapping[str, str] = json.loads((self.state / "dev.json").read_text())
        return state_file

    def inherit(self, database: Path) -> None:
        """Begin with a database that is there already: making one takes a second."""
        shutil.copytree(database, self.state / "postgres")

    def start(self) -> None:
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def up(self) -> None:
        self.start()
        self.prints("yout is up")

    def prints(self, text: str, times: int = 1) -> None:
        until(lambda: self.terminal.count(text) >= times or self._ended(), f"{text!r}")
        assert self.terminal.count(text) >= times, self.terminal

    def signal(self, signal: Signals) -> None:
        os.kill(self.pid, signal)

    def ends(self) -> int:
        assert self._process is not None
        return self._process.wait(TIMEOUT)

    def answers(self, path: str = "/healthz", key: str = "") -> int:
        """The status that the API gives."""
        with suppress(OSError):
            return get(f"http://127.0.0.1:{self.environment['YOUT_PORT']}{path}", key)
        return 0

    def parts(self) -> Mapping[str, int]:
        """The process ids of the four parts."""
        servers = {"postgres -D": "PostgreSQL", "start-dev": "Temporal", "dev_stub_api": "api", "at work": "worker"}
        state_file = {}
        for pid in children(self.pid):
            line = command_line(pid)
            state_file.update({name: pid for mark, name in servers.items() if mark in line})
        return state_file

    def processes(self) -> list[str]:
        """Every process on this machine that has to do with the state folder."""
        mark = os.fsencode(self.state)
        return [f"{pid} {command_line(pid)}" for pid in pids() if pid != os.getpid() and mark in mentions(pid)]

    def is_gone(self) -> None:
        until(lambda: not self.processes(), "the end of all processes")

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.signal(SIGTERM)
            try:
                self.ends()
            except subprocess.TimeoutExpired:
                self.signal(SIGKILL)  # the kernel ends the parts
                self.ends()

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """Whatever a test does with it, nothing of it stays."""
    try:
        yield stack
    finally:
        stack.end()
        stack.is_gone()


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def get(url: str, key: str = "") -> int:
    try:
        with urlopen(Request(url, headers={"Authorization": f"Bearer {key}"}), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def pids() -> list[int]:
    return [int(process.name) for process in Path("/proc").glob("[0-9]*")]


def children(parent: int) -> list[int]:
    state_file = []
    for pid in pids():
        with suppress(OSError):
            status = (Path("/proc") / str(pid) / "stat").read_text()
            if int(status.rpartition(")")[2].split()[1]) == parent:
                state_file.append(pid)
    return state_file


def command_line(pid: int) -> str:
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def mentions(pid: int) -> bytes:
    state_file = b""
    for file in ("cmdline", "environ"):
        with suppress(OSError):
            state_file += (Path("/proc") / str(pid) / file).read_bytes()
    return state_file
