"""Runs a stream: feeds events to its relay, and carries out the effects that the relay returns.

A provider's bytes are written to the client in the event loop iteration in which they arrive. A task exists only while
the ledger is asked. No operation of the ledger depends on the client's connection.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, Protocol

import structlog

from domain.catalog import Route
from domain.errors import GatewayError
from domain.results import Closed
from gateway import stream_effects as effects
from gateway import stream_events as events
from gateway.abandoned_streams import AbandonedStreams
from gateway.call import Call
from gateway.fair_turns import FairTurns
from gateway.relay import Phase, Relay
from gateway.routing import RouteFaults
from gateway.upstream_streams import UpstreamStream
from gateway.wire import StreamWriter
from providers.base import ChatUpstream

log = structlog.get_logger(__name__)


class ClientSink(Protocol):
    """A client's connection. It calls `client_disconnected` and `client_reads_on` of its stream."""

    def write(self, data: bytes) -> bool:
        """Write to the client. False if it is behind: then write no more until `client_reads_on`, if possible."""

    def fail(self, error: GatewayError, data: bytes, *, produced: bool) -> None:
        """End with an error: write `data` if output was produced or the answer has begun, else answer its status."""

    def end(self) -> None:
        """End the answer after what was written."""


class StreamCalls(Protocol):
    """What a stream needs of `gateway.calls.Calls`."""

    @property
    def faults(self) -> RouteFaults: ...

    @property
    def abandoned(self) -> AbandonedStreams: ...

    @property
    def turns(self) -> FairTurns: ...

    def upstream_of(self, call: Call, route: Route) -> ChatUpstream: ...

    async def settle(self, call: Call, charge: effects.Settle) -> Closed: ...

    async def void(self, call: Call) -> Closed: ...

    async def extend(self, call: Call, output_tokens: int) -> events.Extended | events.NotExtended: ...

    def run(self, waiting: Coroutine[Any, Any, None], context: Context) -> None:
        """Run a coroutine as an owned task, so that it ends even when no caller waits for it."""

    def forget(self, call: Call) -> None:
        """Stop renewing its hold: the sweeper ends it."""


