"""`yout usage export` lists what the ledger has charged: each charge once, whatever the size of a page."""

import csv
import glob
import io
import json
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import psycopg
import pytest
from click.testing import CliRunner

from cli import usage_export, usage_parquet
from cli.command import yout
from db.engine import Database
from db.writer import LedgerWriter
from tests.support.bank import Customer, open_account, reserve, settle
from tests.support.stack import SECRET

TODAY = datetime.now(UTC).date()
SPAN = ("--from", str(TODAY - timedelta(days=1)), "--to", str(TODAY + timedelta(days=2)))
CHARGED = """
SELECT coalesce(sum(l.amount), 0) FROM transactions t JOIN lines l ON l.transaction_id = t.id AND l.book = 'revenue'
WHERE t.kind = 'charge' AND (t.account_id = %(account)s OR %(account)s::uuid IS NULL)
"""


@pytest.fixture
async def customers(database: Database, ledger: LedgerWriter, database_url: str) -> list[Customer]:
    """Of three accounts, with two, three and four calls."""
    opened = [await open_account(database, ledger, 10_000) for _ in range(3)]
    for number, customer in enumerate(opened, start=1):
        for tokens in range(1, number + 2):
            call = reserve(customer, 500)
            await ledger.ask(call)
            await ledger.ask(settle(customer, call.hold_id, 100 * number + tokens))
    return opened


def exported(url: str, *words: str) -> str:
    env = {"YOUT_DATABASE_URL": url, "YOUT_SECRET_KEY": SECRET}
    result = CliRunner().invoke(yout, ["usage", "export", *SPAN, *words], env=env)
    assert result.exit_code == 0, result.output
    return result.stdout


def charged(url: str, customer: Customer | None = None) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(CHARGED, {"account": customer and customer.account_id}).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("page", [1, 2, 5000])
def test_sums_are_the_ledgers(
    customers: list[Customer], app_url: str, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(usage_export, "PAGE", page)
    rows = list(csv.DictReader(io.StringIO(exported(app_url))))
    assert tuple(rows[0]) == usage_export.COLUMNS
    assert sum(int(row["credits"]) for row in rows) == charged(app_url) > 0
    assert sum(int(row["calls"]) for row in rows) == 2 + 3 + 4
    assert len({(row["account_id"], row["day"], row["model"], row["key_id"]) for row in rows}) == len(rows)
    assert len({row["account_id"] for row in rows}) == 3
    for customer in customers:
        own = sum(int(row["credits"]) for row in rows if row["account_id"] == str(customer.account_id))
        assert own == charged(app_url, customer)


def test_of_one_account_as_lines_of_json(customers: list[Customer], app_url: str) -> None:
    name = f"{customers[1].account_id.hex}@example.test"
    rows = [json.loads(line) for line in exported(app_url, "--account", name, "--format", "jsonl").splitlines()]
    assert {row["account_id"] for row in rows} == {str(customers[1].account_id)}
    assert sum(row["credits"] for row in rows) == charged(app_url, customers[1])


def test_into_a_file_that_is_there_when_it_is_whole(customers: list[Customer], app_url: str, tmp_path: Path) -> None:
    target = tmp_path / "usage.csv"
    assert exported(app_url, "--output", str(target)) == ""
    assert target.read_text() == exported(app_url)
    assert target.read_bytes().count(b"\r\n") == len(target.read_text().splitlines()) > 3
    env = {"YOUT_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/yout", "YOUT_SECRET_KEY": SECRET}
    before = target.read_bytes()
    failed = CliRunner().invoke(yout, ["usage", "export", *SPAN, "--output", str(target)], env=env)
    assert failed.exit_code == 2
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]
    nowhere = tmp_path / "nowhere"
    failed = CliRunner().invoke(yout, ["usage", "export", *SPAN, "--output", str(nowhere / "usage.csv")], env=env)
    assert (failed.exit_code, failed.stderr.count("\n")) == (2, 1)
    assert f"there is no folder {nowhere}: make it" in failed.stderr


def test_as_parquet_with_the_types_of_its_columns(customers: list[Customer], app_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "of [2026] * 'all'"
    folder.mkdir()
    target = folder / "usage.parquet"
    assert exported(app_url, "--format", "parquet", "--output", str(target)) == ""
    with duckdb.connect(":memory:") as connection:
        rows = connection.read_parquet(glob.escape(str(target)))
        assert dict(zip(rows.columns, map(str, rows.types), strict=True)) == {
            name: kind.replace(" ", "") for name, kind in usage_parquet.TYPES.items()
        }
        read = [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]
    assert tuple(usage_parquet.TYPES) == usage_export.COLUMNS
    assert sum(row["credits"] for row in read) == charged(app_url) > 0
    as_text = list(csv.DictReader(io.StringIO(exported(app_url))))
    for row, text in zip(read, as_text, strict=True):
        assert {**row, "provider_cost": Decimal(text["provider_cost"])} == row
        assert {name: str(value or "") for name, value in row.items() if name.endswith("_id")}.items() <= text.items()
    assert list(folder.iterdir()) == [target]


def test_parquet_without_a_file_or_its_library(app_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = {"YOUT_DATABASE_URL": app_url, "YOUT_SECRET_KEY": SECRET}
    words = ["usage", "export", *SPAN, "--format", "parquet"]
    assert "name it with --output" in CliRunner().invoke(yout, words, env=env).stderr
    monkeypatch.setitem(sys.modules, "duckdb", None)
    failed = CliRunner().invoke(yout, [*words, "--output", str(tmp_path / "usage.parquet")], env=env)
    assert failed.stderr.count("\n") == 1
    assert "pip install duckdb" in failed.stderr
    assert list(tmp_path.iterdir()) == []


def test_days_in_the_wrong_order(app_url: str) -> None:
    env = {"YOUT_DATABASE_URL": app_url, "YOUT_SECRET_KEY": SECRET}
    words = ["usage", "export", "--from", "2026-02-01", "--to", "2026-02-01"]
    assert "--to must be later than --from" in CliRunner().invoke(yout, words, env=env).stderr
