"""Reads charges, receipts and statements for their owner.

A statement is paged by the positions of movements: those of an account commit in order, whatever the clocks say.

Calls that a purge erases are left out from when it begins: only what moved stays, in the statement.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import inspect, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.engine import Database, InSession, Reader
from db.pages import Page, Period, Span
from db.tables import ApiKeyRow, HoldRow, UsageRow
from domain import pricing
from domain.errors import NotFound
from domain.holds import Hold, HoldState
from domain.ledger import TransactionKind
from domain.pricing import Usage
from domain.receipts import Movement, Receipt

_HOLD, _USAGE = TypeAdapter(Hold), TypeAdapter(Usage)
_MOVEMENTS = TypeAdapter(tuple[Movement, ...])
_HOLD_NAMES, _USAGE_NAMES = ([column.name for column in inspect(row).columns] for row in (HoldRow, UsageRow))
# Statements are texts: SQLAlchemy takes longer to build one than PostgreSQL takes to answer it.
_COLUMNS = ", ".join((*(f"h.{name}" for name in _HOLD_NAMES), *(f"u.{name}" for name in _USAGE_NAMES)))
# One statement, so that hold and transactions are of one moment. Each half matches a partial index.
_RECEIPT = f"""
SELECT {_COLUMNS}, (
    SELECT coalesce(jsonb_agg(to_jsonb(t) || jsonb_build_object('lines', (
        SELECT jsonb_agg(to_jsonb(l) ORDER BY l.book) FROM lines l WHERE l.transaction_id = t.id
    )) ORDER BY t.position), '[]')
    FROM transactions t WHERE (t.hold_id = h.id AND t.kind <> 'extend') OR (t.hold_id = h.id AND t.kind = 'extend'))
FROM holds h LEFT JOIN usage u ON u.hold_id = h.id
WHERE h.id = %(hold_id)s AND h.account_id = %(account_id)s
  AND h.epoch >= (SELECT epoch FROM accounts WHERE id = %(account_id)s)
"""  # noqa: S608  # our own text
_FORGOTTEN = """
SELECT account_id FROM transactions t
WHERE t.hold_id = %(hold_id)s AND t.kind = 'hold' AND NOT EXISTS (SELECT FROM holds WHERE id = t.hold_id)
"""
_POSITION = """coalesce((
    SELECT t.position FROM transactions t WHERE t.account_id = a.id AND t.created_at >= {at}
    ORDER BY t.created_at, t.position LIMIT 1), a.movements + 1)"""
"""The position of the first movement that is not earlier. Times follow positions: later positions are not earlier."""
_FENCE = "(SELECT coalesce(max(movements), 0) FROM purges WHERE account_id = a.id AND part = '')"
"""Calls before it belong to older epochs."""
_FIRST = f"CASE WHEN CAST(%(since)s AS timestamptz) IS NULL THEN 1 ELSE {_POSITION.format(at='%(since)s')} END"
_BEFORE = f"{_POSITION.format(at='%(until)s')} - 1"
_LAST = f"CASE WHEN CAST(%(until)s AS timestamptz) IS NULL THEN a.movements ELSE {_BEFORE} END"
_SPAN = f"SELECT {_FIRST}, {_LAST} FROM accounts a WHERE a.id = %(account_id)s"  # noqa: S608  # our own text
_CHARGES = f"""
WITH span AS (
    SELECT greatest({_FIRST}, {_FENCE} + 1) AS first, least({_LAST}, CAST(%(after)s AS bigint) - 1) AS last
    FROM accounts a WHERE a.id = %(account_id)s
)
SELECT {_COLUMNS}, k.name, t.position
FROM transactions t
JOIN holds h ON h.id = t.hold_id
LEFT JOIN usage u ON u.hold_id = h.id
LEFT JOIN api_keys k ON k.id = h.key_id AND k.account_id = %(account_id)s
WHERE t.account_id = %(account_id)s AND t.kind = 'hold'
  AND t.position BETWEEN (SELECT first FROM span) AND (SELECT last FROM span)
  AND (CAST(%(model)s AS text) IS NULL OR h.model = %(model)s)
  AND (CAST(%(key_id)s AS uuid) IS NULL OR h.key_id = %(key_id)s)
ORDER BY t.position DESC LIMIT %(limit)s
"""  # noqa: S608  # our own text
# From the next balance that is noted, or the present one, back to the position. `OFFSET 0` has the lines looked up by
# their transaction: the planner cannot know how few those are.
_BALANCES = """
SELECT b.available - coalesce(sum(l.amount) FILTER (WHERE l.book = 'available'), 0),
       b.held - coalesce(sum(l.amount) FILTER (WHERE l.book = 'held'), 0)
