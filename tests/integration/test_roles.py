"""The application's role reads and writes rows. It changes neither schema nor books, and switches nothing off."""

import psycopg
import pytest

from db import migrate
from db.engine import Database
from db.writer import LedgerWriter
from dev.postgres import EmbeddedPostgres
from tests.integration.bank import open_account, reserve, settle

FORBIDDEN = [
    "ALTER TABLE lines DISABLE TRIGGER ALL",
    "ALTER TABLE transactions DISABLE TRIGGER append_only",
    "ALTER TABLE accounts DROP CONSTRAINT ck_accounts_available_not_negative",
    "ALTER TABLE accounts ADD COLUMN more text",
    "SET session_replication_role = replica",
    "TRUNCATE lines",
    "TRUNCATE accounts CASCADE",
    "UPDATE transactions SET note = 'x'",
    "DELETE FROM transactions",
    "UPDATE lines SET amount = amount + 1",
    "DELETE FROM lines",
    "SELECT FROM lines FOR UPDATE",
    "DROP TRIGGER exact ON lines",
    "DROP TABLE lines",
    "DROP FUNCTION refuse_change CASCADE",
    "CREATE OR REPLACE FUNCTION public.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE TABLE public.mine (id int)",
    "UPDATE alembic_version SET version_num = '0001'",
    "CREATE ROLE another SUPERUSER",
    "SET ROLE yout",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_the_applications_role_may_not(database: Database, app_url: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(app_url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement.encode())


async def test_the_applications_role_moves_credits(database: Database, ledger: LedgerWriter, app_url: str) -> None:
    customer = await open_account(database, ledger, 1000)
    call = reserve(customer, 100)
    await ledger.ask(call)
    await ledger.ask(settle(customer, call.hold_id, 40))
    async with await psycopg.AsyncConnection.connect(app_url) as connection:
        row = await (await connection.execute("SELECT session_user, count(*) FROM lines GROUP BY 1")).fetchone()
    assert row == ("yout_app", 7)


def test_a_migration_run_grants_again_and_tells_a_single_role(
    postgres: EmbeddedPostgres, database_url: str, app_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("GRANT DELETE ON lines TO yout_app")
        connection.execute("REVOKE SELECT ON accounts FROM yout_app")
    assert migrate.upgrade(database_url, app_url)
    with psycopg.connect(app_url, autocommit=True) as connection:
        connection.execute("SELECT FROM accounts")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM lines")
    assert not migrate.upgrade(database_url)
