"""A PostgreSQL that is not the embedded one: its roles have defaults, it fails over, it has more hosts than one."""

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from structlog.testing import capture_logs

from db import accounts, connections, listings, migrate
from db.connections import DatabaseUrlInvalid
from db.engine import Database
from db.faults import diagnose
from db.leadership import Leadership
from db.writer import LedgerWriter
from dev import ports
from dev.postgres import EmbeddedPostgres
from domain.errors import ServiceUnavailable
from domain.results import Closed, Reserved
from tests.integration.test_ledger import outcome, proven
from tests.support.bank import Customer, open_account, reserve, settle
from tests.support.stack import eventually

DEFAULTS = {
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "search_path": "pg_catalog",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "statement_timeout": "1",
    "lock_timeout": "1",
    "idle_in_transaction_session_timeout": "1",
    "synchronous_commit": "off",
    "plan_cache_mode": "force_custom_plan",
}


def zone_where_it_is_another_day() -> str:
    """There is one at any moment."""
    return "Etc/GMT-14" if datetime.now(UTC).hour >= 10 else "Etc/GMT+12"


async def set_defaults(url: str, defaults: dict[str, str]) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as admin:
        for name, value in defaults.items():
            statement = sql.SQL("ALTER DATABASE {} SET {} = {}")
            await admin.execute(statement.format(sql.Identifier(admin.info.dbname), sql.Identifier(name), value))


@contextlib.asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[tuple[Database, LedgerWriter]]:
    database = Database.open(url)
    async with LedgerWriter(url, **options) as ledger:
        yield database, ledger
    await database.close()


async def test_days_are_those_of_utc_whatever_the_zone_of_the_database(database_url: str) -> None:
    """What a key has used is counted on the same day before, during and after another zone."""
    spent = Counter[date]()
    async with opened(database_url) as (database, ledger):
        customer = await open_account(database, ledger, 1000)
    for zone in ("UTC", zone_where_it_is_another_day(), "UTC"):
        await set_defaults(database_url, {"timezone": zone})
        async with opened(database_url) as (database, ledger):
            before = datetime.now(UTC).date()
            held = await ledger.ask(reserve(customer, 10))
            assert isinstance(held, Reserved)
            await ledger.ask(settle(customer, held.hold_id, 10))
            after = datetime.now(UTC).date()
            report = await proven(database)
            assert report.clean, report.findings
        async with await psycopg.AsyncConnection.connect(database_url) as reading:
            cursor = await reading.execute("SELECT day, day_credits FROM api_keys")
            ((day, credits),) = await cursor.fetchall()
        spent[day] += 10
        assert (before <= day <= after, credits) == (True, spent[day])


async def test_no_default_of_a_database_changes_what_is_done(database_url: str) -> None:
    await set_defaults(database_url, {"timezone": zone_where_it_is_another_day(), **DEFAULTS})
    migrate.upgrade(database_url)
    async with opened(database_url) as (database, ledger):
        customer = await open_account(database, ledger, 1000)
        held = [await ledger.ask(reserve(customer, 10)) for _ in range(3)]
        charged = [await ledger.ask(settle(customer, one.hold_id, 4)) for one in held if isinstance(one, Reserved)]
        assert [one.charged for one in charged if isinstance(one, Closed)] == [10, 10, 10]
        report = await proven(database)
        assert report.clean, report.findings
        async with database.reading() as session:
            left = await accounts.balance(session, customer.account_id)
        assert (left.available, left.held) == (970, 0)
    assert [(one.account_id, one.available) for one in listings.accounts(database_url, 9)] == [
        (customer.account_id, 970)
    ]
    assert diagnose(database_url) is None
    leader = Leadership(database_url, 4712)
    assert await leader.held()
    await leader.release()


