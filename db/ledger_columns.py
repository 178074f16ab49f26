"""The names of the columns that `lock_batch` returns, read from `db/functions.sql` in its order.

The import fails if the functions and the fields of the rules have different columns.
"""

import re
from dataclasses import fields
from pathlib import Path

from domain.holds import Hold
from domain.ledger import Account, Key
from domain.limits import Used

FUNCTIONS = Path(__file__).with_name("functions.sql")


def _names(columns: str) -> tuple[str, ...]:
    return tuple(column.strip().split("::")[0] for column in columns.split(","))


def columns_of(rows: str, sql: str) -> tuple[str, ...]:
    """Return the names of the columns of `rows`, in the order of the arrays in `sql`."""
    functions = sql.partition("FUNCTION lock_batch")[2].partition("END $$;")[0]
    for columns, target in re.findall(
        r"json_agg\(json_build_array\(([\w\s,:]+)\)\).*?INTO (\w+)", functions, re.DOTALL
    ):
        if target == f"{rows}_":
            return _names(columns)
    raise LookupError(rows)


def placed(sql: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns of a new hold in `write_batch`: those it writes, and those it reads."""
    match = re.search(r"INSERT INTO holds \(([^)]+)\)\s+SELECT\s+([\w\s,]+?)\s+FROM", sql)
    if match is None:
        raise LookupError("holds")
    return _names(match[1]), _names(match[2])


def field_names(kind: type) -> frozenset[str]:
    return frozenset(field.name for field in fields(kind))


def check(sql: str) -> None:
    """Raises `ValueError` if the functions and the rules have different columns."""
    key = field_names(Key) - {"used"} | field_names(Used)
    kinds = {"accounts": field_names(Account), "keys": key, "holds": field_names(Hold)}
    for rows, names in kinds.items():
        columns = columns_of(rows, sql)
        if len(set(columns)) != len(columns) or set(columns) != names:
            raise ValueError(f"lock_batch and the rules differ in the columns of {rows}: {set(columns) ^ names}")
    into, values = placed(sql)
    if into != values or set(into) != kinds["holds"]:
        raise ValueError(f"write_batch and the rules differ in the columns of holds: {set(into) ^ kinds['holds']}")


_SQL = FUNCTIONS.read_text("utf-8")
check(_SQL)
ACCOUNT, KEY, HOLD = columns_of("accounts", _SQL), columns_of("keys", _SQL), columns_of("holds", _SQL)