class Stream:
    def __init__(self, calls: StreamCalls, call: Call, writer: StreamWriter, client: ClientSink) -> None:
        self._calls, self._call, self._writer, self._client = calls, call, writer, client
        self._relay = Relay(call)
        self._upstream: UpstreamStream | None = None
        self._events: deque[events.Event] = deque()
        self._busy = False
        self._out: list[bytes] = []
        self._client_gone = False
        self._client_behind = False
        self._holding = False
        self._reading_timer: asyncio.TimerHandle | None = None
        self._pause_timer: asyncio.TimerHandle | None = None
        """Runs before an attempt that is not made at once."""
        self._ledger_pending = False
        self._do: dict[type, Callable[[Any], None]] = {
            effects.Send: self._send,
            effects.Ask: self._ask,
            effects.Extend: self._extend,
            effects.ReadOn: self._read_on,
            effects.TellHeld: self._tell_held,
            effects.ReadForBill: self._read_for_bill,
            effects.Close: self._close,
            effects.Settle: self._settle,
            effects.Void: self._void,
            effects.End: self._end,
            effects.Fail: self._fail,
        }

    @property
    def call(self) -> Call:
        return self._call

    def start(self) -> None:
        self._call.hold_lost = self.hold_lost
        self.happens(events.Start())

    def client_disconnected(self) -> None:
        """Tell the stream that the client has disconnected or reads nothing. The stream ends by itself. Idempotent."""
        if not self._client_gone:
            self._client_gone = True
            self.client_reads_on()
            self.happens(events.ClientDisconnected())

    def client_reads_on(self) -> None:
        if self._client_behind:
            self._client_behind = False
            if self._upstream is not None:
                self._upstream.resume()

    def hold_lost(self, error: GatewayError) -> None:
        self.happens(events.HoldLost(error))

    def shutdown(self) -> None:
        self.happens(events.Shutdown())

    def happens(self, event: events.Event) -> None:
        self.feed(event)
        self.flush()

    def feed(self, event: events.Event) -> None:
        self._events.append(event)
        if self._busy:  # an effect caused this event: it is handled after that effect
            return
        self._busy = True
        try:
            while self._events:
                for effect in self._relay.feed(self._events.popleft()):
                    self._do[type(effect)](effect)
        except Exception as fault:
            self._break_off(fault)
        finally:
            self._busy = False

    def _break_off(self, fault: Exception) -> None:
        """Handle a fault of this program: the client gets an error, and the call is settled or released."""
        log.error("stream broke", fault=type(fault).__name__, phase=self._relay.phase.name, context=self._call.context)
        self._events.clear()
        try:
            if not self._ledger_pending:
                for effect in self._relay.break_off(GatewayError("Something went wrong here.")):
                    self._do[type(effect)](effect)
            elif self._relay.phase is Phase.DONE:
                self._finished()
        except Exception as second:
            log.error("stream broke again", fault=type(second).__name__, context=self._call.context)
            self._calls.forget(self._call)
            self._finished()

    def flush(self) -> None:
        out = self._out
        if not out:
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        if self._client_gone or not data or self._client.write(data) or self._client_behind or self._client_gone:
            return
        self._client_behind = True
        if self._upstream is not None:
            self._upstream.pause()

    def _send(self, effect: effects.Send) -> None:
        self._out.append(self._writer.delta(effect.delta))

    def _tell_held(self, effect: effects.TellHeld) -> None:
        self._out.append(self._writer.held(effect.credits))

    def _ask(self, effect: effects.Ask) -> None:
        if self._upstream is not None:
            self._upstream.close()
        self._upstream = UpstreamStream(self._call, effect.attempt, self._calls.faults, self)
        if self._client_behind:
            self._upstream.pause()
        if self._holding:
            self._upstream.pause()
        if effect.attempt.pause:
            self._pause_timer = asyncio.get_running_loop().call_later(effect.attempt.pause, self._open)
        else:
            self._open()

    def _open(self) -> None:
        self._pause_timer = None
        if self._upstream is not None:
            self._upstream.open(self._calls.upstream_of, self._calls.turns)

    def _extend(self, effect: effects.Extend) -> None:
        if not self._holding and self._upstream is not None:
            self._holding = True
            self._upstream.pause()
        self._calls.run(self._ask_for_more(effect.output_tokens), self._call.context)

    async def _ask_for_more(self, output_tokens: int) -> None:
        try:
            self.happens(await self._calls.extend(self._call, output_tokens))
        except GatewayError as error:
            self.happens(events.HoldLost(error))
        except Exception as fault:  # nothing is read meanwhile: nothing else would end this stream
            log.error("extension broke", fault=type(fault).__name__)
            self.happens(events.HoldLost(GatewayError("Something went wrong here.")))

    def _read_on(self, _: effects.ReadOn) -> None:
        if self._holding and self._upstream is not None:
            self._holding = False
            self._upstream.resume()

    def _read_for_bill(self, effect: effects.ReadForBill) -> None:
        self._end_reading()
        if self._pause_timer is not None:  # nothing was sent: there is nothing to read
            self.feed(events.ReadEnough())
            return
        timer = self._calls.abandoned.begin(lambda: self.happens(events.ReadEnough()), replayed=effect.replayed)
        if timer is None:
            self.feed(events.ReadEnough())
        self._reading_timer = timer

    def _end_reading(self) -> None:
        if self._reading_timer is not None:
            self._calls.abandoned.end(self._reading_timer)
            self._reading_timer = None

    def _close(self, _: effects.Close) -> None:
        self._end_reading()
        if self._pause_timer is not None:
            self._pause_timer.cancel()
            self._pause_timer = None
        if self._upstream is not None:
            self._upstream.close()

    def _settle(self, effect: effects.Settle) -> None:
        self._end_reading()
        self._ledger_pending = True
        self._calls.run(self._ask_ledger(self._calls.settle(self._call, effect)), self._call.context)

    def _void(self, _: effects.Void) -> None:
        self._end_reading()
        self._ledger_pending = True
        self._calls.run(self._ask_ledger(self._calls.void(self._call)), self._call.context)

    async def _ask_ledger(self, asking: Awaitable[Closed]) -> None:
        try:
            closed = await asking
        except GatewayError as error:
            self.happens(events.NotSettled(error))
        except Exception as fault:
            log.error("settlement broke", fault=type(fault).__name__)
            self.happens(events.NotSettled(GatewayError("Something went wrong here.")))
        else:
            self.happens(events.Settled(closed))

    def _end(self, effect: effects.End) -> None:
        try:
            self._out.append(self._writer.end(effect.last, effect.bill))
        except Exception as fault:  # the charge has committed: the client is told so
            log.error("a stream's end cannot be written", fault=type(fault).__name__, context=self._call.context)
            charge = f"GET /api/billing/charges/{self._call.head.id}/ explains the charge."
            error = GatewayError(f"The end of this answer could not be written. It is charged. {charge}")
            self._fail(effects.Fail(error, effect.bill, self._relay.produced))
        else:
            self._finished()

    def _fail(self, effect: effects.Fail) -> None:
        self.flush()
        if not self._client_gone:
            data = self._writer.fail(effect.error, effect.bill)
            self._client.fail(effect.error, data, produced=effect.produced)
        self._finished()

    def _finished(self) -> None:
        self.flush()
        self._close(effects.Close())
        if not self._client_gone:
            self._client.end()
