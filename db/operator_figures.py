"""Counts what an operator looks at first: accounts, media jobs, deliveries of webhooks."""

import time
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
_JOBS = "SELECT kind, state, count(*) FROM media_jobs WHERE id >= :first GROUP BY 1, 2"
_DELIVERIES = """
SELECT (SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'),
       (SELECT count(*) FROM webhook_deliveries WHERE state = 'pending' AND next_attempt_at < now()),
       (SELECT coalesce(now() - min(next_attempt_at), interval '0') FROM webhook_deliveries
        WHERE state = 'pending' AND next_attempt_at < now()),
       (SELECT count(*) FROM webhook_deliveries WHERE state = 'failed' AND id >= :first),
       (SELECT count(*) FROM webhook_endpoints WHERE NOT enabled AND disabled_reason IS NOT NULL)
"""

RecentJobs = Mapping[Kind, Mapping[State, int]]


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
    """Return how many of each kind and state were made recently, also where there are none."""
    numbers = {kind: dict.fromkeys(State, 0) for kind in Kind}
    for kind, state, number in await (await session.connection()).execute(text(_JOBS), {"first": _first()}):
        numbers[Kind(kind)][State(state)] = number
    return numbers


async def deliveries(session: AsyncSession) -> DeliveryFigures:
    row = (await (await session.connection()).execute(text(_DELIVERIES), {"first": _first()})).one()
    return DeliveryFigures(*row)


def _first() -> UUID:
    """Return the lowest id of the recent ones."""
    return ids.uuid7(int((time.time() - RECENT.total_seconds()) * 1000), bytes(10))
