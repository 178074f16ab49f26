"""Limits the calls of this process to one provider: so many at a time, so many in a minute.

More calls wait. Accounts take turns with one call each, and none waits longer than the catalog says: then the call
fails with `UpstreamBusy`, and its next route is tried. One account alone does not fill the places: `providers.shares`.
A step takes no longer than there are accounts with calls under way.
"""

import asyncio
from collections import Counter
from collections.abc import Hashable
from datetime import timedelta

from domain.errors import GatewayError, UpstreamBusy
from providers.base import Headers, Sink, Timeouts, Transport, UpstreamCall, UpstreamRequest
from providers.late_call import LateCall
from providers.shares import Shares
from providers.waiting_calls import WaitingCalls

MAX_WAITING = 2000
MAX_WAITING_OF_OWNER = 100
BURST_SECONDS = 5.0
"""Calls of so many seconds may be sent at once."""
MIN_DEAD = 100
"""From so many calls on that no longer wait, the queue is written anew when they are most of it."""


class Gate:
    """The limits of one provider, and who waits for them."""

    def __init__(self) -> None:
        self.running = 0
        self._max_concurrent: int | None = None
        self._interval = 0.0
        self._free_at = 0.0
        """When the next call may be sent if none may be sent early."""
        self.max_wait = 0.0
        self._waiting: WaitingCalls[GatedCall] = WaitingCalls()
        self._of_owner: Counter[Hashable] = Counter()
        self._shares = Shares()
        self._dead = 0
        self._timer: asyncio.TimerHandle | None = None

    def set_limits(self, max_concurrent: int | None, per_minute: int | None, max_wait: timedelta) -> None:
        self._max_concurrent = max_concurrent
        self._interval = 60.0 / per_minute if per_minute else 0.0
        self.max_wait = max_wait.total_seconds()

    @property
    def waiting(self) -> int:
        return self._of_owner.total()

    def enter(self, call: "GatedCall") -> bool:
        """Start the call, or let it wait. False: too many wait."""
        now = asyncio.get_running_loop().time()
        self._shares.see(call.owner, now)
        if not self._of_owner and self._delay(now) == 0.0 and self._has_place() and self._may_start(call.owner):
            self._start(call, now)
            return True
        if self._of_owner[call.owner] >= MAX_WAITING_OF_OWNER or self.waiting >= MAX_WAITING:
            return False
        self._of_owner[call.owner] += 1
        self._waiting.add(call)
        self._next()
        return True

    def leave(self, call: "GatedCall") -> None:
        """A call that was started has ended."""
        self.running -= 1
        self._shares.give_back(call.owner)
        self._next()

    def forget(self, call: "GatedCall") -> None:
        """A call has stopped waiting before it was started."""
        self._uncount(call)
        self._dead += 1
        if self._dead > MIN_DEAD and self._dead > self.waiting:
            waiting: WaitingCalls[GatedCall] = WaitingCalls()
            for each in self._waiting:
                if not each.over:
                    waiting.add(each)
            self._waiting, self._dead = waiting, 0

    def _has_place(self) -> bool:
        return self._max_concurrent is None or self.running < self._max_concurrent

    def _may_start(self, owner: Hashable) -> bool:
        return self._max_concurrent is None or self._shares.may_take(owner, self._max_concurrent)

    def _delay(self, now: float) -> float:
        """Seconds until the next call may be sent by the limit of a minute."""
        return max(0.0, self._free_at - BURST_SECONDS - now) if self._interval else 0.0

    def _start(self, call: "GatedCall", now: float) -> None:
        self.running += 1
        self._shares.take(call.owner)
        self._free_at = max(self._free_at, now) + self._interval
        call.start()

    def _next(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._of_owner and self._has_place():
            if delay := self._delay(now):
                self._wake_after(delay)
                return
            call = self._waiting.take_of(self._may_start)
            if call is None:
                return
            self._uncount(call)
            self._start(call, now)

    def _wake_after(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._next()

    def _uncount(self, call: "GatedCall") -> None:
        self._of_owner[call.owner] -= 1
        if not self._of_owner[call.owner]:
            del self._of_owner[call.owner]


class GatedTransport:
    """Implements `providers.base.Transport` behind a gate."""

    def __init__(self, transport: Transport, gate: Gate) -> None:
        self._transport = transport
        self._gate = gate

    def open(self, request: UpstreamRequest, timeouts: Timeouts, sink: Sink, owner: Hashable = None) -> UpstreamCall:
        call = GatedCall(self._gate, sink, owner)
        call.prepare(self._transport, request, timeouts)
        if not self._gate.enter(call):
            call.refuse()
        return call

    async def close(self) -> None:
        await self._transport.close()


class GatedCall(LateCall):
    """Implements `providers.base.UpstreamCall`, also while it waits, and `providers.waiting_calls.Waiting`."""

    def __init__(self, gate: Gate, sink: Sink, owner: Hashable) -> None:
        super().__init__()
        self.owner = owner
        self.over = False
        self._gate = gate
        self._sink = sink
        self._started = False
        loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle = loop.call_later(gate.max_wait, self._expire)

    def prepare(self, transport: Transport, request: UpstreamRequest, timeouts: Timeouts) -> None:
        self._prepared: tuple[Transport, UpstreamRequest, Timeouts] | None = (transport, request, timeouts)

    def start(self) -> None:
        self._timer.cancel()
        assert self._prepared is not None  # noqa: S101  # it is started once
        transport, request, timeouts = self._prepared
        self._prepared, self._started = None, True
        self._begin(transport.open(request, timeouts, _LeavingSink(self, self._sink), self.owner))

    def refuse(self) -> None:
        """Fail in the next iteration of the loop: the caller of `open` does not have the call yet."""
        self._timer.cancel()
        self.over = True
        self._timer = asyncio.get_running_loop().call_soon(self._sink.fail, UpstreamBusy())

    def _expire(self) -> None:
        self.over = True
        self._prepared = None
        self._gate.forget(self)
        self._sink.fail(UpstreamBusy())

    def leave(self) -> None:
        if not self.over:
            self.over = True
            self._gate.leave(self)

    def close(self) -> None:
        self._timer.cancel()
        if self._call is not None:
            self._call.close()
        if self._started:
            self.leave()
        elif not self.over:
            self.over, self._prepared = True, None
            self._gate.forget(self)


class _LeavingSink:
    """Implements `providers.base.Sink`: the call leaves the gate when its answer ends."""

    def __init__(self, call: GatedCall, sink: Sink) -> None:
        self._call = call
        self._sink = sink
        self.data = sink.data

    def head(self, status: int, headers: Headers) -> None:
        self._sink.head(status, headers)

    def end(self) -> None:
        self._call.leave()
        self._sink.end()

    def fail(self, error: GatewayError) -> None:
        self._call.leave()
        self._sink.fail(error)
