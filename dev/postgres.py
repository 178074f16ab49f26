"""An embedded PostgreSQL: a server on loopback with durable data."""

import asyncio
import hashlib
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from dev import cluster, files, identity, logs, ports
from dev.cluster import DATABASE, USER, Cluster
from dev.errors import CannotStart
from dev.identity import Identity
from dev.server import TIMEOUT, EmbeddedServer

STILL_IN_USE = "pre-existing shared memory block is still in use"
APP_USER = "yout_app"
PORT_TAKEN = "Address already in use"

QUIET = {
    # No statement, parameter or row may reach the log: they all contain customers' data.
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
    "log_min_messages": "log",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
}
OPTIONS = {
    "listen_addresses": ports.LOOPBACK,
    "unix_socket_directories": "",  # a socket's path may have 107 bytes, a folder's more
    "max_connections": "100",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    **QUIET,
}


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL. `stop` is a fast shutdown: clients are disconnected, and what they committed stays."""

    name = "PostgreSQL"

    def __init__(
        self,
        folder: Path,
        *,
        log: Path | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, log)
        self._options = {**OPTIONS, **(options or {})}
        self._run_as: Identity | None = None
        self._has_run = False
        self._password = ""
        self.port: int | None = None

    @classmethod
    @contextmanager
    def temporary(cls, options: Mapping[str, str] | None = None) -> Iterator[Self]:
        """Run a server in a temporary folder. For session fixtures."""
        folder = tempfile.TemporaryDirectory(prefix="yout-postgres-")
        with folder, cls(Path(folder.name) / "postgres", options=options) as server:
            yield server

    @property
    def title(self) -> str:
        return f"{self.name} {cluster.matching(self.folder / 'data').major}"

    @property
    def url(self) -> str:
        """The URL for the owner. A restart keeps it, unless another process takes the port."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        if self.port is None:
            raise RuntimeError("the address is known once the server has started")
        return f"postgresql://{USER}:{self._password}@{ports.LOOPBACK}:{self.port}/{database}"

    def app_url_of(self, database: str) -> str:
        """Return the URL for the application's role. A migration run creates the role; it owns nothing."""
        if self.port is None:
            raise RuntimeError("the address is known once the server has started")
        password = hashlib.sha256(f"{APP_USER} {self._password}".encode()).hexdigest()
        return f"postgresql://{APP_USER}:{password}@{ports.LOOPBACK}:{self.port}/{database}"

    @property
    def app_url(self) -> str:
        return self.app_url_of(DATABASE)

    async def start(self) -> None:
        """Start the server and return when it accepts connections. After a crash it recovers first."""
        if self._child is not None and self._child.code is not None:
            cluster.end_orphans(self.folder / "data")
        await self.reserve()
        prepared = await self._prepared()
        deadline = asyncio.get_running_loop().time() + TIMEOUT
        while True:
            mark = logs.size(self.log)
            if await self._launched(prepared):
                self._has_run = True
                return
            output = logs.tail(self.log, mark)
            if PORT_TAKEN in output and not self._has_run:
                self.port = self._new_port()
            elif STILL_IN_USE not in output or asyncio.get_running_loop().time() > deadline:
                raise CannotStart(f"PostgreSQL does not start ({self.log})", output)
            await asyncio.sleep(0.2)

    async def _prepared(self) -> Cluster:
        server = cluster.matching(self.folder / "data")
        self._run_as = self._run_as or identity.choose(server.program("postgres"))
        self._run_as.admit(self.folder)
        prepared = Cluster(self.folder, server, self._run_as)
        self._password = self._remembered_password(prepared)
        if not prepared.data.exists():
            await prepared.create(self._password)
        cluster.disown(prepared.data)
        self.port = self.port or self._remembered_port()
        return prepared

    async def _launched(self, prepared: Cluster) -> bool:
        child = await self._launch(prepared.running({**self._options, "port": str(self.port)}))
        while child.code is None:
            if cluster.status(prepared.data, child.pid) == "ready":
                return True
            await asyncio.sleep(0.01)
        return False

    def _remembered_password(self, prepared: Cluster) -> str:
        """Return the stored password, or make and store one. It is stored before the data folder is created."""
        password_file = self.folder / "password"
        if not password_file.exists():
            if prepared.data.exists():
                raise CannotStart(
                    f"{password_file} is gone, and with it the access to the database beside it. Put it back, "
                    f"or move {self.folder} away to start afresh."
                )
            files.write(password_file, secrets.token_urlsafe(24))
        return password_file.read_text().strip()

    def _remembered_port(self) -> int:
        with suppress(FileNotFoundError, ValueError):
            port = int((self.folder / "port").read_text())
            if ports.available(ports.LOOPBACK, port):
                return port
        return self._new_port()

    def _new_port(self) -> int:
        port = ports.free()
        files.write(self.folder / "port", f"{port}\n")
        return port
