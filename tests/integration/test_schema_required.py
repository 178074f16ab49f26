"""A database without this program's schema is no database to serve from: it says so, and waits for the migration."""

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from structlog.testing import capture_logs

from db import connections, migrate
from db.engine import Database
from db.faults import diagnose
from db.leadership import Leadership
from db.writer import LedgerWriter
from dev.postgres import EmbeddedPostgres
from domain.errors import ServiceUnavailable
from domain.results import Reserved
from tests.integration.test_ledger import outcome
from tests.support.bank import open_account, reserve
from tests.support.command_line import invoke
from tests.support.stack import Stack, eventually

OLDER = "".join(sorted(connections.REVISIONS)[-2:-1])


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> Iterator[str]:
    name = sql.Identifier(f"empty_{uuid.uuid4().hex}")
    with psycopg.connect(postgres.url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        yield postgres.url_of(name.as_string().strip('"'))
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.mark.parametrize("revision", [None, OLDER])
async def test_an_older_schema_is_waited_for(empty: str, revision: str | None) -> None:
    if revision:
        migrate.upgrade(empty)
        migrate.downgrade(empty, revision)
    fault = diagnose(empty)
    assert fault is not None
    assert fault.remedy == "run `yout migrate`"
    database, leader = Database.open(empty, pool=1), Leadership(empty, 4713)
    with pytest.raises(ServiceUnavailable):
        await database.check_writable()
    assert not await leader.held()
    with capture_logs() as lines:
        async with LedgerWriter(empty) as ledger:
            ledger.check()

            async def waits() -> bool:
                return not ledger.available

            async def serves() -> bool:
                return ledger.available

            assert await eventually(waits)
            assert [line["event"] for line in lines] == ["the database is not migrated"]
            migrate.upgrade(empty)
            assert await eventually(serves)
            await database.check_writable()
            customer = await open_account(database, ledger, 1000)
            assert isinstance(await outcome(ledger, reserve(customer, 10)), Reserved)
    await database.close()


async def test_a_newer_schema_is_served_from(database_url: str) -> None:
    """A migration runs while the program before it still serves."""
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute("UPDATE alembic_version SET version_num = '9999'")
    database = Database.open(database_url, pool=1)
    async with LedgerWriter(database_url) as ledger:
        customer = await open_account(database, ledger, 1000)
        assert isinstance(await outcome(ledger, reserve(customer, 10)), Reserved)
    await database.close()


def test_a_server_says_that_it_is_not_ready_before_anybody_asks(empty: str, tmp_path: Path) -> None:
    stack = Stack(empty, tmp_path)
    with stack.running("api"):
        for path in ("/readyz", "/v1/models"):
            request = urllib.request.Request(stack.url + path, headers={"x-api-key": f"yout-{'a' * 48}"})
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=30)
            with refused.value as answer:
                assert answer.code in {401, 503}
        with urllib.request.urlopen(stack.url + "/metrics", timeout=30) as shown:
            assert b"\nyout_database_up 0.0\n" in shown.read()
    faults = [line for line in map(json.loads, stack.log("api").splitlines()) if line["level"] == "error"]
    assert [line["event"] for line in faults] == ["the database is not migrated"]


def test_a_newer_schema_is_no_fault_of_a_migration(database_url: str) -> None:
    """The way back from an upgrade: API and worker of the version before start when its `migrate` has ended well."""
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute("UPDATE alembic_version SET version_num = '9999'")
    ran = invoke(database_url, "migrate", "--json")
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["schema"] == "9999"
    assert "newer than this program" in invoke(database_url, "migrate").stdout
