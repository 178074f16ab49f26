"""Counts what an operator looks at first: accounts, media jobs, deliveries of webhooks."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain import ids
from domain.media import Kind, State

RECENT = timedelta(days=1)
"""Jobs and deliveries that were made within this time count as recent. Their ids sort by time."""

_ACCOUNTS = """
SELECT count(*), count(*) FILTER (WHERE suspended_at IS NOT NULL), count(*) FILTER (WHERE available <= 0),
       coalesce(sum(available), 0), coalesce(sum(held), 0) FROM accounts
"""
LATELY = timedelta(hours=1)
"""Recent jobs that ended within this time say how jobs fare now."""
_JOBS = """
SELECT kind, state, provider, error ->> 'code', count(*), count(*) FILTER (WHERE finished_at > now() - :lately)
FROM media_jobs WHERE id >= :first GROUP BY 1, 2, 3, 4
"""
_AT_ROUTES = """
SELECT provider, model, error ->> 'code', count(*) FROM media_jobs
WHERE id >= :first AND state IN ('running', 'succeeded', 'failed') GROUP BY 1, 2, 3
"""
_DELIVERIES = """
SELECT (SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'),
       (SELECT count(*) FROM webhook_deliveries WHERE state = 'pending' AND next_attempt_at < now()),
       (SELECT coalesce(now() - min(next_attempt_at), interval '0') FROM webhook_deliveries
        WHERE state = 'pending' AND next_attempt_at < now()),
       (SELECT count(*) FROM webhook_deliveries WHERE state = 'failed' AND id >= :first),
       (SELECT count(*) FROM webhook_endpoints WHERE NOT enabled AND disabled_reason IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How jobs have ended lately."""

    kind: Kind
    provider: str
    """As in the catalog."""
    end: str
    """The code of its error, or else the state."""


@dataclass(frozen=True, slots=True)
class RecentJobs:
    by_kind: Mapping[Kind, Mapping[State, int]]
    """Also where there are none."""
    ended: Mapping[Ended, int]


@dataclass(frozen=True, slots=True)
class AccountFigures:
    number: int
    suspended: int
    without_credits: int
    available: int
    held: int


@dataclass(frozen=True, slots=True)
class DeliveryFigures:
    pending: int
    """Deliveries that wait for an attempt, the first or the next one."""
    due: int
    """Of them, those whose time has come."""
    age: timedelta
    """For how long the oldest has been due."""
    failed: int
    """Recent ones that no attempt could deliver."""
    disabled_endpoints: int


async def accounts(session: AsyncSession) -> AccountFigures:
    row = (await (await session.connection()).execute(text(_ACCOUNTS))).one()
    number, suspended, empty, available, held = row
    return AccountFigures(number, suspended, empty, int(available), int(held))


async def recent_jobs(session: AsyncSession) -> RecentJobs:
    numbers, ended = {kind: dict.fromkeys(State, 0) for kind in Kind}, Counter[Ended]()
    values = {"first": _first(), "lately": LATELY}
    for kind, state, provider, code, number, lately in await (await session.connection()).execute(text(_JOBS), values):
        numbers[Kind(kind)][State(state)] += number
        if lately:
            ended[Ended(Kind(kind), provider, code or state)] += lately
    return RecentJobs(numbers, ended)


async def jobs_at_routes(session: AsyncSession) -> dict[tuple[str, str], dict[str | None, int]]:
    """Count the recent jobs of each provider and model of the catalog by the code of their error. None: without one."""
    routes: dict[tuple[str, str], dict[str | None, int]] = {}
    for provider, model, code, number in await (await session.connection()).execute(
        text(_AT_ROUTES), {"first": _first()}
    ):
        routes.setdefault((provider, model), {})[code] = number
    return routes


async def deliveries(session: AsyncSession) -> DeliveryFigures:
    row = (await (await session.connection()).execute(text(_DELIVERIES), {"first": _first()})).one()
    return DeliveryFigures(*row)


def _first() -> UUID:
    """Return the lowest id of the recent ones."""
    return ids.uuid7(int((time.time() - RECENT.total_seconds()) * 1000), bytes(10))
