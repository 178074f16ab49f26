"""Purges and their steps in PostgreSQL. Functions of `db/functions.sql` erase; these call them, and count.

Each function that takes a session is part of its caller's transaction.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from sqlalchemy import func, text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import erasure
from db.engine import Reader
from db.erasure import Extent
from db.media_tables import MediaJobRow
from db.purge_tables import PurgeReceiptRow, PurgeRow, RollUpRow
from db.tables import HoldRow
from domain.errors import NotFound
from domain.holds import HoldState
from domain.media import State
from domain.purges import PurgeKey

MAX_LISTED = 100
STEPS = ("accepted", "cut", "keys", "objects", "rows", "ledger")
"""In their order."""
_COLUMNS = ("id", "part", "part_id", "sessions", "step", "requested_at", "completed_at", "found", "erased")
_LISTED: LiteralString = f"""
SELECT {", ".join(f"p.{name}" for name in _COLUMNS)}, CASE WHEN p.completed_at IS NOT NULL THEN r.body END
FROM purges p LEFT JOIN purge_receipts r ON r.purge_id = p.id
WHERE p.account_id = %(account_id)s ORDER BY p.requested_at DESC LIMIT %(limit)s
"""  # noqa: S608  # our own text


async def begin(session: AsyncSession, purge: PurgeRow) -> int:
    """Write the row, and begin a new epoch for a purge of everything. Return the account's epoch.

    The caller has locked the account.
    """
    values = {"id": purge.id, "account": purge.account_id, "part": purge.part, "part_id": purge.part_id}
    begun = text("SELECT begin_purge(:id, :account, :part, :part_id, :sessions)")
    epoch = (await (await session.connection()).execute(begun, {**values, "sessions": purge.sessions})).scalar_one()
    return int(epoch)


async def find(session: AsyncSession, purge_id: UUID, account_id: UUID | None = None) -> PurgeRow:
    """Raises `NotFound`, also for another account's."""
    row = await session.get(PurgeRow, purge_id)
    if row is None or account_id not in (None, row.account_id):
        raise NotFound("There is no such purge in this account.")
    return row


async def running(session: AsyncSession, account_id: UUID, part: str, part_id: str) -> PurgeRow | None:
    same = select(PurgeRow).where(PurgeRow.account_id == account_id, PurgeRow.part == part, PurgeRow.part_id == part_id)
    return (await session.exec(same.where(col(PurgeRow.completed_at).is_(None)))).one_or_none()


async def listed(reader: Reader, account_id: UUID) -> list[dict[str, Any]]:
    """Return the newest purges of an account, each with its receipt: all of one moment."""
    rows = await reader.rows(_LISTED, {"account_id": account_id, "limit": MAX_LISTED})
    return [dict(zip((*_COLUMNS, "receipt"), row, strict=True)) for row in rows]


async def of_all(session: AsyncSession, account_id: UUID | None, limit: int) -> Sequence[PurgeRow]:
    """Those that run, the oldest first; then the completed ones, the newest first."""
    query = select(PurgeRow) if account_id is None else select(PurgeRow).where(PurgeRow.account_id == account_id)
    completed = col(PurgeRow.completed_at)
    order = (completed.is_not(None), completed.desc(), col(PurgeRow.requested_at))
    return (await session.exec(query.order_by(*order).limit(limit))).all()


async def waiting(session: AsyncSession, older_than: timedelta, limit: int) -> list[PurgeKey]:
    """Purges that are not complete: their workflow may be lost, or was never started. Accounts in turn."""
    old = col(PurgeRow.requested_at) < datetime.now(UTC) - older_than
    turn = func.row_number().over(partition_by=col(PurgeRow.account_id), order_by=func.random())
    query = select(PurgeRow.id, PurgeRow.account_id).where(col(PurgeRow.completed_at).is_(None), old)
    return [PurgeKey(*row) for row in await session.exec(query.order_by(turn, func.random()).limit(limit))]


async def earlier(session: AsyncSession, purge: PurgeRow) -> Sequence[UUID]:
    """Completed purges of the account: their workflows' histories are erased too."""
    query = select(PurgeRow.id).where(PurgeRow.account_id == purge.account_id)
    return (await session.exec(query.where(col(PurgeRow.completed_at).is_not(None)))).all()


def extent(row: PurgeRow) -> Extent:
    return Extent(row.account_id, row.epoch, row.part or None, row.part_id or None, row.id)


async def receipt(session: AsyncSession, purge_id: UUID) -> dict[str, Any] | None:
    query = select(PurgeReceiptRow.body).where(PurgeReceiptRow.purge_id == purge_id)
    body = (await session.exec(query)).one_or_none()
    return None if body is None else dict(body)


_NOTE = """
UPDATE purges SET erased = meters_sum(erased, CAST(:erased AS jsonb)),
    step = CASE WHEN further THEN :step ELSE step END,
    progressed_at = CASE WHEN further OR :moved THEN now() ELSE progressed_at END
FROM (SELECT array_position(CAST(:steps AS text[]), step) < array_position(CAST(:steps AS text[]), :step) AS further
      FROM purges WHERE id = :id) stands
WHERE id = :id AND completed_at IS NULL
"""


async def note(session: AsyncSession, purge_id: UUID, step: str, **erased: int) -> None:
    """Show the step if it is a new one, and add what a batch erased. One statement, so that several count once each."""
    counts = "{" + ", ".join(f'"{name}": {number}' for name, number in erased.items()) + "}"
    values = {"id": purge_id, "step": step, "steps": list(STEPS), "erased": counts, "moved": bool(erased)}
    await (await session.connection()).execute(text(_NOTE), values)


