"""The audit's check of triggers and constraints: it finds those that are gone, disabled or not enforced."""

from collections.abc import Iterator

from sqlalchemy import PrimaryKeyConstraint, UniqueConstraint
from sqlmodel import SQLModel

from db import (  # noqa: F401  # they fill the metadata
    media_tables,
    payment_tables,
    people_tables,
    purge_tables,
    share_tables,
    tables,
    upload_tables,
    visitor_tables,
    webhook_tables,
)

TRIGGERS = (
    *(("lines", "append_only"), ("lines", "exact"), ("transactions", "append_only"), ("transactions", "posted")),
    *(("api_key_secrets", "checksum"), ("data_keys", "checksum")),
)


def _constraints() -> Iterator[tuple[str, str]]:
    for table in SQLModel.metadata.sorted_tables:
        for constraint in table.constraints:
            if isinstance(constraint, PrimaryKeyConstraint):
                yield table.name, f"pk_{table.name}"
            elif not (isinstance(constraint, UniqueConstraint) and constraint.name is None):
                yield table.name, str(constraint.name)


def _indexes() -> Iterator[tuple[str, str]]:
    for table in SQLModel.metadata.sorted_tables:
        yield from ((table.name, str(index.name)) for index in table.indexes if index.unique)


def _rows(named: Iterator[tuple[str, str]]) -> str:
    return ", ".join(sorted(f"('{table}', '{name}')" for table, name in named))


GUARDS = {
    "guard_missing": f"""
        SELECT g.of, 'the trigger ' || g.name || ' is gone or disabled'
        FROM (VALUES {_rows(iter(TRIGGERS))}) AS g(of, name)
        WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = to_regclass('public.' || g.of)
                          AND t.tgname = g.name AND t.tgenabled IN ('O', 'A'))
        UNION ALL
        SELECT c.relname, 'a foreign key of it is disabled' FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE t.tgisinternal AND t.tgenabled NOT IN ('O', 'A') AND c.relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT g.of, 'the constraint ' || g.name || ' is gone or not enforced'
        FROM (VALUES {_rows(_constraints())}) AS g(of, name)
        WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = to_regclass('public.' || g.of)
                          AND c.conname = g.name AND c.convalidated AND c.conenforced)
        UNION ALL
        SELECT g.of, 'the unique index ' || g.name || ' is gone or not valid'
        FROM (VALUES {_rows(_indexes())}) AS g(of, name)
        WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = to_regclass('public.' || g.name)
                          AND i.indisunique AND i.indisvalid)
    """,  # noqa: S608  # our own names
}