FROM unnest(CAST(:positions AS bigint[])) WITH ORDINALITY AS wanted(position, number)
CROSS JOIN LATERAL (
    (SELECT position, available, held FROM running_balances
     WHERE account_id = :account_id AND position >= wanted.position ORDER BY position LIMIT 1)
    UNION ALL (SELECT movements, available, held FROM accounts WHERE id = :account_id)
    ORDER BY position LIMIT 1
) b
LEFT JOIN transactions t ON t.account_id = :account_id AND t.position > wanted.position AND t.position <= b.position
LEFT JOIN LATERAL (
    SELECT book, amount FROM lines WHERE transaction_id = t.id AND account_id = :account_id OFFSET 0
) l ON true
GROUP BY wanted.number, b.available, b.held ORDER BY wanted.number
"""
# If the lock is free, every later movement is later than now. If not, the movement in progress is later than the last.
_CERTAIN = "SELECT clock_timestamp() FROM accounts WHERE id = :account_id FOR KEY SHARE SKIP LOCKED"
_CERTAIN_WHILE_LOCKED = """
SELECT greatest(moved_at + interval '1 microsecond', clock_timestamp() - :longest) FROM accounts WHERE id = :account_id
"""
_MOVED = f"""
SELECT t.id, t.position, t.created_at, t.kind, t.note, t.hold_id, available.amount, held.amount,
       {", ".join(f"h.{name}" for name in _HOLD_NAMES)}
FROM transactions t
LEFT JOIN holds h ON h.id = t.hold_id AND h.epoch >= (SELECT epoch FROM accounts WHERE id = :account_id)
LEFT JOIN lines available ON available.transaction_id = t.id AND available.book = 'available'
LEFT JOIN lines held ON held.transaction_id = t.id AND held.book = 'held'
WHERE t.account_id = :account_id AND t.position BETWEEN :first AND :last
ORDER BY t.position LIMIT :limit
"""  # noqa: S608  # our own text
MAX_MOVEMENT_TIME = timedelta(minutes=5)
"""Longer than any transaction can last after it has moved credits: the connections' timeouts end it."""


@dataclass(frozen=True, slots=True)
class Charge:
    """A call or job in a list."""

    position: int
    hold: Hold
    usage: Usage | None
    key_name: str | None = field(repr=False)
    """Of a key that is revoked too."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filter of a list of charges."""

    period: Period
    model: str | None = None
    key_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Balances:
    available: int
    held: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What all pages of a statement share: its period, its movements, and the balances before and after them."""

    since: datetime
    until: datetime
    span: Span
    opening: Balances
    closing: Balances


@dataclass(frozen=True, slots=True)
class Entry:
    """A movement of an account's credits, as its statement lists it."""

    id: UUID
    position: int
    created_at: datetime
    kind: TransactionKind
    note: str | None = field(repr=False)
    hold_id: UUID | None
    hold: Hold | None
    """None if the movement belongs to no call or job, or if its details are no longer stored, or are being erased."""
    available: int
    held: int


async def receipt(reader: Reader, account_id: UUID, hold_id: UUID) -> Receipt:
    """Return the receipt of a charge. Raises `NotFound`, also for another account's charge."""
    rows = await reader.rows(_RECEIPT, {"hold_id": hold_id, "account_id": account_id})
    if not rows:
        await raise_missing(reader, hold_id, account_id)
    hold, usage = _read(rows[0])
    return Receipt(hold, usage, _MOVEMENTS.validate_python(rows[0][-1]))


async def raise_missing(reader: Reader, hold_id: UUID, account_id: UUID | None = None) -> NoReturn:
    """Raises `NotFound` that tells whether the charge never existed (in that account), or its details were deleted."""
    owners = await reader.rows(_FORGOTTEN, {"hold_id": hold_id})
    if not owners or account_id not in (None, owners[0][0]):
        raise NotFound("There is no such charge.")
    raise NotFound("This charge is so old that its details are no longer kept. What it moved is in the statement.")


async def charges(reader: Reader, account_id: UUID, wanted: Wanted, page: Page) -> list[Charge]:
    """Return charges, newest first by when the credits were held. One more than the limit if there is a next page."""
    values = {
        "account_id": account_id,
        "since": wanted.period.since,
        "until": wanted.period.until,
        "after": page.after,
        "model": wanted.model,
        "key_id": wanted.key_id,
        "limit": page.limit + 1,
    }
    return [_charge(row) for row in await reader.rows(_CHARGES, values)]


