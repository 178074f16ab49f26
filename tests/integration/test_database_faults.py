"""A database that is not as it should be is told in one sentence: what, where, and what to do."""

from datetime import date
from itertools import count
from uuid import UUID

import psycopg
import pytest
import structlog
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text
from structlog.testing import capture_logs

from db import usage_reports
from db.engine import Database
from db.faults import RIGHTS, describe, diagnose, place
from db.outage import Outage
from db.roles import CHANGING
from db.usage_reports import Grouping
from db.writer import LedgerWriter
from dev import ports
from dev.postgres import EmbeddedPostgres
from domain.errors import ServiceUnavailable
from domain.faults import CALM_SECONDS, Fault
from logs import OperatorFaults
from tests.support.bank import open_account, reserve

PASSWORD = "a-password-that-nobody-may-read"


def cause(url: str) -> Fault:
    fault = diagnose(url)
    assert fault is not None
    assert PASSWORD not in str(fault)
    assert "\n" not in str(fault)
    return fault


def test_a_database_that_is_right(database_url: str) -> None:
    assert diagnose(database_url) is None


def test_what_can_be_wrong(postgres: EmbeddedPostgres, database_url: str) -> None:
    assert (
        cause(f"postgresql://yout:{PASSWORD}@127.0.0.1:{ports.free()}/x").what
        == "nothing listens there for the database"
    )
    assert cause(f"postgresql://yout:{PASSWORD}@no.such.host.invalid/x").what == "the database's host is unknown"
    assert cause(f"postgresql://yout:{PASSWORD}@127.0.0.1:port/x").what == "YOUT_DATABASE_URL is no valid URL"
    assert cause("nonsense").what == "YOUT_DATABASE_URL is no valid URL"
    assert cause(postgres.url_of("no_such_database")).what == "the server has no such database"
    assert cause(postgres.url_of("postgres")) == Fault(
        "the database is not migrated", place(postgres.url_of("postgres")), "run `yout migrate`"
    )


def test_a_wrong_password_and_a_wrong_user(postgres: EmbeddedPostgres) -> None:
    user, own = (str(conninfo_to_dict(postgres.url)[name]) for name in ("user", "password"))
    assert cause(postgres.url.replace(own, PASSWORD)).what == "the database refuses the password"
    assert cause(postgres.url.replace(user, "stranger", 1)).what == "the database refuses the password"
    assert describe(psycopg.errors.InvalidPassword(PASSWORD), "postgresql:///x") == Fault(
        "the database refuses the password",
        "local socket:5432/x",
        "mend the user or the password in YOUT_DATABASE_URL, which a process reads at its start",
    )


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgresql://u:p@h:5433/d", "h:5433/d"),
        ("postgresql://u:p@h1:1,h2:5432/d?target_session_attrs=read-write", "h1:1,h2:5432/d"),
        ("postgresql://u:p@h1,h2/d", "h1:5432,h2:5432/d"),
        ("host=h user=u password=p dbname=d", "h:5432/d"),
        ("postgresql://u:p@[::1]:7/d", "::1:7/d"),
        ("postgres:/u:p@h", "YOUT_DATABASE_URL"),
    ],
)
def test_a_place_never_names_who_connects(url: str, named: str) -> None:
    assert place(url) == named


async def test_missing_rights_are_one_fault_of_the_operator_until_they_are_granted(
    app_url: str, database_url: str
) -> None:
    """Reads succeed without them, and are not the end. No call meets a fault of this program."""
    now = [0.0]
    shared = Outage(app_url, OperatorFaults(structlog.get_logger()), clock=lambda: now[0])
    database = Database.open(app_url, outage=shared)
    async with LedgerWriter(app_url, outage=shared) as ledger:
        customer = await open_account(database, ledger, 1000)
        with capture_logs() as lines:
            await owner(database_url, "REVOKE UPDATE, INSERT ON holds, throttles FROM yout_app")
            with pytest.raises(ServiceUnavailable):
                await ledger.ask(reserve(customer, 10))
            with pytest.raises(ServiceUnavailable):
                async with database.transaction() as session:
                    await (await session.connection()).execute(text("INSERT INTO throttles DEFAULT VALUES"))
            for _ in range(3):
                now[0] += CALM_SECONDS
                await database.check_writable()
                assert not await database._answers()
            assert [(line["event"], line["remedy"]) for line in lines] == [("the database user lacks rights", RIGHTS)]
            assert lines[0]["at"].startswith("db.ledger:")
            await owner(database_url, f"GRANT UPDATE ({', '.join(CHANGING['holds'])}) ON holds TO yout_app")
            await owner(database_url, f"GRANT UPDATE ({', '.join(CHANGING['throttles'])}) ON throttles TO yout_app")
            assert not await database._answers()
            await owner(database_url, "GRANT INSERT ON holds, throttles TO yout_app")
            assert await database._answers()
            now[0] += CALM_SECONDS
            assert await database._answers()
        assert [line["event"] for line in lines[1:]] == ["the database user lacks rights: mended"]
        await ledger.ask(reserve(customer, 10))
    await database.close()


async def test_a_statement_that_is_refused_is_named_by_its_line(app_url: str, database_url: str) -> None:
    """Where the database is migrated, it is this program that is wrong."""
    shared = Outage(app_url, OperatorFaults(structlog.get_logger(), clock=count(step=1000).__next__))
    database, days = Database.open(app_url, outage=shared), (date(2026, 1, 1), date(2026, 1, 2))
    await owner(database_url, "ALTER TABLE usage_days RENAME COLUMN credits TO others")
    with capture_logs() as lines:
        with pytest.raises(ServiceUnavailable):
            await usage_reports.split(database, UUID(int=1), Grouping.MODEL, days, 5)
        with pytest.raises(ServiceUnavailable):
            async with database.reading() as session:
                await usage_reports.usage(session, UUID(int=1), Grouping.DAY, days)
    assert [line["at"].partition(":")[0] for line in lines] == ["db.usage_reports", "db.usage_reports"]
    await database.close()


async def owner(url: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(statement)
