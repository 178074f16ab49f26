"""Our own programs as real processes, for the tests: started on a free port, ended by pid."""

import asyncio
import contextlib
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from dev import ports
from dev.cluster import DATABASE
from dev.postgres import EmbeddedPostgres
from tests.support import fork_server
from tests.support.fork_server import Process

ROOT = Path(__file__).resolve().parents[2]
AWAY = "127.0.0.1:1"
SECRET = os.urandom(32).hex()


@dataclass(slots=True)
class Stack:
    """The environment that an API, a worker and the CLI share."""

    database_url: str
    state: Path
    temporal_address: str = AWAY
    catalog: Path | None = None
    extra: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=ports.free)
    owner_url: str = ""
    """Of the role that owns the tables, for tests that change what the application cannot."""

    @classmethod
    def on(
        cls, postgres: EmbeddedPostgres, state: Path, temporal: str = AWAY, *, database: str = DATABASE, **more: Any
    ) -> Self:
        """On a migrated database of this server, connected to as the application is: with a role that owns nothing."""
        owner_url = postgres.url_of(database)
        return cls(postgres.app_url_of(database), state, temporal, owner_url=owner_url, **more)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("YOUT_")}
        ours = {
            "YOUT_DATABASE_URL": self.database_url,
            "YOUT_STATE_DIR": str(self.state),
            "YOUT_TEMPORAL_ADDRESS": self.temporal_address,
            "YOUT_SECRET_KEY": SECRET,
            "YOUT_PORT": str(self.port),
            "YOUT_PUBLIC_URL": self.url,
            "YOUT_LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
        }
        return variables | ours | ({"YOUT_CATALOG": str(self.catalog)} if self.catalog else {}) | self.extra

    def spawn(self, module: str, extra: dict[str, str] | None = None) -> Process:
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state / f"{module}.log").open("ab") as log:
            return fork_server.running().start([module], self.environment | (extra or {}), log)

    @contextlib.contextmanager
    def running(self, module: str, extra: dict[str, str] | None = None) -> Iterator[Process]:
        process = self.spawn(module, extra)
        try:
            if module == "api":
                self.wait_ready(process)
            yield process
        finally:
            end(process)

    def wait_ready(self, process: Process | subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise AssertionError(f"the API ended with {process.returncode}:\n{self.log('api')}")
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/healthz", timeout=5):
                return
            time.sleep(0.1)
        raise AssertionError(f"the API did not get ready:\n{self.log('api')}")

    def log(self, module: str) -> str:
        path = self.state / f"{module}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def yout(self, *words: str) -> Any:
        """The CLI's JSON answer."""
        done = fork_server.running().finish(["cli", *words, "--json"], self.environment)
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def account(self, credits: int = 1_000_000) -> str:
        """A new account's key."""
        email = f"{os.urandom(8).hex()}@example.test"
        created = self.yout("accounts", "create", "--email", email, "--credits", str(credits))
        return str(created["api_key"])


def end(process: Process | subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


async def eventually(condition: Any, seconds: float = 60.0) -> Any:
    """The first truthy answer of an async function."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await condition()
        if answer or time.monotonic() > deadline:
            return answer
        await asyncio.sleep(0.1)
