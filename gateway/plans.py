"""Plans of accounts: begun and ended by the operator, and the credits that they give each month."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from db import accounts, clawbacks
from db import plans as stored
from db.engine import Database, Session
from db.payment_tables import PlanTermRow
from db.plans import DueTerm
from domain.catalog import Catalog
from domain.errors import RequestInvalid
from domain.payments import Offers
from domain.plans import Standing, month_after
from domain.rounds import MaintenanceErrors, Round
from gateway.ids import new_id

BATCH = 500


@dataclass(frozen=True, slots=True)
class Changed:
    """What the start or the end of a plan has come to."""

    standing: Standing
    credits: int
    """Given at once."""
    repeated: bool
    """True if nothing has changed."""


async def start(
    session: Session,
    offers: Offers,
    account_id: UUID,
    name: str,
    *,
    until: datetime | Literal["same", "never"] = "same",
) -> Changed:
    """Begin a plan by the operator's hand, and give its first month at once.

    One that the account has by the operator's hand goes on with its months, with the new end; so does one that has
    ended within a month that it gave already. Any other of the operator's plans ends. `same` is the end of a plan that
    has not ended yet; for any other, and with `never`, there is no end.
    """
    stored.planned(offers, name)
    await stored.lock(session)
    await accounts.lock(session, account_id)
    now = datetime.now(UTC)
    if isinstance(until, datetime) and until <= now:
        raise RequestInvalid("The end of a plan must be in the future.", param="until")
    own = [row for row in await stored.rows(session, account_id) if row.payment_id is None]
    # What is overdue comes first: a month that nobody has given yet counts as given.
    credits = sum([await stored.give(session, row.id, offers, now) for row in own if row.plan in offers.plans])
    going_on = next((row for row in own if row.plan == name and _goes_on(row, now)), None)
    ends_at = until if isinstance(until, datetime) else None
    if until == "same" and going_on is not None and going_on.ends_at is not None and going_on.ends_at > now:
        ends_at = going_on.ends_at
    repeated = going_on is not None and going_on.ends_at == ends_at
    for row in own:
        if row is not going_on:
            await _end(session, row, offers, now)
    if going_on is None:
        row = PlanTermRow(id=new_id(), account_id=account_id, plan=name, begins_at=now, ends_at=ends_at)
        credits += await stored.begin(session, row, offers, now)
    elif not repeated:
        going_on.ends_at = ends_at
        session.add(going_on)
        await session.flush()
        credits += await stored.give(session, going_on.id, offers, now)
    return Changed(await stored.refresh(session, account_id, now), credits, repeated)


def _goes_on(row: PlanTermRow, now: datetime) -> bool:
    """Whether the term lasts, or its last month that was given."""
    if row.ends_at is None or row.ends_at > now:
        return True
    given_until = month_after(row.begins_at, row.months_given)
    return row.months_given > 0 and given_until > now


async def end(session: Session, offers: Offers, account_id: UUID, *, at: datetime | None = None) -> Changed:
    """End the account's plans that the operator has begun, now or at a time. What they have given stays.

    Raises `RequestInvalid` for a plan that was paid for: it ends with its subscription.
    """
    await stored.lock(session)
    await accounts.lock(session, account_id)
    now = datetime.now(UTC)
    rows = await stored.rows(session, account_id)
    ending = max(at or now, now)
    own = [row for row in rows if row.payment_id is None and (row.ends_at is None or row.ends_at > ending)]
    for row in own:
        await _end(session, row, offers, now, at=ending)
    standing = await stored.refresh(session, account_id, now)
    if not own and standing.active and (standing.until is None or standing.until > ending):
        raise RequestInvalid("This plan was paid for: it ends with its subscription. Cancel that at Stripe.")
    return Changed(standing, 0, not own)


async def _end(session: Session, row: PlanTermRow, offers: Offers, now: datetime, at: datetime | None = None) -> None:
    """Give what is due until now, and let the term end."""
    end = at or now
    if row.ends_at is not None and row.ends_at <= end:
        return
    if row.plan in offers.plans:
        await stored.give(session, row.id, offers, now)
    row.ends_at = max(end, row.begins_at)
    session.add(row)
    await session.flush()
    if row.plan in offers.plans:
        await stored.give(session, row.id, offers, now)


Cursor = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True)
class Batch:
    given: int
    """Terms that have given credits."""
    after: Cursor | None
    """Where the next batch begins. None: this was the last one."""


class PlanGrants:
    """Gives the months that are due, a batch of accounts after the other, each account by itself."""

    def __init__(
        self, database: Database, catalog: Callable[[], Catalog], errors: MaintenanceErrors, *, batch: int = BATCH
    ) -> None:
        self._database, self._catalog, self._errors, self._batch = database, catalog, errors, batch

    async def give(self, after: Cursor | None, now: datetime | None = None) -> Batch:
        """Give what is due to one batch of terms. Safe to do twice, and from many processes at once."""
        moment = now or datetime.now(UTC)
        async with self._database.reading() as session:
            terms = await stored.due(session, moment, after, self._batch)
        given = await self._round.run(terms, lambda term: self._give(term, moment))
        last = terms[-1] if len(terms) == self._batch else None
        return Batch(given, (last.at, last.id) if last else None)

    @property
    def _round(self) -> Round[DueTerm]:
        return Round(
            "grant_plans", lambda term: f"account {term.account_id}", lambda term: term.account_id, self._errors
        )

    async def _give(self, term: DueTerm, now: datetime) -> int:
        async with self._database.transaction() as session:
            await stored.lock(session)
            credits = await stored.give(session, term.id, self._catalog().offers, now)
        return 1 if credits else 0

    async def collect(self) -> int:
        """Take what accounts owe of payments that went back, as far as they have it. Returns how many have paid."""
        work: Round[UUID] = Round("collect_returned", lambda one: f"account {one}", lambda one: one, self._errors)
        paid, after = 0, None
        while True:
            async with self._database.reading() as session:
                owing = await clawbacks.owing(session, after, self._batch)
            paid += await work.run(owing, self._collect)
            if len(owing) < self._batch:
                return paid
            after = owing[-1]

    async def _collect(self, account_id: UUID) -> int:
        async with self._database.transaction() as session:
            await stored.lock(session)
            return 1 if await clawbacks.collect(session, account_id) else 0
