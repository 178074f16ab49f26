"""The application's role reads and writes rows. It changes neither schema nor books, and switches nothing off."""

import uuid

import psycopg
import pytest
from sqlmodel import SQLModel

import db.conversation_tables  # noqa: F401  # fills the metadata, as migrations do
from db import migrate, roles
from db.engine import Database
from db.writer import LedgerWriter
from dev.postgres import EmbeddedPostgres
from tests.support.bank import open_account, reserve, settle

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


SHADOWS = """
CREATE TEMP TABLE transactions AS SELECT * FROM public.transactions;
CREATE TEMP TABLE holds AS SELECT * FROM public.holds;
CREATE TEMP TABLE lines (LIKE public.lines);
INSERT INTO transactions (id, kind, account_id, ref, position, created_at)
SELECT uuidv7(), 'grant', id, 'free', 2, now() FROM accounts;
INSERT INTO lines SELECT t.id, 'available', t.account_id, 5 FROM transactions t WHERE t.ref = 'free';
INSERT INTO lines SELECT t.id, 'grants', NULL, -5 FROM transactions t WHERE t.ref = 'free'
"""
WRONG = (
    "INSERT INTO public.lines SELECT * FROM lines",
    "INSERT INTO public.transactions SELECT * FROM transactions WHERE ref = 'free'",
)


@pytest.mark.parametrize("statement", WRONG)
async def test_temporary_tables_deceive_no_trigger(
    database: Database, ledger: LedgerWriter, app_url: str, statement: str
) -> None:
    await open_account(database, ledger, 1000)
    async with await psycopg.AsyncConnection.connect(app_url) as connection:
        await connection.execute(SHADOWS.encode())
        with pytest.raises(psycopg.errors.CheckViolation):
            await connection.execute(statement.encode())


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


FIXED = {
    "uploads": (
        *("id", "account_id", "epoch", "content_type", "bytes", "width", "height", "seconds", "created_at"),
        "expires_at",
    ),
    "upload_parts": ("upload_id", "part", "epoch", "sealed", "account_id"),
    "job_files": ("job_id", "file", "part", "role", "content_type", "epoch", "sealed", "account_id"),
    "accounts": ("id", "epoch", "created_at"),
    "users": ("id", "account_id", "created_at"),
    "data_keys": ("account_id", "epoch", "wrapped", "wrapped_by", "destroyed_at", "checksum"),
    "api_keys": ("id", "account_id", "created_at", "ancestors"),
    "api_key_secrets": ("digest", "key_id", "masked", "created_at", "checksum", "account_id"),
    "holds": (
        *("id", "account_id", "key_id", "kind", "model", "price_version", "prices", "input_bound", "input_count"),
        *("choices", "tokens_limit", "account_tokens_limit", "created_at", "max_credits", "epoch"),
        "ancestor_tokens_limits",
    ),
    "transactions": ("id", "kind", "account_id", "hold_id", "ref", "note", "position", "created_at", "checksum"),
    "lines": ("transaction_id", "book", "account_id", "amount"),
    "running_balances": ("account_id", "position", "available", "held", "epoch"),
    "usage": (
        *("hold_id", "account_id", "key_id", "kind", "model", "input_tokens", "cached_tokens", "cache_write_tokens"),
        *("output_tokens", "credits", "written_off", "source", "created_at", "provider", "provider_cost", "meters"),
        *("service_tier", "epoch"),
    ),
    "usage_days": ("account_id", "day", "model", "key_id", "kind", "epoch"),
    "audits": ("id", "began_at", "whole", "clean", "drift_credits", "counts"),
    "pruned": ("what", "horizon", "swept"),
    "idempotency": ("account_id", "scope"),
    "media_jobs": (
        *("id", "account_id", "kind", "model", "credits_cost", "created_at", "deadline", "outputs_ordered"),
        *("epoch", "size", "seconds", "share", "priority", "request_id", "traceparent"),
    ),
    "storage_scans": ("id",),
    "worker_faults": ("what", "place"),
    "job_inputs": ("job_id", "epoch", "sealed", "account_id"),
    "conversations": ("id", "account_id", "epoch", "created_at"),
    "messages": ("conversation_id", "position", "account_id", "epoch", "hold_id", "sealed", "created_at"),
    "plan_terms": ("id", "account_id", "plan", "payment_id", "subscription_id", "begins_at", "created_at"),
    "payments": ("id", "created_at"),
    "payment_charges": ("id", "created_at"),
    "payment_customers": ("id",),
    "payment_subscriptions": ("id",),
    "payment_events": ("id", "type", "created_at", "received_at"),
    "shares": (
        *("slug_hash", "id", "account_id", "epoch", "messages", "sealed_heading", "sealed", "created_at", "expires_at"),
    ),
    "sessions": ("id", "user_id", "digest", "created_at", "expires_at", "account_id"),
    "one_time_links": (
        *("digest", "purpose", "user_id", "email", "password", "mailed", "created_at", "expires_at", "account_id"),
    ),
    "throttles": ("digest",),
    "mailbox_keys": ("id", "wrapped", "wrapped_by"),
    "free_tier_networks": ("digest", "created_at"),
    "purges": (*("id", "account_id", "epoch", "part", "part_id", "sessions", "movements", "balance", "requested_at"),),
    "roll_ups": (
        *("purge_id", "account_id", "transaction_id", "until", "position", "movements", "calls", "charges", "credits"),
        *("written_off", "usage_entries", "usage_credits", "credits_at_cut", "faults"),
    ),
    "purge_receipts": ("number", "purge_id", "body", "digest", "account_id"),
    "receipt_keys": ("kid", "public", "wrapped", "wrapped_by", "created_at"),
    "visitor_days": ("day", "wrapped", "wrapped_by", "created_at"),
    "visitor_counts": ("day", "digest"),
    "events": ("id", "account_id", "epoch", "type", "subject", "created_at"),
    "webhook_endpoints": ("id", "account_id", "epoch", "created_at"),
    "webhook_secrets": ("id", "account_id", "epoch", "endpoint_id", "sealed", "created_at"),
    "webhook_deliveries": ("id", "account_id", "epoch", "endpoint_id", "subject", "created_at"),
}
"""Of each table, what never changes once it is written. A new column belongs here or in `roles.CHANGING`."""
TABLES = SQLModel.metadata.tables
COLUMNS = [(table, column) for table in TABLES for column in TABLES[table].columns.keys()]  # noqa: SIM118


