"""The real PgBouncer, between an application and PostgreSQL."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from psycopg.conninfo import conninfo_to_dict

from dev import ports
from tests.support.stack import end
from tests.support.system_programs import SERVERS_PATH, required, wait_until_it_listens

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
        program = required("pgbouncer", package="pgbouncer", path=SERVERS_PATH)
        configuration = self.folder / "pgbouncer.ini"
        configuration.write_text(self._configuration())
        as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []  # it does not run as root
        log = self.folder / "pgbouncer.log"
        with log.open("ab") as written:
            self.process = subprocess.Popen([program, *as_nobody, str(configuration)], stdout=written, stderr=written)
        wait_until_it_listens(self.process, self.port, log)

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
