"""nginx with the configuration of `deploy/compose`, before API processes at addresses of this machine's loopback."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev import ports
from tests.support.stack import ROOT, end
from tests.support.system_programs import SERVERS_PATH, required, wait_until_it_listens

_NETWORK = "172.28.7."
SERVICES = ("api-1", "api-2", "api-3")
API_PORT = 8080
"""Each process has an address of its own, as in the deployment."""


def program() -> str:
    return str(required("nginx", package="nginx-light", path=SERVERS_PATH))


@dataclass(frozen=True, slots=True)
class Nginx:
    """A copy of `deploy/compose`, whose network is one of the loopback's."""

    folder: Path
    network: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "nginx.log").read_text()

    def host(self, service: str) -> str:
        return f"{self.network}1{service[-1]}"

    def written(self) -> list[Path]:
        """Files of bodies and answers that it has at this moment."""
        return [path for path in (self.folder / "tmp").rglob("*") if path.is_file() and path.name != "nginx.pid"]


def _copied(folder: Path, port: int, network: str) -> Path:
    shutil.copytree(ROOT / "deploy" / "compose", folder)
    (folder / "tmp").mkdir()
    (folder / "nginx" / "listen.conf").write_text(f"listen 127.0.0.1:{port};\n")
    for name in ("compose.yml", "nginx/api_servers.conf"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace(_NETWORK, network))
    configuration = folder / "nginx" / "nginx.conf"
    changed = configuration.read_text().replace(" /tmp/", f" {folder}/tmp/").replace("processes auto", "processes 2")
    if os.geteuid() == 0:
        changed = f"user {os.environ.get('USER', 'root')};\n{changed}"
    configuration.write_text(changed)
    return configuration


@contextmanager
def running(folder: Path) -> Iterator[Nginx]:
    binary, port = program(), ports.free()
    network = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}."
    configuration = _copied(folder, port, network)
    command = [binary, "-e", "stderr", "-c", str(configuration)]
    checked = subprocess.run([*command, "-t", "-q"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen([*command, "-g", "daemon off;"], stdout=log, stderr=log)
    try:
        wait_until_it_listens(process, port, folder / "nginx.log")
        yield Nginx(folder, network, port)
    finally:
        end(process)


def compose_double(nginx: Nginx) -> Path:
    """A Compose for `roll.sh`: the last word is asked of the test.

    It leaves a file `wanted-<service>`, and ends when the test has taken it away.
    """
    script = nginx.folder / "compose-double"
    script.write_text(
        f"""#!/bin/sh
for last; do :; done
: > "{nginx.folder}/wanted-$last"; while [ -e "{nginx.folder}/wanted-$last" ]; do sleep 0.05; done
"""
    )
    script.chmod(0o755)
    return script


def wanted(nginx: Nginx) -> str | None:
    """The service that the script wants anew."""
    names = [path.name for path in nginx.folder.glob("wanted-*")]
    return re.sub("^wanted-", "", names[0]) if names else None


def done(nginx: Nginx, service: str) -> None:
    (nginx.folder / f"wanted-{service}").unlink()
