"""The state machine of one stream: turns events into effects. No socket, no clock, no task.

`TABLE` has the handler of each event in each phase. `Relay.feed` turns one event into effects, which `gateway.streams`
carries out. Nothing that ends a choice is sent before the charge has committed: only this module has that rule.

    OPENING            a route was called and has produced no output: another route may still answer
    RELAYING           output is sent to the client as it arrives
    READING_FOR_BILL   the client has disconnected; the rest is read for the provider's bill, or for a replay
    SETTLING           the provider is finished or closed; the ledger was asked for the charge or the release
    DONE               the ledger has answered, and the client has the end or an error
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from typing import Any

from domain import usage
from domain.catalog import Capability
from domain.errors import GatewayError, ServiceUnavailable, UpstreamError, UpstreamTimeout
from gateway import answers, replays
from gateway import stream_effects as effects
from gateway import stream_events as events
from gateway.assembly import Assembly
from gateway.call import Call
from gateway.choice_ends import split
from gateway.idempotency import MAX_REPLAY_BYTES
from gateway.route_output import RouteOutput
from gateway.routing import Attempt
from gateway.saved_turns import Answered
from gateway.stream_effects import Effects
from gateway.wire import Bill
from providers.base import Accepted, Delta, Done, Paused, Report


class Phase(Enum):
    OPENING = auto()
    RELAYING = auto()
    READING_FOR_BILL = auto()
    SETTLING = auto()
    DONE = auto()

    __hash__ = object.__hash__  # members are singletons; Enum's own hash is slower


class EndReason(Enum):
    FINISHED = auto()
    PAUSED = auto()
    """The provider would go on, but the hold does not pay for that."""
    CLIENT_DISCONNECTED = auto()
    CREDITS_EXHAUSTED = auto()
    """Neither the hold nor the balance pays for the next text."""
    HOLD_LOST = auto()
    SHUTDOWN = auto()
    PROVIDER_FAILED = auto()
    RUNAWAY = auto()
    """The provider's output went far above the limit that was sent."""


_COMPLETE = frozenset({EndReason.FINISHED, EndReason.PAUSED})
"""The provider has written and reported all of it."""
_ANSWERED = _COMPLETE | {EndReason.CREDITS_EXHAUSTED}
_FROM_UPSTREAM = (Accepted, Delta, Report, Done, Paused, events.Failed)


