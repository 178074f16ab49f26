"""Databases with our schema in them, copied: to make one takes seconds. All processes of a run copy the same one."""

import asyncio
import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from db import migrate
from dev.cluster import DATABASE
from dev.postgres import EmbeddedPostgres

PLACE = "MIGRATED_DATABASES"
"""The variable with the folder that the processes of a run share."""
TEMPLATE = "template_yout"
UNSYNCED = {"fsync": "off"}
"""What a process has written outlives its end as well. Only a loss of power, which no test makes, would lose it."""
_CLONE = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")


async def put(folder: Path) -> None:
    """Into a folder that is not there yet: a server that is started there finds a migrated database, and a template.

    Waits while another process makes the first one.
    """
    place = Path(os.environ[PLACE])
    template = place / "postgres"
    with (place / "lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        if not await asyncio.to_thread(template.exists):
            await _make(place / "unfinished")
            (place / "unfinished").rename(template)
    await asyncio.to_thread(_copy, template, folder)


async def _make(folder: Path) -> None:
    async with EmbeddedPostgres(folder, options=UNSYNCED) as server:
        assert migrate.upgrade(server.url, server.app_url)
        with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
            connection.execute(_CLONE.format(sql.Identifier(TEMPLATE), sql.Identifier(DATABASE)))


def _copy(template: Path, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    subprocess.run(["cp", "-a", template / "data", template / "password", folder], check=True)


@contextmanager
def temporary(options: Mapping[str, str]) -> Iterator[EmbeddedPostgres]:
    """Run a server in a temporary folder. For session fixtures."""
    with tempfile.TemporaryDirectory(prefix="yout-postgres-") as name:
        folder = Path(name) / "postgres"
        loop = asyncio.new_event_loop()
        loop.run_until_complete(put(folder))
        loop.close()
        with EmbeddedPostgres(folder, options=options) as server:
            yield server


def clone(server: EmbeddedPostgres, name: str) -> str:
    """One more migrated database on a server that runs on a copy: its URL for the owner."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(_CLONE.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
    return server.url_of(name)
