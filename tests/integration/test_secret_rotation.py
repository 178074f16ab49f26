"""`yout secrets rotate`: afterwards the old secret can go. Nothing that happens meanwhile is lost or comes back."""

import ast
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from datetime import date

import psycopg
import pytest
from sqlalchemy import LargeBinary
from sqlmodel import SQLModel

from db import accounts, data_keys, wrapped_rows
from db.audit import audit
from db.data_keys import Sealing
from db.engine import Database
from db.wrapped_rows import WRAPPED, WrappedTable
from domain.errors import ServiceUnavailable
from domain.sealing import NONCE_BYTES, Wrapping
from domain.secrets import Secrets
from gateway.secret_rotation import Opened, SecretRotation
from tests.support.stack import ROOT

OLDEST, OLD, NEW = (os.urandom(32).hex() for _ in range(3))
ROTATED = Secrets(NEW, (OLD, OLDEST))


def report(table: str, rows: int) -> None:
    assert table in {each.name for each in WRAPPED}
    assert rows > 0


async def opened(database: Database, *secrets: str) -> Opened:
    """Of the accounts' data keys."""
    status, *_ = await SecretRotation(database, Secrets(secrets[0], secrets[1:])).status()
    return status


async def open_accounts(database: Database, secret: str, number: int) -> list[uuid.UUID]:
    account_ids = [uuid.uuid4() for _ in range(number)]
    for account_id in account_ids:
        async with database.transaction() as session:
            wrapping, email = Wrapping.of(secret), f"{account_id}@example.test"
            await accounts.create(session, wrapping, account_id=account_id, user_id=uuid.uuid4(), email=email)
    return account_ids


