"""The drill of `deploy/compose/drill.sh`: a backup by the real pg_dump is restored beside the database by the real
pg_restore, and proven. What becomes of jobs after a restore is in `test_restores.py`."""

import asyncio
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from db.engine import Database
from db.writer import LedgerWriter
from dev import cluster
from dev.postgres import EmbeddedPostgres
from domain.sealing import Wrapping
from tests.support.bank import open_account, reserve, settle
from tests.support.stack import ROOT, SECRET, Stack

SCRIPT = ROOT / "deploy" / "compose" / "drill.sh"
DOUBLE = """#!/bin/sh
case "$1" in
    exec) shift 3; exec "$@" ;;  # exec -T postgres
    run) shift 5; exec "$@" ;;  # run --rm --no-deps -T api-1
esac
exit 64
"""


class Site:
    """A database with a charged call and one in flight, and the drill's means."""

    def __init__(self, postgres: EmbeddedPostgres, database_url: str, folder: Path) -> None:
        self.url, self.folder = database_url, folder
        self.name = database_url.rpartition("/")[2]
        self.stack = Stack(postgres.app_url_of(self.name), folder / "state")
        self.programs = cluster.matching(postgres.folder / "data").programs

    @property
    def environment(self) -> dict[str, str]:
        server = urlsplit(self.url)
        double = self.folder / "compose"
        double.write_text(DOUBLE)
        double.chmod(0o755)
        path = os.pathsep.join((str(self.programs), str(Path(sys.executable).parent), os.environ["PATH"]))
        return self.stack.environment | {
            "PATH": path,
            "COMPOSE": str(double),
            "DATABASE": self.name,
            "DATABASE_OWNER": server.username or "",
            "PGHOST": server.hostname or "",
            "PGPORT": str(server.port),
            "PGPASSWORD": server.password or "",
            "TMPDIR": str(self.folder),
        }

    async def drill(self, *words: str, **more: str) -> tuple[int, str]:
        ran = await asyncio.to_thread(
            subprocess.run,
            ["sh", str(SCRIPT), *words],
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=200,
        )
        return ran.returncode, ran.stdout + ran.stderr

    def change(self, statement: str) -> None:
        """Of the owner, past every trigger."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(statement.encode())

    def copies(self) -> list[str]:
        with psycopg.connect(self.url) as connection:
            return [name for (name,) in connection.execute("SELECT datname FROM pg_database") if name[:6] == "drill_"]


@pytest.fixture
async def site(postgres: EmbeddedPostgres, database_url: str, ledger: LedgerWriter, database: Database,
               tmp_path: Path) -> Site:  # fmt: skip
    account = await open_account(database, ledger, 1000, Wrapping.of(SECRET))
    hold_id = uuid.uuid4()
    await ledger.ask(reserve(account, 100, hold_id))
    await ledger.ask(settle(account, hold_id, 50))
    await ledger.ask(reserve(account, 70))
    return Site(postgres, database_url, tmp_path)


async def test_a_backup_is_proven_and_leaves_nothing(site: Site) -> None:
    site.change("UPDATE holds SET lease_until = now() - interval '1 hour' WHERE state = 'open'")
    before = set(site.folder.iterdir())
    code, output = await site.drill()
    assert code == 0, output
    assert re.search(r"^restored: schema \w+, [12] accounts, \d+ transactions$", output, re.MULTILINE)
    assert "in flight: 1 holds, 0 jobs" in output
    assert "books: right" in output
    assert "secrets: the current one opens all" in output
    assert site.copies() == []
    assert set(site.folder.iterdir()) - before <= {site.folder / "compose", site.folder / "state"}


async def test_a_backup_with_wrong_books_or_another_secret_is_no_backup(site: Site) -> None:
    site.change("UPDATE accounts SET available = available + 5 WHERE available > 0")
    code, output = await site.drill(YOUT_SECRET_KEY=os.urandom(32).hex())
    assert code == 1, output
    assert re.search(r"^books: NOT right: \w+", output, re.MULTILINE)
    assert "secrets: the current one does NOT open all" in output
    assert site.copies() == []


async def test_what_is_no_backup_is_not_restored(site: Site, tmp_path: Path) -> None:
    (tmp_path / "yout.dump").write_bytes(b"PGDMP and no more")
    code, output = await site.drill(str(tmp_path / "yout.dump"))
    assert code == 2
    assert "drill: the backup cannot be restored" in output
    assert site.copies() == []
    assert (tmp_path / "yout.dump").exists()
