"""The real PgBouncer, between an application and PostgreSQL."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from psycopg.conninfo import conninfo_to_dict

from dev import ports
from tests.support.stack import end
from tests.support.system_programs import required

_PATH = f"{os.defpath}:/usr/sbin:/usr/local/sbin:/sbin"
PoolMode = Literal["session", "transaction"]


@dataclass(slots=True)
class PgBouncer:
    """All who connect have the user of `url` and its password. Started again, it listens at the same port."""

    url: str = field(repr=False)
    folder: Path
    mode: PoolMode
    port: int = field(default_factory=ports.free)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def pooled_url(self) -> str:
        server = conninfo_to_dict(self.url)
        return self.url.replace(f":{server['port']}/", f":{self.port}/")

    def _configuration(self) -> str:
        server = conninfo_to_dict(self.url)
        names = ("host", "port", "dbname", "user", "password")
        return f"""[databases]
{server["dbname"]} = {" ".join(f"{name}={server[name]}" for name in names)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = {self.mode}
ignore_startup_parameters = options
default_pool_size = 60
max_client_conn = 200
"""

    def start(self) -> None:
        program = required("pgbouncer", package="pgbouncer", path=_PATH)
        configuration = self.folder / "pgbouncer.ini"
        configuration.write_text(self._configuration())
        as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []  # it does not run as root
        with (self.folder / "pgbouncer.log").open("ab") as log:
            self.process = subprocess.Popen([program, *as_nobody, str(configuration)], stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            assert self.process.poll() is None, (self.folder / "pgbouncer.log").read_text()
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return
            assert time.monotonic() < deadline, "PgBouncer does not start"
            time.sleep(0.02)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@contextmanager
def before(url: str, folder: Path, mode: PoolMode) -> Iterator[PgBouncer]:
    """Run one before the database of this URL."""
    pooler = PgBouncer(url, folder, mode)
    pooler.start()
    try:
        yield pooler
    finally:
        if pooler.process is not None:
            end(pooler.process)