async def destroy(url: str, account_ids: Sequence[uuid.UUID]) -> None:
    """As a purge does: an account at a time."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for account_id in account_ids:
            await connection.execute(
                "UPDATE data_keys SET wrapped = NULL, destroyed_at = now() WHERE account_id = %s", [account_id]
            )
            await asyncio.sleep(0)


async def test_everything_opens_without_the_old_secrets(database: Database) -> None:
    (oldest,), (old,), _ = [await open_accounts(database, secret, 1) for secret in (OLDEST, OLD, NEW)]
    sealed = {}
    for account_id, secret in ((oldest, OLDEST), (old, OLD)):
        async with database.transaction() as session:
            sealing = Sealing(Wrapping.of(secret))
            sealed[account_id] = await sealing.seal(session, account_id, b"content", aad="a row")
    assert await opened(database, NEW, OLD, OLDEST) == Opened("data_keys", 1, (1, 1), 0)
    assert await opened(database, NEW) == Opened("data_keys", 1, (), 2)
    rotation = SecretRotation(database, ROTATED)
    await rotation.rotate(report)
    assert await opened(database, NEW) == Opened("data_keys", 3, (), 0)
    assert await opened(database, OLD, OLDEST) == Opened("data_keys", 0, (0,), 3)
    async with database.reading() as session:
        for account_id, (epoch, content) in sealed.items():
            assert await Sealing(Wrapping.of(NEW)).open(session, account_id, epoch, content, aad="a row") == b"content"
            with pytest.raises(ServiceUnavailable):
                await Sealing(Wrapping.of(OLD, [OLDEST])).open(session, account_id, epoch, content, aad="a row")
    again: list[str] = []
    await rotation.rotate(lambda table, _: again.append(table))
    assert again == []


async def test_beside_new_accounts_of_both_secrets_and_purges(database: Database, database_url: str) -> None:
    purged = await open_accounts(database, OLD, 30)
    await open_accounts(database, OLD, 10)
    rotation = SecretRotation(database, ROTATED)
    await asyncio.gather(
        *(rotation.rotate(report, batch=7) for _ in range(2)),
        open_accounts(database, OLD, 20),
        open_accounts(database, NEW, 20),
        destroy(database_url, purged),
    )
    await rotation.rotate(report)
    assert await opened(database, NEW) == Opened("data_keys", 50, (), 0)
    async with database.connection() as connection:
        subjects = {each.subject for each in (await audit(connection)).findings if "data_key" in each.check}
    assert subjects == {str(account_id) for account_id in purged}  # destroyed, and without a next epoch


async def test_a_row_that_names_the_wrong_secret_or_none(database: Database, database_url: str) -> None:
    """An earlier version names none. What a row says is believed only until it is opened."""
    named, *_ = await open_accounts(database, OLD, 3)
    lost = await open_accounts(database, "a secret that nobody has any more, alas", 1)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        query = "UPDATE data_keys SET wrapped_by = %s WHERE account_id = %s"
        await connection.execute(query, [Wrapping.of(NEW).current_id, named])
        await connection.execute("UPDATE data_keys SET wrapped_by = NULL WHERE account_id = %s", lost)
    await SecretRotation(database, ROTATED).rotate(report)
    assert await opened(database, "one", "another") == Opened("data_keys", 0, (0,), 4)
    assert await opened(database, NEW, OLD) == Opened("data_keys", 3, (0,), 1)


async def _rewrap(connection: psycopg.AsyncConnection[tuple[object, ...]], *values: object) -> object:
    call = "SELECT rewrap_data_keys(ARRAY[%s]::uuid[], ARRAY[%s]::bigint[], ARRAY[%s]::bytea[], ARRAY[%s]::bytea[], '')"
    return await (await connection.execute(call, values)).fetchone()


async def test_the_application_changes_a_wrapped_key_by_rotation_alone(
    database: Database, database_url: str, app_url: str
) -> None:
    (live,), (destroyed,) = await open_accounts(database, OLD, 1), await open_accounts(database, OLD, 1)
    async with await psycopg.AsyncConnection.connect(app_url, autocommit=True) as connection:
        rows = await connection.execute("SELECT account_id, wrapped FROM data_keys")
        wrapped = {account_id: each async for account_id, each in rows}
        await destroy(database_url, [destroyed])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("UPDATE data_keys SET wrapped_by = 'x'")
        becomes = os.urandom(len(wrapped[live]))
        assert await _rewrap(connection, live, 1, os.urandom(len(becomes)), becomes) == (0,)
        assert await _rewrap(connection, live, 1, wrapped[live], becomes[:NONCE_BYTES]) == (0,)
        assert await _rewrap(connection, live, 1, wrapped[live], None) == (0,)
        assert await _rewrap(connection, destroyed, 1, wrapped[destroyed], becomes) == (0,)
        assert await _rewrap(connection, live, 1, wrapped[live], becomes) == (1,)


def _yout(url: str, *words: str) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("YOUT_")}
    ours = {"YOUT_DATABASE_URL": url, "YOUT_SECRET_KEY": NEW, "YOUT_PREVIOUS_SECRET_KEYS": json.dumps([OLD])}
    command = [sys.executable, "-m", "cli", "secrets", *words]
    return subprocess.Popen(
        command, cwd=ROOT, env=inherited | ours, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _add_many(url: str, number: int) -> None:
    wrapping = Wrapping.of(OLD)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        ids = [uuid.uuid4() for _ in range(number)]
        cursor.executemany("INSERT INTO accounts (id) VALUES (%s)", [[each] for each in ids])
        rows = [
            (each, wrapping.wrap(os.urandom(32), aad=data_keys.wrapping_aad(each, 1), nonce=os.urandom(12)))
            for each in ids
        ]
        cursor.executemany("INSERT INTO data_keys (account_id, epoch, wrapped) VALUES (%s, 1, %s)", rows)


def test_a_rotation_that_is_killed_goes_on_when_it_is_run_again(database_url: str, app_url: str) -> None:
    _add_many(database_url, 6000)
    with _yout(app_url, "rotate") as killed:
        assert killed.stderr is not None
        assert "data_keys: " in killed.stderr.readline()
        killed.send_signal(signal.SIGKILL)
    with _yout(app_url, "status", "--json") as process:
        status = json.loads(process.communicate()[0])
    assert process.returncode == 1
    table, *_ = status["tables"]
    assert table["current"] > 0
    assert table["previous"][0] > 0
    with _yout(app_url, "rotate", "--json") as second:
        rotated = json.loads(second.communicate()[0])
    assert second.returncode == 0
    assert rotated["rewrapped"] == table["previous"][0]
    assert rotated["tables"][0] == {"table": "data_keys", "current": 6000, "previous": [0], "unknown": 0}
    with _yout(app_url, "status") as process:
        assert "can go" in process.communicate()[0]
    assert process.returncode == 0


OTHERS = re.compile("sealed.*|.*digest|.*hash|checksum|fingerprint|scope|public|title")
"""Names of columns of bytes that the master secret does not encrypt itself: sealed with another key, or not secret."""
WRAPPING = {
    "data_keys": "db/data_keys.py",
    "mailbox_keys": "db/free_tier.py",
    "receipt_keys": "db/purge_receipts.py",
    "visitor_days": "gateway/visitor_days.py",
}
"""Where each table's rows are wrapped."""


