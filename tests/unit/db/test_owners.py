"""Accounts can lie in several databases: each row names its account, and no key needs the rows of another account."""

import pytest
from sqlalchemy import LargeBinary, PrimaryKeyConstraint, Table, UniqueConstraint, Uuid
from sqlmodel import SQLModel

import db.conversation_tables
import db.payment_tables
import db.people_tables
import db.purge_tables
import db.share_tables
import db.upload_tables
import db.visitor_tables
import db.webhook_tables  # noqa: F401  # they fill the metadata

TABLES = SQLModel.metadata.tables
OF_THE_INSTALLATION = {
    "audits": "results of audits",
    "pruned": "how far rows were deleted",
    "storage_scans": "how far the store was searched",
    "worker_faults": "what workers have met, of no account",
    "mailbox_keys": "the key of hashes of mailboxes",
    "receipt_keys": "keys that sign receipts",
    "throttles": "tries to sign in, of nobody yet",
    "free_tier_networks": "who had the free tier, of no account",
    "visitor_days": "visitors have no account",
    "visitor_counts": "visitors have no account",
    "payment_events": "events of Stripe that were handled, before their payment is known",
    "payment_charges": "money that went back, before its payment is known",
}
"""Tables without rows of accounts. Each database of several has its own."""
NAMED_OUTSIDE = {
    ("users", "email"): "who signs in is found by it",
    ("transactions", "ref"): "of the operator, or of a payment: it names its account, too",
    ("plan_terms", "payment_id"): "an id of Stripe, which names its customer",
    ("payments", "id"): "an id of Stripe, which names its customer",
    ("payment_customers", "id"): "an id of Stripe",
    ("payment_subscriptions", "id"): "an id of Stripe, which names its customer",
    ("purge_receipts", "number"): "receipts are numbered, in each database from 1",
}
"""Keys that are neither random nor have the account in them: other accounts' rows could have the same."""
OWNED = {name: table for name, table in TABLES.items() if name not in OF_THE_INSTALLATION and name != "accounts"}


def _keys(table: Table) -> set[tuple[str, ...]]:
    constraints = [it for it in table.constraints if isinstance(it, (UniqueConstraint, PrimaryKeyConstraint))]
    keys = {tuple(column.name for column in constraint.columns) for constraint in constraints}
    return keys | {tuple(column.name for column in index.columns) for index in table.indexes if index.unique}


def test_every_table_has_an_owner_or_a_reason() -> None:
    assert OF_THE_INSTALLATION.keys() <= TABLES.keys()
    assert [name for name in OF_THE_INSTALLATION if "account_id" in TABLES[name].columns] == []
    assert [name for name, table in OWNED.items() if "account_id" not in table.columns] == []


@pytest.mark.parametrize("name", OWNED)
def test_no_key_needs_the_rows_of_another_account(name: str) -> None:
    """Ids are random, secrets are hashed: what one database has, no other makes."""
    table = OWNED[name]
    for key in _keys(table):
        random = any(isinstance(table.columns[column].type, (Uuid, LargeBinary)) for column in key)
        assert "account_id" in key or random or (name, *key) in NAMED_OUTSIDE, key


@pytest.mark.parametrize("name", OWNED)
def test_what_a_row_refers_to_is_in_the_same_database(name: str) -> None:
    owned = {*OWNED, "accounts"}
    assert [key.target_fullname for key in OWNED[name].foreign_keys if key.column.table.name not in owned] == []


def test_no_exception_is_left_over() -> None:
    assert {(name, *key) for name, table in OWNED.items() for key in _keys(table)} >= NAMED_OUTSIDE.keys()
