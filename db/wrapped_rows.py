"""What the master secret itself encrypts at rest: rows that a rotation wraps anew. `WRAPPED` lists every table of them.

A row is `wrapped`, and `wrapped_by` names the key that did it. A function of the database changes both, as long as the
row is what was opened: a row that somebody destroys meanwhile stays destroyed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from db.data_keys import wrapping_aad
from db.visitors import day_aad
from domain.secrets import DerivedKeys, Purpose, Secrets

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class WrappedTable:
    """A table with rows that a key derived from the master secret encrypts."""

    name: str
    keys: Callable[[Secrets], DerivedKeys]
    key: tuple[tuple[str, str], ...] = field(repr=False)
    """The columns of its primary key, and their types."""
    aad: Callable[..., str]
    """What a row is bound to, from the values of `key`."""
    rewrap: str
    """The function of the database that changes rows: given their keys, old and new bytes, and who wrapped them."""


@dataclass(frozen=True, slots=True, repr=False)
class WrappedRow:
    key: Key = field(repr=False)
    wrapped: bytes = field(repr=False)
    wrapped_by: str | None


def _data_keys(secrets: Secrets) -> DerivedKeys:
    return secrets.derive(Purpose.DATA_KEYS)


WRAPPED = (
    WrappedTable(
        name="data_keys",
        keys=_data_keys,
        key=(("account_id", "uuid"), ("epoch", "bigint")),
        aad=wrapping_aad,
        rewrap="rewrap_data_keys",
    ),
    WrappedTable(
        name="mailbox_keys",
        keys=_data_keys,
        key=(("id", "smallint"),),
        aad=lambda number: f"mailbox_keys|{number}",
        rewrap="rewrap_mailbox_keys",
    ),
    WrappedTable(
        name="receipt_keys",
        keys=_data_keys,
        key=(("kid", "text"),),
        aad=lambda kid: f"receipt_keys|{kid}",
        rewrap="rewrap_receipt_keys",
    ),
    WrappedTable(
        name="visitor_days",
        keys=_data_keys,
        key=(("day", "date"),),
        aad=day_aad,
        rewrap="rewrap_visitor_days",
    ),
)


async def after(
    session: AsyncSession, table: WrappedTable, position: Key | None, limit: int, *, but: str | None = None
) -> Sequence[WrappedRow]:
    """The next rows in the order of their keys; without those that the key `but` wraps, if it is given."""
    names = ", ".join(name for name, _ in table.key)
    values: dict[str, Any] = {"limit": limit, "but": but}
    where = "wrapped IS NOT NULL AND (CAST(:but AS text) IS NULL OR wrapped_by IS DISTINCT FROM :but)"
    if position is not None:
        last = ", ".join(f"CAST(:k{number} AS {kind})" for number, (_, kind) in enumerate(table.key))
        where += f" AND ({names}) > ({last})"
        values |= {f"k{number}": value for number, value in enumerate(position)}
    query = f"SELECT wrapped, wrapped_by, {names} FROM {table.name} WHERE {where} ORDER BY {names} LIMIT :limit"  # noqa: S608
    rows = await (await session.connection()).execute(text(query), values)
    return [WrappedRow(tuple(key), bytes(wrapped), wrapped_by) for wrapped, wrapped_by, *key in rows]


async def change(
    session: AsyncSession, table: WrappedTable, rows: Sequence[tuple[WrappedRow, bytes]], wrapped_by: str
) -> int:
    """Write the new bytes of each row that is still as it was read. Return how many there were."""
    values: dict[str, Any] = {"by": wrapped_by}
    values |= {f"k{number}": [row.key[number] for row, _ in rows] for number in range(len(table.key))}
    values |= {"was": [row.wrapped for row, _ in rows], "becomes": [becomes for _, becomes in rows]}
    keys = ", ".join(f"CAST(:k{number} AS {kind}[])" for number, (_, kind) in enumerate(table.key))
    call = f"SELECT {table.rewrap}({keys}, CAST(:was AS bytea[]), CAST(:becomes AS bytea[]), :by)"
    return int((await (await session.connection()).execute(text(call), values)).scalar_one())