class Relay:
    def __init__(self, call: Call) -> None:
        self.phase = Phase.OPENING
        self.end_reason: EndReason | None = None
        self.produced = False
        """True if the present route has produced output: then no other route can answer."""
        self._call = call
        self._attempts = call.attempts
        self._route = RouteOutput()
        self._replayed = call.idempotent is not None
        """True while the answer can be stored for a replay."""
        self._assembly = Assembly() if self._replayed or call.turn else None
        self._waiting: deque[events.Event] | None = None
        """Events of the provider that wait, in order, while the hold is extended. None at other times."""
        self._grows = False
        """True if the hold is extended as needed on the present route."""
        self._abandoned = False
        self._error: GatewayError | None = None
        self._usage = usage.counted(0, 0)

    def feed(self, event: events.Event) -> Effects:
        if self._waiting is not None and isinstance(event, _FROM_UPSTREAM):
            self._waiting.append(event)
            return []
        return TABLE[type(event)][self.phase](self, event)

    def ignore(self, _: Any) -> Effects:
        return []

    def start(self, _: events.Start) -> Effects:
        return self._ask(self._attempts.next(), UpstreamError())

    def _ask(self, attempt: Attempt | None, error: GatewayError) -> Effects:
        if attempt is None:
            return self._fail(EndReason.PROVIDER_FAILED, error)
        self._route = RouteOutput(attempt)
        if self._assembly is not None:
            self._assembly = Assembly()
        self._call.begin(attempt)
        self._grows = self._call.grows_on(attempt.route)
        return [effects.Ask(attempt)]

    def accepted(self, _: Accepted) -> Effects:
        self._route.accepted = True
        return []

    def report(self, event: Report) -> Effects:
        if (believed := self._call.believed(event.usage)) is not None:
            self._route.note_report(believed)
        return []

    def delta(self, delta: Delta) -> Effects:
        """Relay a delta. Its text is sent only once the hold pays for it."""
        output = self._call.output
        if text := delta.text:
            if missing := output.add(text, tolerant=not self._grows):
                if not self._grows:
                    return self._finish(EndReason.RUNAWAY)
                self._waiting = deque([delta])
                return [effects.Extend(-(-missing // self._call.request.choices))]
            self._route.report_is_old = True
        if self._assembly is not None and (full := self._assemble(delta)) is not None:
            return full
        if self.phase is Phase.RELAYING and not delta.finished:
            return [effects.Send(delta)]
        return self._pass_on(delta)

    def _assemble(self, delta: Delta) -> Effects | None:
        """Add a delta to the answer for a replay.

        Returns effects if the answer is now too large for one and the client has gone; else None.
        """
        assert self._assembly is not None  # noqa: S101  # the caller has checked it
        self._assembly.take(delta)
        if not self._replayed or self._assembly.size <= MAX_REPLAY_BYTES:
            return None
        self._replayed = False
        if self._call.turn is None:
            self._assembly = None
        if self.phase is not Phase.READING_FOR_BILL:
            return None
        self._note(delta)
        return self._read_for_bill()

    def _pass_on(self, delta: Delta) -> Effects:
        opening, (now, last) = self._route.opening, split(delta)
        if self.phase is Phase.OPENING and not delta.text and last is None:
            opening.append(delta)
            return []
        self._note(delta, last)
        if self.phase is Phase.READING_FOR_BILL:
            return []
        if self.phase is Phase.OPENING:
            self.phase, self._call.held_at_start = Phase.RELAYING, self._call.held
            self._attempts.output_began()
        sends: Effects = [] if now is None else [effects.Send(now)]
        if opening:
            sends[:0] = [effects.Send(each) for each in opening]
            opening.clear()
        return sends

    def _note(self, delta: Delta, last: Delta | None = None) -> None:
        self.produced = self.produced or bool(delta.text) or last is not None
        self._route.note(delta, last)

    def done(self, _: Done) -> Effects:
        return self._finish(EndReason.FINISHED)

    def paused(self, event: Paused) -> Effects:
        """Have the same route go on, if the hold pays for it. The client sees one answer."""
        if self.phase is Phase.READING_FOR_BILL and not self._replayed:
            return self.read_enough(events.ReadEnough())
        route = self._route
        used = None if route.report_is_old else route.report
        if route.attempt is None or not self._call.goes_on(event, used):
            return self._finish(EndReason.PAUSED)
        route.report_is_old = True  # it has nothing of the next part
        return [effects.Ask(replace(route.attempt, pause=0.0))]

    def extended(self, event: events.Extended) -> Effects:
        self._call.output.paid, self._call.held = event.output_tokens, event.credits
        waiting, self._waiting = self._waiting or deque(), None
        follow: Effects = [effects.TellHeld(event.credits)] if self.phase is not Phase.READING_FOR_BILL else []
        while waiting and self._waiting is None:
            follow += self.feed(waiting.popleft())
        if self._waiting is None:
            return [*follow, effects.ReadOn()]
        self._waiting.extend(waiting)  # the hold must be extended again
        return follow

    def not_extended(self, _: events.NotExtended) -> Effects:
        self._waiting = None
        return self._finish(EndReason.CREDITS_EXHAUSTED)

    def failed(self, event: events.Failed) -> Effects:
        """Make another attempt, if there is one and no output was produced. Else the call fails."""
        self._waiting = None
        over = self.produced or self._abandoned
        attempt = self._attempts.after(event.error, produced=over)
        return self._ask(attempt, self._attempts.error_after(event.error, produced=over))

    def client_disconnected(self, _: events.ClientDisconnected) -> Effects:
        self._abandoned = bool(self._unended())
        self._replayed = self._replayed and not self._call.request.stop_on_disconnect
        self.phase = Phase.READING_FOR_BILL
        return self._read_for_bill()

    def _read_for_bill(self) -> Effects:
        """Read on without a client, if the answer can be replayed or the provider bills the rest anyway. Else end."""
        if self._replayed:
            return [effects.ReadForBill(replayed=True)]
        route = self._call.route
        if route is not None and Capability.ABORT_STOPS_BILLING not in route.capabilities:
            return [effects.ReadForBill(replayed=False)]
        return self.read_enough(events.ReadEnough())

    def read_enough(self, _: events.ReadEnough) -> Effects:
        return self._finish(EndReason.CLIENT_DISCONNECTED if self._unended() else EndReason.FINISHED)

    def hold_lost(self, event: events.HoldLost) -> Effects:
        return self._fail(EndReason.HOLD_LOST, event.error)

    def hold_lost_while_reading(self, _: events.HoldLost) -> Effects:
        return self.read_enough(events.ReadEnough())

    def shutdown(self, _: events.Shutdown) -> Effects:
        error = ServiceUnavailable("This server is stopping. What was delivered is charged.")
        return self._fail(EndReason.SHUTDOWN, error)

    def shutdown_while_reading(self, _: events.Shutdown) -> Effects:
        return self.read_enough(events.ReadEnough())

    def _finish(self, reason: EndReason) -> Effects:
        """End the answer and charge its usage."""
        self._settling(reason)
        left = reason is EndReason.CLIENT_DISCONNECTED
        if left and not self._route.accepted:  # before the provider accepted the call
            self._attempts.abandoned()
            return [effects.Close(), effects.Void()]
        close: Effects = [] if reason in _COMPLETE else [effects.Close()]  # a complete answer's connection is reused
        self._usage, above = self._call.billable(self._route.used(self._call.counted(), complete=reason in _COMPLETE))
        if reason in _ANSWERED:
            self._attempts.succeeded(self._usage.output_tokens)
        else:
            self._attempts.abandoned()
        end = self._route.end(self._call.request.choices, "stop" if reason is EndReason.FINISHED else "length")
        if end is not None and self._assembly is not None:
            self._assembly.add(end.chunk, "")
        answer, answered = None if left else self._sealable(), self._answered(partial=left)
        return [*close, effects.Settle(self._usage, not left, above, self._abandoned, answer, answered)]

    def _fail(self, reason: EndReason, error: GatewayError) -> Effects:
        """Settle, or release if nothing was produced. The client gets the error after that."""
        self._settling(reason)
        self._attempts.abandoned()
        self._error = error
        if not self.produced:
            self._usage = usage.counted(0, 0)
            return [effects.Close(), effects.Void()]
        if isinstance(error, UpstreamError) and not isinstance(error, UpstreamTimeout):
            self._error = UpstreamError("The provider broke off. What was delivered is charged, without the minimum.")
        self._usage, above = self._call.billable(self._route.used(self._call.counted(), complete=not self._unended()))
        answered = self._answered(partial=True, reason="error")
        return [effects.Close(), effects.Settle(self._usage, False, above, self._abandoned, answered=answered)]

    def break_off(self, error: GatewayError) -> Effects:
        """End the call after a fault of this program: it is settled for what was produced, or released."""
        return self._fail(EndReason.PROVIDER_FAILED, error)

    def _settling(self, reason: EndReason) -> None:
        self.phase, self.end_reason, self._waiting = Phase.SETTLING, reason, None

    def _sealable(self) -> bytes | None:
        """Return the answer to store for a replay, or None if there is none or it cannot be written as JSON."""
        if self._assembly is None or not self._replayed:
            return None
        whole = self._assembly
        try:
            completed = answers.completed(self._call.head, whole.choices, whole.beside, self._usage)
        except TypeError:  # orjson's JSONEncodeError
            return None
        return replays.sealable(completed, self._call, whole.natives)

    def _answered(self, *, partial: bool, reason: str | None = None) -> Answered | None:
        """Return what was produced, if the call is saved. `reason` is why it broke off."""
        if self._call.turn is None or self._assembly is None:
            return None
        choices = self._assembly.choices
        message = choices[0]["message"] if choices else {"role": "assistant", "content": None}
        return Answered(message, reason if partial else choices[0]["finish_reason"] if choices else "stop", partial)

    def _unended(self) -> list[int]:
        return self._route.unended(self._call.request.choices)

    def settled(self, event: events.Settled) -> Effects:
        self.phase = Phase.DONE
        closed = event.closed
        bill = Bill(self._usage, closed.charged, closed.available, self._call.held, closed.saved)
        if self._error is not None:
            return [effects.Fail(self._error, bill, self.produced)]
        return [effects.End(self._route.last, bill)]

    def not_settled(self, event: events.NotSettled) -> Effects:
        """End with an error. The ledger is not asked again: its commit may have happened."""
        self.phase = Phase.DONE
        error = event.error
        if self._error is None:
            charge = f"GET /api/billing/charges/{self._call.head.id}/ tells what it cost."
            error = ServiceUnavailable(f"The ledger is away; what was delivered may be charged. {charge}")
        return [effects.Fail(error, None, self.produced)]


_Handler = Callable[[Relay, Any], Effects]
_ = Relay.ignore
_EVENTS: dict[type, tuple[_Handler, ...]] = {
    # event: OPENING, RELAYING, READING_FOR_BILL, SETTLING, DONE
    events.Start: (Relay.start, _, _, _, _),
    Accepted: (Relay.accepted, Relay.accepted, Relay.accepted, _, _),
    Delta: (Relay.delta, Relay.delta, Relay.delta, _, _),
    Report: (Relay.report, Relay.report, Relay.report, _, _),
    Done: (Relay.done, Relay.done, Relay.done, _, _),
    Paused: (Relay.paused, Relay.paused, Relay.paused, _, _),
    events.Failed: (Relay.failed, Relay.failed, Relay.failed, _, _),
    events.Extended: (Relay.extended, Relay.extended, Relay.extended, _, _),
    events.NotExtended: (Relay.not_extended, Relay.not_extended, Relay.not_extended, _, _),
    events.ClientDisconnected: (Relay.client_disconnected, Relay.client_disconnected, _, _, _),
    events.HoldLost: (Relay.hold_lost, Relay.hold_lost, Relay.hold_lost_while_reading, _, _),
    events.Shutdown: (Relay.shutdown, Relay.shutdown, Relay.shutdown_while_reading, _, _),
    events.ReadEnough: (_, _, Relay.read_enough, _, _),
    events.Settled: (_, _, _, Relay.settled, _),
    events.NotSettled: (_, _, _, Relay.not_settled, _),
}
TABLE = {event: dict(zip(Phase, handlers, strict=True)) for event, handlers in _EVENTS.items()}