async def become(url: str, *, read_only: bool) -> None:
    """As a primary that is demoted, and promoted again: connections that are open stay open."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as admin:
        await admin.execute("SET default_transaction_read_only = off")
        name = sql.Identifier(admin.info.dbname)
        mode = sql.Literal("on" if read_only else "off")
        await admin.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}").format(name, mode))


async def test_a_ledger_on_a_read_only_server_goes_on_once_it_can_be_written_to(database_url: str) -> None:
    async with opened(database_url) as (database, ledger):
        customer = await open_account(database, ledger, 1000)
    await become(database_url, read_only=True)
    async with opened(database_url, timeout=timedelta(seconds=1)) as (_, ledger):
        assert isinstance(await outcome(ledger, reserve(customer, 10)), ServiceUnavailable)
        assert not ledger.available
        await become(database_url, read_only=False)

        async def works() -> bool:
            return ledger.available

        async def reserved() -> bool:  # a second may be too short for it
            return isinstance(await outcome(ledger, reserve(customer, 10)), Reserved)

        assert await eventually(works)  # though nobody asks for anything
        assert await eventually(reserved)


@pytest.mark.parametrize("code", ["25006", "57P01", "57P03", "08006", "53300", "25P03"])
async def test_a_server_that_turns_away_in_the_middle_is_asked_again(
    database: Database, database_url: str, code: str
) -> None:
    """The function that writes raises it on the first connection; there is nothing wrong with the next."""
    async with opened(database_url) as (_, ledger):
        customer = await open_account(database, ledger, 1000)
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as admin:
            await admin.execute("CREATE TABLE turned_away (pid int)")
            await admin.execute(
                sql.SQL(
                    "CREATE FUNCTION turn_away() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                    "IF pg_backend_pid() = (SELECT pid FROM turned_away) THEN RAISE SQLSTATE {}; END IF; "
                    "RETURN NEW; END $$"
                ).format(code)
            )
            await admin.execute("CREATE TRIGGER away BEFORE INSERT ON holds FOR EACH ROW EXECUTE FUNCTION turn_away()")
            await admin.execute(
                "INSERT INTO turned_away SELECT pid FROM pg_stat_activity WHERE application_name = 'yout-ledger' "
                "AND datname = current_database()"
            )
            assert isinstance(await outcome(ledger, reserve(customer, 10)), Reserved)
            await admin.execute("DROP TRIGGER away ON holds")
            await admin.execute("DROP FUNCTION turn_away; DROP TABLE turned_away")
        assert (await proven(database)).clean


async def test_a_pool_leaves_a_server_that_has_become_read_only(database: Database, database_url: str) -> None:
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("SELECT 1")
        await connection.exec_driver_sql("SET SESSION default_transaction_read_only = on")
    with pytest.raises(ServiceUnavailable):
        async with database.transaction() as session:
            await (await session.connection()).exec_driver_sql("UPDATE accounts SET held = 0")
    await database.check_writable()
    async with database.transaction() as session:
        await (await session.connection()).exec_driver_sql("UPDATE accounts SET held = 0")
    await become(database_url, read_only=True)
    fresh = Database.open(database_url)
    with pytest.raises(ServiceUnavailable):
        await fresh.check_writable()
    await become(database_url, read_only=False)
    await fresh.check_writable()
    await fresh.close()


def with_hosts(url: str, hosts: str, query: str = "") -> str:
    before, at, after = url.partition("@")
    _, slash, database = after.partition("/")
    return f"{before}{at}{hosts}{slash}{database}{query}"


async def test_the_host_that_can_be_written_to_is_found_among_several(
    postgres: EmbeddedPostgres, database_url: str
) -> None:
    host = database_url.partition("@")[2].partition("/")[0]
    queries = ("", "?target_session_attrs=read-write", "?sslmode=prefer&target_session_attrs=read-write")
    for listed, query in enumerate(queries, start=1):
        url = with_hosts(database_url, f"127.0.0.1:{ports.free()},{host}", query)
        migrate.upgrade(url)
        async with opened(url) as (database, ledger):
            customer = await open_account(database, ledger, 1000)
            assert isinstance(await outcome(ledger, reserve(customer, 10)), Reserved)
            assert (await proven(database)).clean
        assert len(listings.accounts(url, 9)) == listed
        assert diagnose(url) is None


async def test_a_server_that_is_read_only_is_told_to_the_operator(database_url: str) -> None:
    assert listings.accounts(database_url, 9) == []
    await become(database_url, read_only=True)
    assert listings.accounts(database_url, 9) == []
    fault = diagnose(database_url)
    assert fault is not None
    assert fault.what == "the database is read-only"


async def test_white_space_around_a_url_is_none_of_it(database_url: str) -> None:
    async with opened(f" {database_url}\n") as (database, ledger):
        await open_account(database, ledger, 1000)
        assert (await proven(database)).clean


@pytest.mark.parametrize("url", ["", "nonsense", "postgresql://u:p@h:port\n/x", "postgresql://u:secret@h/x?no=such"])
def test_a_url_that_is_none_is_refused_at_start(url: str) -> None:
    for start in (Database.open, connections.conninfo):
        with pytest.raises(DatabaseUrlInvalid) as refused:
            start(url)
        assert "secret" not in str(refused.value)
    with pytest.raises(DatabaseUrlInvalid):
        LedgerWriter(url)


def test_what_the_url_says_of_tls_is_passed_on() -> None:
    url = (
        "postgresql://u:p@h/x?sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=9&options=-c%20search_path%3Down"
    )
    opening = connections.parameters(url, "yout")
    parsed = psycopg.conninfo.conninfo_to_dict(opening.pop("conninfo"), **opening)
    assert (parsed["sslmode"], parsed["sslrootcert"], parsed["connect_timeout"]) == ("verify-full", "/ca.pem", 9)
    assert "search_path=public" not in str(parsed["options"])
    assert "search_path=own" in str(parsed["options"])
    assert "timezone=UTC" in str(parsed["options"])


@pytest.mark.parametrize("wrong", ["password", "database", "host"])
async def test_what_the_operator_has_to_mend_is_one_line(
    postgres: EmbeddedPostgres, database_url: str, wrong: str
) -> None:
    host = database_url.partition("@")[2].partition("/")[0]
    user, _, rest = database_url.partition("@")
    url = {
        "password": f"{user.rpartition(':')[0]}:not-the-password@{rest}",
        "database": postgres.url_of(f"none_{uuid.uuid4().hex}"),
        "host": with_hosts(database_url, f"127.0.0.1:{ports.free()}"),
    }[wrong]
    nobody = Customer(uuid.uuid4(), "no token")
    with capture_logs() as lines:
        async with LedgerWriter(url, timeout=timedelta(seconds=2)) as ledger:
            results = await asyncio.gather(*(outcome(ledger, reserve(nobody, 10)) for _ in range(5)))
    assert {type(result) for result in results} == {ServiceUnavailable}
    assert len(lines) == 1, lines
    assert lines[0]["log_level"] == "error"
    assert lines[0]["remedy"]
    assert (host if wrong != "host" else "127.0.0.1") in lines[0]["where"]
    assert "not-the-password" not in str(lines)