def test_every_column_is_fixed_or_changing() -> None:
    assert TABLES.keys() == FIXED.keys()
    for name, table in TABLES.items():
        changing = roles.CHANGING.get(name, ())
        assert not set(changing) & set(FIXED[name]), name
        assert set(changing) | set(FIXED[name]) == set(table.columns.keys()), name


async def _refused(app_url: str, statement: str) -> bool:
    async with await psycopg.AsyncConnection.connect(app_url, autocommit=True) as connection:
        try:
            await connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            return True
    return False


async def test_the_applications_role_changes_no_fixed_column(app_url: str) -> None:
    wrong = []
    async with await psycopg.AsyncConnection.connect(app_url, autocommit=True) as connection:
        for table, column in COLUMNS:
            try:
                await connection.execute(f"UPDATE {table} SET {column} = {column} WHERE false".encode())
                refused = False
            except psycopg.errors.InsufficientPrivilege:
                refused = True
            if refused != (column in FIXED[table]):
                wrong.append((table, column))
    assert wrong == []


async def test_the_applications_role_deletes_no_row_that_is_kept(app_url: str) -> None:
    deletable = [table for table in TABLES if not await _refused(app_url, f"DELETE FROM {table} WHERE false")]
    of_visitors = ["visitor_counts", "visitor_days"]
    of_webhooks = ["webhook_deliveries", "webhook_endpoints", "webhook_secrets"]
    assert sorted(deletable) == [
        *("conversations", "events", "job_files", "job_inputs", "messages", "one_time_links", "sessions", "shares"),
        *("throttles", "upload_parts", "uploads", *of_visitors, *of_webhooks, "worker_faults"),
    ]
    unwritable = [table for table in TABLES if await _refused(app_url, f"INSERT INTO {table} SELECT * FROM {table}")]
    assert sorted(unwritable) == ["pruned", "purges", "roll_ups", "running_balances"]


UNFIT = {
    "ALTER ROLE {} SUPERUSER": "is SUPERUSER",
    "ALTER ROLE {} CREATEROLE BYPASSRLS": "is CREATEROLE, is BYPASSRLS",
    "GRANT yout TO {}": "is a member of the role yout",
    "ALTER TABLE lines OWNER TO {}": "owns a table",
    "ALTER FUNCTION refuse_change OWNER TO {}": "owns a function",
    "GRANT CREATE ON SCHEMA public TO {}": "REVOKE CREATE ON SCHEMA public",
}


@pytest.mark.parametrize("power", UNFIT)
def test_a_migration_run_refuses_a_role_that_could_do_more(database_url: str, power: str) -> None:
    name = f"app_{uuid.uuid4().hex}"
    other = psycopg.conninfo.make_conninfo(database_url, user=name, password="x")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN".encode())
        connection.execute(power.format(name).encode())
        try:
            with pytest.raises(roles.RoleUnfit, match=UNFIT[power]) as refused:
                migrate.upgrade(database_url, other)
            assert "YOUT_DATABASE_URL" in str(refused.value)
        finally:
            connection.execute(f"REASSIGN OWNED BY {name} TO yout; DROP OWNED BY {name}; DROP ROLE {name}".encode())
