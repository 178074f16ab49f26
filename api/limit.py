"""`GET /api/chat/limit/`: what can be spent now, and what is left of the limits; or a visitor's allowance."""

from datetime import UTC, datetime, time, timedelta
from math import inf

from fastapi import APIRouter
from pydantic import BaseModel

from api.body import StrictRoute
from api.deps import AnyCallerOrVisitor, CurrentResources
from db import accounts
from domain.caller import Caller, Visitor
from domain.limits import Left, Limits

router = APIRouter(prefix="/api/chat/limit", tags=["billing"], route_class=StrictRoute)


class Remaining(BaseModel):
    """What is left of a limit. `limit` and `remaining` are null if there is no limit."""

    limit: int | None
    remaining: int | None
    reset_seconds: float | None = None


class Limit(BaseModel):
    balance: int
    held: int
    plan: str | None
    plan_active: bool
    limits: dict[str, Remaining]


class DailyAllowance(BaseModel):
    """Messages of a UTC day."""

    limit: int
    used: int
    remaining: int
    resets_at: datetime


class AnonymousLimit(BaseModel):
    """For a caller without an account."""

    anonymous: DailyAllowance


@router.get("/")
async def limit(caller: AnyCallerOrVisitor, resources: CurrentResources) -> Limit | AnonymousLimit:
    """What the caller can spend now. `balance` excludes credits that calls and jobs in flight hold.

    Without an account: how many messages the caller has in this day.
    """
    if isinstance(caller.credential, Visitor):
        own = await resources.visitors.allowance(caller.credential)
        return AnonymousLimit(
            anonymous=DailyAllowance(limit=own.limit, used=own.used, remaining=own.remaining, resets_at=own.resets_at)
        )
    row = await accounts.committed_balance(resources.database, caller.account_id)
    return Limit(
        balance=row.available,
        held=row.held,
        plan=row.plan,
        plan_active=row.plan_active,
        limits=_limits(caller, resources.ceiling, datetime.now(UTC)),
    )


def _limits(caller: Caller, ceiling: Limits, now: datetime) -> dict[str, Remaining]:
    requests, tokens = caller.rates_left(ceiling, now)
    counted = caller.credential.counted(ceiling, now)
    return {
        "requests": _per_minute(requests),
        "tokens": _per_minute(tokens),
        "concurrent": _tightest([_of(allowed.concurrent, used.open_holds) for allowed, used in counted]),
        "credits_day": _tightest(
            [_of(allowed.credits_day, used.day_credits, _to_next_day(now)) for allowed, used in counted]
        ),
        "credits_month": _tightest(
            [_of(allowed.credits_month, used.month_credits, _to_next_month(now)) for allowed, used in counted]
        ),
    }


def _tightest(all_of: list[Remaining]) -> Remaining:
    """The one that leaves the least: a key's calls also count on the keys that it was made with."""
    return min(all_of, key=lambda one: inf if one.remaining is None else one.remaining)


def _per_minute(left: Left | None) -> Remaining:
    if left is None:
        return Remaining(limit=None, remaining=None)
    return Remaining(limit=left.limit, remaining=left.remaining, reset_seconds=left.reset.total_seconds())


def _of(limit: int | None, used: int, reset: timedelta | None = None) -> Remaining:
    if limit is None:
        return Remaining(limit=None, remaining=None)
    return Remaining(
        limit=limit, remaining=max(0, limit - used), reset_seconds=reset.total_seconds() if reset else None
    )


def _to_next_day(now: datetime) -> timedelta:
    return datetime.combine(now.date() + timedelta(days=1), time(), UTC) - now


def _to_next_month(now: datetime) -> timedelta:
    return datetime.combine((now.date().replace(day=1) + timedelta(days=32)).replace(day=1), time(), UTC) - now
