"""Requests and tokens per minute: a key's own, and its account's, which are the operator's ceiling for all its keys.

A call is taken out of all of them or of none. Pure: the ledger keeps the counters under the locks of key and account.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from domain import limits
from domain.counts import counted
from domain.errors import RateLimited
from domain.limits import Left, Limits
from domain.records import record


class Counters(Protocol):
    """The two GCRA arrival times of a key or an account."""

    requests_tat: datetime | None
    tokens_tat: datetime | None


@dataclass(slots=True)
class AccountCounters:
    """The counters of an account, as they were read."""

    requests_tat: datetime | None = None
    tokens_tat: datetime | None = None


@record
class Rate:
    whose: str
    counters: Counters
    limits: Limits


def of_key(used: Counters, own: Limits, whose: str = "key") -> Rate:
    return Rate(whose, used, own)


def of_account(counters: Counters, ceiling: Limits) -> Rate:
    return Rate("account", counters, ceiling)


def take(rates: Sequence[Rate], now: datetime, *, requests: int, tokens: int | None = None) -> None:
    """Take a call out of every rate. Without `tokens` only its request, which may have been taken before: then 0.

    Raises `RateLimited`, having changed nothing, when one of them does not allow it.
    """
    moments = [(_requests(rate, now, requests), _tokens(rate, now, tokens)) for rate in rates]
    for rate, (requests_tat, tokens_tat) in zip(rates, moments, strict=True):
        rate.counters.requests_tat = requests_tat
        rate.counters.tokens_tat = tokens_tat


def left(rates: Sequence[Rate], now: datetime) -> tuple[Left | None, Left | None]:
    """Requests and tokens that are left by the strictest rate. They go into the answer's headers."""
    requests = [
        limits.left(rate.counters.requests_tat, now, rate.limits.requests) for rate in rates if rate.limits.requests
    ]
    tokens = [limits.left(rate.counters.tokens_tat, now, rate.limits.tokens) for rate in rates if rate.limits.tokens]
    return _tightest(requests), _tightest(tokens)


def _requests(rate: Rate, now: datetime, cost: int) -> datetime:
    limit = rate.limits.requests
    tat = limits.take(rate.counters.requests_tat, now, cost, limit if cost else None)
    return _taken(tat, rate.whose, "request", limit)


def _tokens(rate: Rate, now: datetime, cost: int | None) -> datetime | None:
    if cost is None:
        return rate.counters.tokens_tat
    limit = rate.limits.tokens
    return _taken(limits.take(rate.counters.tokens_tat, now, cost, limit), rate.whose, "token", limit)


def _taken(tat: datetime | timedelta, whose: str, what: str, limit: int | None) -> datetime:
    if isinstance(tat, timedelta):
        seconds = math.ceil(tat.total_seconds())
        allowed = counted(limit or 0, what)
        raise RateLimited(f"This {whose} may have {allowed} per minute. Try again in {seconds} s.", retry_after=tat)
    return tat


def _tightest(some: list[Left]) -> Left | None:
    return min(some, key=lambda left: (left.remaining, left.limit), default=None)
