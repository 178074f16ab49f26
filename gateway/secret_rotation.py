"""Rotates the master secret: wraps anew what older ones have wrapped, and counts what each of them still opens.

It works beside API and worker processes, with the old secret or the new one, and beside purges and new accounts. Each
batch is a transaction; a rotation that was killed continues where it was, since what is done is not found again.
"""

import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from db import wrapped_rows
from db.engine import Database
from db.wrapped_rows import WRAPPED, Key, WrappedRow, WrappedTable
from domain.sealing import NONCE_BYTES, SealBroken, Wrapping
from domain.secrets import Secrets

BATCH = 500
READ = 5000
"""Rows that are read at a time where few or none are written."""
MAX_PASSES = 20
"""A process that still wraps with an old secret could keep a rotation going for ever."""
Report = Callable[[str, int], None]
"""Is called after each batch: with the table, and how many rows of it were wrapped anew."""


@dataclass(frozen=True, slots=True)
class Opened:
    """How many rows of a table each secret opens: the current one, the previous ones in their order, none of them."""

    table: str
    current: int
    previous: tuple[int, ...]
    unknown: int


@dataclass(frozen=True, slots=True)
class SecretRotation:
    database: Database
    secrets: Secrets

    async def rotate(self, report: Report, *, batch: int = BATCH) -> None:
        """Wrap every row that an older secret opens with the current one.

        The last pass believes no row's word for it, and opens them all.
        """
        for table in WRAPPED:
            for _ in range(MAX_PASSES):
                if not await self._pass(table, report, batch, trusting=True):
                    break
            await self._pass(table, report, READ, trusting=False)

    async def status(self) -> tuple[Opened, ...]:
        """Open every row, whatever it says of itself."""
        return tuple([await self._status(table) for table in WRAPPED])

    async def _pass(self, table: WrappedTable, report: Report, size: int, *, trusting: bool) -> int:
        wrapping, done = self._wrapping(table), 0
        async for rows in self._batches(table, size, but=wrapping.current_id if trusting else None):
            rewrapped = [(row, becomes) for row in rows if (becomes := _rewrapped(wrapping, table, row)) is not None]
            if rewrapped:
                async with self.database.transaction() as session:
                    changed = await wrapped_rows.change(session, table, rewrapped, wrapping.current_id)
                if changed:  # else another rotation was faster
                    report(table.name, changed)
                done += changed
        return done

    async def _status(self, table: WrappedTable) -> Opened:
        wrapping, counts = self._wrapping(table), Counter[int | None]()
        async for rows in self._batches(table, READ):
            counts.update(_opener(wrapping, table, row) for row in rows)
        previous = tuple(counts[number] for number in range(1, len(wrapping.keys)))
        return Opened(table.name, counts[0], previous, counts[None])

    async def _batches(
        self, table: WrappedTable, size: int, *, but: str | None = None
    ) -> AsyncIterator[list[WrappedRow]]:
        position: Key | None = None
        while True:
            async with self.database.reading() as session:
                rows = list(await wrapped_rows.after(session, table, position, size, but=but))
            if not rows:
                return
            yield rows
            position = rows[-1].key

    def _wrapping(self, table: WrappedTable) -> Wrapping:
        return Wrapping(table.keys(self.secrets).every)


def _opener(wrapping: Wrapping, table: WrappedTable, row: WrappedRow) -> int | None:
    try:
        return wrapping.opener(row.wrapped, aad=table.aad(*row.key))
    except SealBroken:
        return None


def _rewrapped(wrapping: Wrapping, table: WrappedTable, row: WrappedRow) -> bytes | None:
    """None if the row is as it should be, or if no secret opens it."""
    opener, aad = _opener(wrapping, table, row), table.aad(*row.key)
    if opener is None or (opener == 0 and row.wrapped_by == wrapping.current_id):
        return None
    return wrapping.wrap(wrapping.unwrap(row.wrapped, aad=aad), aad=aad, nonce=os.urandom(NONCE_BYTES))
