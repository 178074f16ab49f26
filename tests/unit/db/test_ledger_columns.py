"""The ledger's rows are mapped by name: the rules, the functions and the tables speak of the same columns."""

import pytest

from db import ledger_columns
from db.ledger_writes import STATEMENTS
from db.tables import AccountRow, ApiKeyRow, HoldRow
from domain.holds import Hold
from domain.ledger import Account
from domain.limits import Used

SQL = ledger_columns.FUNCTIONS.read_text("utf-8")
CHANGES = [
    ("prices::text, input_bound", "input_bound, prices::text, input_bound"),  # a column twice shifts none, and is wrong
    (
        "epoch)), array_agg(id)",
        "epoch, color)), array_agg(id)",
    ),  # one that the rules do not know
    (
        "keep_history, requests_tat, tokens_tat, epoch)),",
        "requests_tat, tokens_tat, epoch)),",
    ),  # one that they need
    ("day, day_credits, month, month_credits, privacy))", "day, day_credits, month, month_credits))"),
    (
        "lease_until, created_at, closed_at, closed_by, max_credits, epoch)\n        SELECT",
        "lease_until, created_at)\n        SELECT",
    ),
    (
        "charged,\n            written_off, refunded, lease_until",
        "written_off,\n            charged, refunded, lease_until",
    ),
]


@pytest.mark.parametrize(("column", "other"), CHANGES)
def test_a_column_that_only_one_of_them_has_is_refused_on_import(column: str, other: str) -> None:
    assert column in SQL
    with pytest.raises((ValueError, LookupError)):
        ledger_columns.check(SQL.replace(column, other, 1))


def test_columns_may_be_told_in_any_order() -> None:
    swapped = SQL.replace(
        "id, available, held, open_holds, movements,", "id, held, available, open_holds, movements,", 1
    )
    assert swapped != SQL
    ledger_columns.check(swapped)
    assert ledger_columns.columns_of("accounts", swapped)[:3] == ("id", "held", "available")


def test_a_table_has_the_columns_of_what_the_rules_know() -> None:
    columns = {row: set(row.model_fields) for row in (HoldRow, AccountRow, ApiKeyRow)}
    assert columns[HoldRow] == ledger_columns.field_names(Hold)
    assert ledger_columns.field_names(Account) - {"suspended"} <= columns[AccountRow]
    assert ledger_columns.field_names(Used) <= columns[ApiKeyRow]


def test_a_statement_knows_its_parameters_by_number_too() -> None:
    (write, *_) = STATEMENTS
    assert [name for name, _ in write.parameters] == [
        "placed",
        "changed",
        "accounts",
        "keys",
        "usage",
        "transactions",
    ]
    assert "$1::json" in write.numbered
    assert "%(" not in write.numbered