async def note_progress(session: AsyncSession, purge_id: UUID) -> None:
    """Note that something was erased that is not counted."""
    statement = text("UPDATE purges SET progressed_at = now() WHERE id = :id AND completed_at IS NULL")
    await (await session.connection()).execute(statement, {"id": purge_id})


def _older(purge: PurgeRow, part: str) -> list[Any]:
    row: Any = MediaJobRow if part == "job" else HoldRow
    own = [row.account_id == purge.account_id]
    return own + ([row.epoch < purge.epoch] if not purge.part else [row.id == UUID(purge.part_id)])


async def open_holds(session: AsyncSession, purge: PurgeRow) -> Sequence[UUID]:
    """Calls that the purge ends, and that have not ended. Of a partial purge: its job's."""
    if purge.part not in ("", "job"):
        return []
    query = select(HoldRow.id).where(*_older(purge, "hold"), HoldRow.state == HoldState.OPEN)
    return (await session.exec(query)).all()


async def unfinished_jobs(session: AsyncSession, purge: PurgeRow) -> Sequence[UUID]:
    if purge.part not in ("", "job"):
        return []
    unfinished = col(MediaJobRow.state).in_([State.QUEUED, State.RUNNING])
    return (await session.exec(select(MediaJobRow.id).where(*_older(purge, "job"), unfinished))).all()


async def cancel(session: AsyncSession, jobs: Sequence[UUID]) -> None:
    """Write the wish to cancel into their rows: nobody submits them any more, however late their workflows learn it."""
    unwritten = col(MediaJobRow.cancel_requested_at).is_(None)
    await session.exec(
        update(MediaJobRow).where(col(MediaJobRow.id).in_(jobs), unwritten).values(cancel_requested_at=func.now())
    )


async def lately_ended(session: AsyncSession, purge: PurgeRow, before: timedelta) -> Sequence[UUID]:
    """Return the jobs that ended since the purge began, or up to so long before."""
    assert purge.requested_at is not None  # noqa: S101  # the database has set it
    ended = col(MediaJobRow.finished_at) > purge.requested_at - before
    return (await session.exec(select(MediaJobRow.id).where(*_older(purge, "job"), ended))).all()


async def jobs(session: AsyncSession, purge: PurgeRow, after: UUID | None, limit: int) -> Sequence[UUID]:
    """The next media jobs to erase, in the order of their ids."""
    if purge.part not in ("", "job"):
        return []
    query = select(MediaJobRow.id).where(*_older(purge, "job"))
    if after is not None:
        query = query.where(col(MediaJobRow.id) > after)
    return (await session.exec(query.order_by(col(MediaJobRow.id)).limit(limit))).all()


async def newer_jobs(session: AsyncSession, purge: PurgeRow, ids: Sequence[UUID]) -> set[UUID]:
    """Return those of the jobs that the purge does not erase."""
    query = select(MediaJobRow.id).where(col(MediaJobRow.id).in_(ids), MediaJobRow.account_id == purge.account_id)
    return set((await session.exec(query.where(MediaJobRow.epoch >= purge.epoch))).all())


async def call(session: AsyncSession, function: str, purge_id: UUID, *, batch: int | None = None) -> int | None:
    """Run one batch of `shred_keys`, `hash_references` or `roll_up`."""
    arguments = ":purge" if batch is None else f":purge, {batch}"
    statement = text(f"SELECT {function}({arguments})")  # our own names
    done = (await (await session.connection()).execute(statement, {"purge": purge_id})).scalar_one()
    return None if done is None else int(done)


_LEFT = """
SELECT (SELECT count(*) FROM data_keys WHERE account_id = :account AND epoch < :epoch AND wrapped IS NOT NULL),
       (SELECT count(*) FROM transactions t JOIN holds h ON h.id = t.hold_id
        WHERE t.account_id = :account AND h.epoch < :epoch),
       (SELECT count(*) FROM holds WHERE account_id = :account AND epoch < :epoch AND state = 'open')
       + (SELECT count(*) FROM holds WHERE account_id = :account AND epoch < :epoch AND state = 'void' AND amount = 0)
"""


async def left_of_everything(session: AsyncSession, purge: PurgeRow) -> dict[str, int]:
    """Count what is not a row of a table in `db/erasure.py`: keys that open, movements, and calls without movements.

    Those are open, or were never placed.
    """
    values = {"account": purge.account_id, "epoch": purge.epoch}
    row = (await (await session.connection()).execute(text(_LEFT), values)).one()
    return dict(zip(("data_keys", "movements", "calls"), map(int, row), strict=True))


async def left(session: AsyncSession, purge: PurgeRow) -> dict[str, int]:
    """Count what PostgreSQL has left to erase, without what is none."""
    counts = await erasure.count(session, extent(purge))
    if purge.part:
        counts["calls"] = len(await open_holds(session, purge))
    else:
        counts |= await left_of_everything(session, purge)
    return {name: number for name, number in counts.items() if number}


_BALANCE = """
SELECT coalesce(sum(l.amount), 0) FROM transactions t JOIN lines l ON l.transaction_id = t.id
WHERE t.account_id = :account AND l.account_id = :account AND t.hold_id IS NULL
    AND (t.position <= :movements OR t.ref = :ref)
"""


async def rolled_up(session: AsyncSession, purge: PurgeRow) -> tuple[RollUpRow | None, int]:
    """Return what the ledger rolled up, and what the kept movements from before the purge sum to."""
    row = await session.get(RollUpRow, purge.id)
    values = {"account": purge.account_id, "movements": purge.movements, "ref": f"purge:{purge.id}"}
    balance = (await (await session.connection()).execute(text(_BALANCE), values)).scalar_one()
    return row, int(balance)


async def complete(session: AsyncSession, purge: PurgeRow, at: datetime) -> None:
    purge.completed_at, purge.step = at, "completed"
    session.add(purge)
    await session.flush()
