"""Every table is known to the purge: it erases what an account did, and says why it keeps the rest."""

from importlib import import_module
from pkgutil import iter_modules

import pytest
from sqlmodel import SQLModel

import db
from db.erasure import ERASED, RETAINED, Erased

for module in iter_modules(db.__path__):
    if module.name.endswith("tables"):
        import_module(f"db.{module.name}")  # it fills the metadata
TABLES = SQLModel.metadata.tables


def owned_by_accounts() -> set[str]:
    """Tables with an account's id, and tables that refer to these."""
    owned = {name for name, table in TABLES.items() if name == "accounts" or "account_id" in table.columns}
    while True:
        referring = {
            name for name, table in TABLES.items() if any(key.column.table.name in owned for key in table.foreign_keys)
        }
        if referring <= owned:
            return owned
        owned |= referring


def test_every_table_of_an_account_is_erased_or_kept_with_a_reason() -> None:
    erased, retained = [entry.table for entry in ERASED], [entry.table for entry in RETAINED]
    assert len({*erased, *retained}) == len(erased) + len(retained)
    assert {*erased, *retained} == owned_by_accounts(), "give the new table an entry in db/erasure.py"
    assert all(entry.fields and entry.reason and entry.until for entry in RETAINED)


@pytest.mark.parametrize("entry", ERASED, ids=lambda entry: entry.name)
def test_what_is_erased_goes_by_epoch_and_before_what_it_refers_to(entry: Erased) -> None:
    table, order = TABLES[entry.table], [other.table for other in ERASED]
    assert "epoch" in table.columns
    for key in table.foreign_keys:
        if key.column.table.name in order:
            assert order.index(entry.table) < order.index(key.column.table.name)