def test_every_column_that_the_master_secret_wraps_is_rotated() -> None:
    """Such a column is called `wrapped`."""
    columns = {
        (table.name, column.name)
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary) and not OTHERS.fullmatch(column.name)
    }
    assert columns == {(table.name, "wrapped") for table in WRAPPED}
    for table in WRAPPED:
        assert {"wrapped", "wrapped_by"} <= set(SQLModel.metadata.tables[table.name].columns.keys())
        assert [name for name, _ in table.key] == [
            each.name for each in SQLModel.metadata.tables[table.name].primary_key
        ]


def test_everybody_who_wraps_has_a_table_that_is_rotated() -> None:
    assert set(WRAPPING) == {table.name for table in WRAPPED}
    wraps = {
        path.relative_to(ROOT).as_posix()
        for package in ("db", "gateway", "cli", "workflows", "activities", "api", "web")
        for path in (ROOT / package).rglob("*.py")
        if any(_is_wrap(node) for node in ast.walk(ast.parse(path.read_text())))
    }
    assert wraps <= {*WRAPPING.values(), "gateway/secret_rotation.py"}


def _is_wrap(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "wrap"


def _keep(url: str, table: WrappedTable, secret: str) -> bytes:
    """A row of a table with one row: of a data key, an account has it."""
    wrapping, data_key = Wrapping(table.keys(Secrets(secret)).every), os.urandom(32)
    key = {"uuid": uuid.uuid4(), "bigint": 1, "smallint": 1, "text": "x", "date": date(2026, 1, 1)}
    values = [key[kind] for _, kind in table.key]
    wrapped = wrapping.wrap(data_key, aad=table.aad(*values), nonce=os.urandom(NONCE_BYTES))
    with psycopg.connect(url, autocommit=True) as connection:
        if "account_id" in dict(table.key):
            connection.execute("INSERT INTO accounts (id) VALUES (%s)", values[:1])
        columns = SQLModel.metadata.tables[table.name].columns
        live = {*dict(table.key), "wrapped"}
        more = [each.name for each in columns if not (each.nullable or each.server_default or each.name in live)]
        names = ", ".join([*(name for name, _ in table.key), *more])
        values += [b"x" for _ in more]
        marks = ", ".join(["%s"] * len(values))
        query = f"INSERT INTO {table.name} ({names}, wrapped) VALUES ({marks}, %s)"
        connection.execute(query.encode(), [*values, wrapped])
    return data_key


@pytest.mark.parametrize("table", WRAPPED, ids=lambda table: table.name)
async def test_each_table_is_rotated(database: Database, database_url: str, table: WrappedTable) -> None:
    data_key = _keep(database_url, table, OLD)
    await SecretRotation(database, ROTATED).rotate(report)
    async with database.reading() as session:
        (row,) = await wrapped_rows.after(session, table, None, 2)
    wrapping = Wrapping(table.keys(Secrets(NEW)).every)
    assert wrapping.unwrap(row.wrapped, aad=table.aad(*row.key)) == data_key
    assert row.wrapped_by == wrapping.current_id