async def certain_until(database: Database, account_id: UUID) -> datetime:
    """Return the time before which no movement can be added any more. Call it before the statement's snapshot.

    It waits for no lock: while a movement is being written, it returns the time just after the last committed one.
    """
    async with database.transaction() as session:
        connection = await session.connection()
        certain = (await connection.execute(text(_CERTAIN), {"account_id": account_id})).scalar_one_or_none()
        if certain is None:
            values = {"account_id": account_id, "longest": MAX_MOVEMENT_TIME}
            certain = (await connection.execute(text(_CERTAIN_WHILE_LOCKED), values)).scalar_one()
    assert isinstance(certain, datetime)  # noqa: S101
    return certain


async def open_statement(session: AsyncSession, account_id: UUID, period: Period, certain: datetime) -> Opened:
    """Open a statement of the movements from `period.since` to the period's end, or to `certain` if that is earlier."""
    since = period.since or datetime.min.replace(tzinfo=UTC)
    until = max(since, min(period.until or certain, certain))
    span = await _span(session, account_id, Period(period.since, until))
    opening, closing = await balances(session, account_id, span)
    return Opened(since, until, span, opening, closing)


async def balances(session: AsyncSession, account_id: UUID, span: Span) -> tuple[Balances, Balances]:
    """Return the balances before and after these movements."""
    values = {"account_id": account_id, "positions": [span.first - 1, span.last]}
    rows = (await (await session.connection()).execute(text(_BALANCES), values)).all()
    opening, closing = (Balances(int(available), int(held)) for available, held in rows)
    return opening, closing


async def movements(session: AsyncSession, account_id: UUID, span: Span, page: Page) -> list[Entry]:
    """Return movements, oldest first. One more than the limit if there is a next page."""
    first = span.first if page.after is None else page.after + 1
    values = {"account_id": account_id, "first": first, "last": span.last, "limit": page.limit + 1}
    rows: Sequence[Any] = (await (await session.connection()).execute(text(_MOVED), values)).all()
    return [
        Entry(
            id=movement_id,
            position=position,
            created_at=created_at,
            kind=TransactionKind(kind),
            note=note,
            hold_id=hold_id,
            hold=_HOLD.validate_python(dict(zip(_HOLD_NAMES, hold, strict=True))) if hold[0] else None,
            available=available or 0,
            held=held or 0,
        )
        for movement_id, position, created_at, kind, note, hold_id, available, held, *hold in rows
    ]


async def _span(session: AsyncSession, account_id: UUID, period: Period) -> Span:
    """Return the movements of a period."""
    values = {"account_id": account_id, "since": period.since, "until": period.until}
    ((first, last),) = await InSession(session).rows(_SPAN, values)
    return Span(int(first), int(last))


async def key_names(session: AsyncSession, account_id: UUID, only: Collection[UUID]) -> dict[UUID, str]:
    """Return the names of these keys of the account, revoked ones included."""
    query = select(ApiKeyRow.id, ApiKeyRow.name).where(ApiKeyRow.account_id == account_id)
    query = query.where(col(ApiKeyRow.id).in_(only))
    return {row[0]: row[1] for row in await session.exec(query)}


async def in_flight(session: AsyncSession, account_id: UUID | None, limit: int) -> list[Hold]:
    """Return open holds, oldest first, of one account or of all."""
    query = select(HoldRow).where(HoldRow.state == HoldState.OPEN)
    if account_id is not None:
        query = query.where(HoldRow.account_id == account_id)
    query = query.order_by(col(HoldRow.created_at), col(HoldRow.id)).limit(limit)
    return [_hold(row) for row in await session.exec(query)]


def _hold(row: HoldRow) -> Hold:
    return _HOLD.validate_python(row.model_dump())


def _read(row: Sequence[Any]) -> tuple[Hold, Usage | None]:
    """Read `_COLUMNS`. SQLAlchemy's objects would cost more than all else of a list."""
    hold = dict(zip(_HOLD_NAMES, row, strict=False))
    usage = dict(zip(_USAGE_NAMES, row[len(_HOLD_NAMES) :], strict=False))
    used = _USAGE.validate_python(usage | pricing.parts(usage["meters"])) if usage["hold_id"] else None
    return _HOLD.validate_python(hold), used


def _charge(row: Sequence[Any]) -> Charge:
    return Charge(row[-1], *_read(row), row[-2])
