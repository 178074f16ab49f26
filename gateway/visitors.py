"""Messages of people without an account, inside a daily allowance. The operator's house account pays for them.

A message is counted when it begins, in one transaction for the cookie and for the network. It is given back when its
hold is released: nothing was charged then. What a crash ends stays counted.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

import structlog

from db import visitors as stored
from db.engine import Database
from domain import visitors
from domain.caller import Caller, Visitor
from domain.errors import (
    AccountSuspended,
    AllowanceUsedUp,
    GatewayError,
    InsufficientCredits,
    RateLimited,
    SignInRequired,
    where,
)
from domain.holds import HoldState
from domain.results import Closed, Replay
from domain.rounds import MaintenanceErrors, Round
from domain.visitors import Allowance, VisitorRules
from gateway.call import Call
from gateway.calls import Calls
from gateway.concurrent_requests import ConcurrentRequests
from gateway.idempotency import ImplicitRequest
from gateway.visitor_days import VisitorDays
from gateway.wire import ModelCall

log = structlog.get_logger(__name__)

REFUSED_BY = ("allowance", "busy", "credits", "model", "suspended")
"""What refuses messages: a visitor's allowance, too many at once, the credits of the day, and so on."""
GRACE = timedelta(minutes=10)
"""How long after its end a day is deleted: another process's clock may be behind."""
_BUSY = "Many people without an account ask at this moment. Try again in a moment, or sign in."
_CLOSED = "This server answers nobody without an account at the moment. Sign in, or send an API key."
_USED_UP = "You have sent the {limit} free messages of today. Sign in to go on, or come back after {reset}."
_ALL_USED_UP = "The free messages of today are used up for everybody. Sign in to go on, or come back after {reset}."


_Opening = Callable[[], Awaitable[Call | Replay]]


class Message:
    """A message that is counted. It is given back at most once."""

    def __init__(self, owner: "Visitors", day: date, digests: tuple[bytes, bytes], allowance: Allowance) -> None:
        self.allowance = allowance
        """Of its visitor, with this message."""
        self._owner, self._day, self._digests = owner, day, digests
        self._given_back = False

    async def closed(self, closed: Closed) -> None:
        """Implements `gateway.call.Call.closed`."""
        if closed.state is HoldState.VOID:
            await self.give_back()

    async def give_back(self) -> None:
        """Count one message less. If that fails, it stays counted."""
        if self._given_back:
            return
        self._given_back = True
        try:
            used = await self._owner.uncount(self._day, self._digests)
        except Exception as fault:  # the call has ended: only the count is wrong, to the operator's advantage
            log.warning("a visitor's message stays counted", fault=where(fault))
        else:
            self.allowance = replace(self.allowance, used=used)


class Visitors:
    """All visitors of this process."""

    def __init__(self, days: VisitorDays, calls: Calls, rules: VisitorRules) -> None:
        self.rules = rules
        self.messages = 0
        """Messages that began."""
        self.refused: Counter[str] = Counter()
        """By the limit that refused them."""
        self._days, self._calls = days, calls
        self._concurrent = ConcurrentRequests(rules.concurrent)

    async def allowance(self, visitor: Visitor) -> Allowance:
        """Return what the visitor has of the day. Nothing is counted."""
        day = datetime.now(UTC).date()
        used = await self._days.used(day, visitor.visitor_id, visitor.network)
        return Allowance(self.rules.messages_day, used, visitors.end_of(day))

    def _is_free(self, name: str) -> bool:
        return visitors.may_call(self._calls.selection.model(name))

    @asynccontextmanager
    async def message(
        self, request: ModelCall, caller: Caller, first: ImplicitRequest
    ) -> AsyncIterator[tuple[Call, Message]]:
        """Count a message and hold what it may cost, from the house account. The visitor's slot is free at the end.

        Raises `SignInRequired` for a model that is not for visitors, and `AllowanceUsedUp`.
        """
        names = (request.model, *(request.preferences.models if request.preferences is not None else ()))
        if (name := next((name for name in names if not self._is_free(name)), None)) is not None:
            self.refused["model"] += 1
            raise SignInRequired(
                f"The model '{name[:100]}' needs an account. Sign in, or send an API key. Without an account, "
                "GET /api/chat/models/ tells which models are free."
            )
        visitor = caller.credential
        assert isinstance(visitor, Visitor)  # noqa: S101  # only visitors come here
        message = await self._count(visitor)
        try:
            async with AsyncExitStack() as stack:
                slot = self._concurrent.slot(visitor.network)
                opening = partial(self._calls.open, self._bounded(request), caller, first)
                yield await self._begin(stack, message, slot, opening), message
        except GatewayError as error:
            error.left = message.allowance.left(datetime.now(UTC)), None
            raise

    async def _begin(
        self, stack: AsyncExitStack, message: Message, slot: AbstractAsyncContextManager[None], opening: _Opening
    ) -> Call:
        try:
            await stack.enter_async_context(slot)
            call = await self._open(opening, message.allowance.resets_at)
        except BaseException:
            await message.give_back()
            raise
        call.closed = message.closed
        self.messages += 1
        return call

    def _bounded(self, request: ModelCall) -> ModelCall:
        limit = min(request.output_limit or self.rules.max_tokens, self.rules.max_tokens)
        return replace(request, output_limit=limit)

    async def _count(self, visitor: Visitor) -> Message:
        day, limit = datetime.now(UTC).date(), self.rules.messages_day
        resets_at = visitors.end_of(day)
        digests, used = await self._days.take(day, visitor.visitor_id, visitor.network, limit)
        if used is None:
            self.refused["allowance"] += 1
            error = AllowanceUsedUp(_USED_UP.format(limit=limit, reset=_written(resets_at)), resets_at)
            error.left = Allowance(limit, limit, resets_at).left(datetime.now(UTC)), None
            raise error
        return Message(self, day, digests, Allowance(limit, used, resets_at))

    async def uncount(self, day: date, digests: tuple[bytes, bytes]) -> int:
        return await self._days.give_back(day, digests)

    async def _open(self, opening: _Opening, resets_at: datetime) -> Call:
        """Hold from the house account. No error tells what it has."""
        try:
            call = await opening()
        except InsufficientCredits as error:
            if error.limit_source == "max_credits":
                raise InsufficientCredits(error.required, error.available, 0, error.limit_source) from None
            self.refused["credits"] += 1
            raise AllowanceUsedUp(_ALL_USED_UP.format(reset=_written(resets_at)), resets_at) from None
        except RateLimited as error:
            self.refused["busy"] += 1
            raise RateLimited(_BUSY, retry_after=error.retry_after) from None
        except AccountSuspended:
            self.refused["suspended"] += 1
            raise SignInRequired(_CLOSED) from None
        assert isinstance(call, Call)  # noqa: S101  # nothing of a visitor's is replayed
        return call


class VisitorMaintenance:
    """Deletes days that have ended, with their keys."""

    def __init__(
        self, database: Database, errors: MaintenanceErrors, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database, self._errors, self._now = database, errors, now

    async def forget(self) -> int:
        """Run one round, and return how many days it deleted."""
        async with self._database.reading() as session:
            days = await stored.old_days(session, (self._now() - GRACE).date())
        return await Round("forget_visitors", date.isoformat, date.isoformat, self._errors).run(days, self._forget)

    async def _forget(self, day: date) -> int:
        async with self._database.transaction() as session:
            return await stored.forget(session, day)


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
