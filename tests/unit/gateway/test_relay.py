"""Every event in every phase of a stream: what follows, and in which phase it is then."""

from typing import Any

import pytest

from domain.catalog import Capability
from domain.errors import (
    AdapterFault,
    CallerUnknown,
    GatewayError,
    ServiceUnavailable,
    UpstreamError,
    UpstreamRefused,
)
from domain.holds import HoldState
from domain.pricing import Usage, UsageSource
from domain.results import Closed
from gateway import stream_effects as do
from gateway import stream_events as e
from gateway.call import Call
from gateway.relay import TABLE, EndReason, Phase, Relay
from gateway.routing import Attempt
from providers.base import Accepted, Delta, Done, Paused, Report
from tests.support.doubles.chat_calls import call, route

STOPS = route("stops", Capability.ABORT_STOPS_BILLING)
BILLS_ON = route("bills-on")
GROWS = route("grows", Capability.METERABLE, Capability.ABORT_STOPS_BILLING)
CLOSED = Closed(HoldState.SETTLED, 10, 0, 90, 0)


def delta(text: str = "word ", *, finish: str | None = None, index: int = 0) -> Delta:
    fields_ = {"content": text} if text else {}
    choice = {"index": index, "delta": fields_, "finish_reason": finish}
    return Delta({"choices": [choice]}, text, (index,) if finish else ())


def report(output: int, input_tokens: int = 3) -> Report:
    return Report(Usage(input_tokens, output, UsageSource.PROVIDER))


ROLE = Delta({"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]})
WORD = delta()
EVENTS: dict[type, e.Event] = {
    type(event): event
    for event in (
        e.Start(),
        Accepted(),
        WORD,
        report(1),
        Done(),
        Paused(()),
        e.Failed(AdapterFault()),
        e.Extended(500, 300),
        e.NotExtended(),
        e.ClientDisconnected(),
        e.HoldLost(CallerUnknown()),
        e.Shutdown(),
        e.ReadEnough(),
        e.Settled(CLOSED),
        e.NotSettled(ServiceUnavailable()),
    )
}
REACHED: dict[Phase, list[e.Event]] = {
    Phase.OPENING: [e.Start()],
    Phase.RELAYING: [e.Start(), Accepted(), WORD],
    Phase.READING_FOR_BILL: [e.Start(), Accepted(), WORD, e.ClientDisconnected()],
    Phase.SETTLING: [e.Start(), Accepted(), WORD, Done()],
    Phase.DONE: [e.Start(), Accepted(), WORD, Done(), e.Settled(CLOSED)],
}
P, R, B, S, D = Phase
Cell = tuple[list[type], Phase]
VOID: Cell
SETTLE: Cell
VOID, SETTLE = ([do.Close, do.Void], S), ([do.Close, do.Settle], S)
TRANSITIONS: dict[type, tuple[Cell, ...]] = {
    # event: OPENING, RELAYING, READING_FOR_BILL, SETTLING, DONE; what is not written leaves the phase as it is
    e.Start: (([do.Ask], P), ([], R), ([], B), ([], S), ([], D)),
    Accepted: (([], P), ([], R), ([], B), ([], S), ([], D)),
    Delta: (([do.Send], R), ([do.Send], R), ([], B), ([], S), ([], D)),
    Report: (([], P), ([], R), ([], B), ([], S), ([], D)),
    Done: (([do.Settle], S), ([do.Settle], S), ([do.Settle], S), ([], S), ([], D)),
    Paused: (([do.Settle], S), ([do.Settle], S), SETTLE, ([], S), ([], D)),
    e.Failed: (VOID, SETTLE, SETTLE, ([], S), ([], D)),
    e.Extended: (([do.TellHeld, do.ReadOn], P), ([do.TellHeld, do.ReadOn], R), ([do.ReadOn], B), ([], S), ([], D)),
    e.NotExtended: (SETTLE, SETTLE, SETTLE, ([], S), ([], D)),
    e.ClientDisconnected: (([do.ReadForBill], B), ([do.ReadForBill], B), ([], B), ([], S), ([], D)),
    e.HoldLost: (VOID, SETTLE, SETTLE, ([], S), ([], D)),
    e.Shutdown: (VOID, SETTLE, SETTLE, ([], S), ([], D)),
    e.ReadEnough: (([], P), ([], R), SETTLE, ([], S), ([], D)),
    e.Settled: (([], P), ([], R), ([], B), ([do.End], D), ([], D)),
    e.NotSettled: (([], P), ([], R), ([], B), ([do.Fail], D), ([], D)),
}


def fed(relay: Relay, *events: e.Event) -> do.Effects:
    return [effect for event in events for effect in relay.feed(event)]


def only(effects: do.Effects, kind: type) -> Any:
    (single,) = [effect for effect in effects if isinstance(effect, kind)]
    return single


def relay(of: Call, *events: e.Event) -> Relay:
    machine = Relay(of)
    fed(machine, e.Start(), *events)
    return machine


def test_the_table_knows_every_event_in_every_phase() -> None:
    assert set(TABLE) == set(TRANSITIONS) == set(EVENTS) == set(e.Event.__args__)
    assert all(set(handlers) == set(Phase) for handlers in TABLE.values())


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_every_cell(phase: Phase, event: type) -> None:
    machine = Relay(call(BILLS_ON))
    starts = phase is Phase.OPENING and event is e.Start
    fed(machine, *([] if starts else REACHED[phase]))
    assert machine.phase is phase
    effects = machine.feed(EVENTS[event])
    assert ([type(effect) for effect in effects], machine.phase) == TRANSITIONS[event][list(Phase).index(phase)]


def test_what_has_no_content_waits_for_what_has() -> None:
    machine = relay(call(), Accepted(), ROLE)
    assert [effect.delta for effect in machine.feed(WORD) if isinstance(effect, do.Send)] == [ROLE, WORD]


def test_another_route_answers_until_something_is_produced() -> None:
    machine = relay(call(STOPS, BILLS_ON), Accepted(), ROLE)
    assert machine.feed(e.Failed(UpstreamError())) == [do.Ask(Attempt(BILLS_ON))]
    assert [effect.delta for effect in machine.feed(WORD) if isinstance(effect, do.Send)] == [
        WORD
    ]  # the first role is gone
    assert [type(effect) for effect in machine.feed(e.Failed(UpstreamError()))] == [do.Close, do.Settle]
    assert machine.end_reason is EndReason.PROVIDER_FAILED


@pytest.mark.parametrize("error", [UpstreamRefused(), GatewayError()])
def test_what_another_route_would_refuse_too_is_not_asked_of_it(error: GatewayError) -> None:
    machine = relay(call(STOPS, BILLS_ON))
    assert fed(machine, e.Failed(error)) == [do.Close(), do.Void()]
    assert only(fed(machine, e.Settled(CLOSED)), do.Fail).error is error


def test_text_that_comes_with_a_finish_and_after_it_keeps_its_order() -> None:
    machine = relay(call(), Accepted())
    effects = fed(machine, delta("a ", finish="stop"), delta("b "), Done())
    sent = [effect.delta.chunk["choices"][0] for effect in effects if isinstance(effect, do.Send)]
    assert [(choice["delta"]["content"], choice["finish_reason"]) for choice in sent] == [("a ", None), ("b ", None)]
    (last,) = only(fed(machine, e.Settled(CLOSED)), do.End).last
    assert last.chunk["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]


def test_nothing_that_ends_a_choice_is_sent_before_the_charge() -> None:
    machine = relay(call(choices=2), Accepted())
    both = {"choices": [delta("x", index=0).chunk["choices"][0], delta("", finish="stop", index=1).chunk["choices"][0]]}
    effects = fed(machine, Delta(both, "x", (1,)), delta("", finish="length"), Done())
    sent = [choice for effect in effects if isinstance(effect, do.Send) for choice in effect.delta.chunk["choices"]]
    assert [choice["finish_reason"] for choice in sent] == [None]
    last = [choice for part in only(fed(machine, e.Settled(CLOSED)), do.End).last for choice in part.chunk["choices"]]
    assert [(choice["index"], choice["finish_reason"]) for choice in last] == [(1, "stop"), (0, "length")]


def test_a_hold_that_grows_keeps_what_comes_meanwhile_in_order() -> None:
    machine = relay(call(GROWS, paid=1, output_limit=None), Accepted())
    assert machine.feed(delta("one two three ")) == [do.Extend(2)]
    assert fed(machine, delta("four "), report(4), Done()) == []
    effects = machine.feed(e.Extended(3, 250))
    assert [type(effect) for effect in effects] == [do.TellHeld, do.Send, do.Extend]
    effects = machine.feed(e.Extended(9, 300))
    assert [type(effect) for effect in effects] == [do.TellHeld, do.Send, do.Settle, do.ReadOn]
    assert only(effects, do.Settle).usage == Usage(3, 4, UsageSource.PROVIDER)


def test_when_the_credits_end_every_choice_ends_for_its_length() -> None:
    machine = relay(call(GROWS, paid=2, output_limit=None), Accepted(), delta("one "))
    settle = only(fed(machine, delta("two three "), e.NotExtended()), do.Settle)
    assert (settle.usage, settle.minimum) == (Usage(3, 1, UsageSource.COUNTED), True)
    assert machine.end_reason is EndReason.CREDITS_EXHAUSTED
    (last,) = only(fed(machine, e.Settled(CLOSED)), do.End).last
    assert last.chunk["choices"] == [{"index": 0, "delta": {}, "finish_reason": "length"}]


def test_a_provider_that_goes_on_above_its_limit_is_cut_and_its_excess_is_not_billed() -> None:
    machine = relay(call(paid=10, output_limit=10), Accepted())
    effects = fed(machine, *[delta("many words ") for _ in range(60)])
    assert machine.end_reason is EndReason.RUNAWAY
    settle = only(effects, do.Settle)
    assert settle.usage.output_tokens == 10
    assert settle.unbilled_output > 60


@pytest.mark.parametrize("reported", [900, 64_000, 10_000_000])
def test_a_report_above_the_limit_that_was_sent_is_billed_at_that_limit(reported: int) -> None:
    """Also when it is above all that the model's window can hold."""
    machine = relay(call(paid=20, output_limit=10, choices=2), Accepted(), WORD)
    settle = only(fed(machine, report(reported), delta("", finish="stop"), Done()), do.Settle)
    assert settle.usage == Usage(3, 20, UsageSource.PROVIDER)
    assert settle.unbilled_output == reported - 20


@pytest.mark.parametrize("absurd", [report(10_000_001), report(5, 10**9), report(-1)])
def test_a_report_that_cannot_be_is_not_billed(absurd: Report) -> None:
    settle = only(fed(relay(call(), Accepted(), WORD), absurd, Done()), do.Settle)
    assert settle.usage == Usage(3, 1, UsageSource.COUNTED)


def test_who_leaves_before_the_provider_took_the_call_on_pays_nothing() -> None:
    assert fed(relay(call(STOPS)), e.ClientDisconnected()) == [do.Close(), do.Void()]


def test_who_leaves_before_any_output_pays_for_the_input() -> None:
    settle = only(fed(relay(call(STOPS), Accepted()), e.ClientDisconnected()), do.Settle)
    assert (settle.usage, settle.minimum, settle.capped) == (Usage(3, 0, UsageSource.COUNTED), False, True)


def test_a_report_older_than_what_passed_through_is_not_the_bill_of_who_leaves() -> None:
    settle = only(fed(relay(call(STOPS), Accepted(), report(1), WORD, WORD), e.ClientDisconnected()), do.Settle)
    assert settle.usage == Usage(3, 2, UsageSource.PROVIDER)


@pytest.mark.parametrize(
    "end",
    [e.ClientDisconnected(), Done(), e.Failed(UpstreamError()), e.HoldLost(ServiceUnavailable()), e.Shutdown()],
    ids=lambda end: type(end).__name__,
)
def test_what_an_early_report_says_of_the_input_is_believed(end: e.Event) -> None:
    """With the output that came after it, however the stream ends, if the provider says no more."""
    early = Report(Usage(900, 0, UsageSource.PROVIDER, cached_tokens=800))
    settle = only(fed(relay(call(STOPS), Accepted(), early, WORD, WORD), end), do.Settle)
    assert settle.usage == Usage(900, 2, UsageSource.PROVIDER, cached_tokens=800)


def test_a_report_that_comes_again_at_the_end_is_the_bill() -> None:
    settle = only(fed(relay(call(), Accepted(), WORD, report(1), WORD), report(1), Done()), do.Settle)
    assert settle.usage == Usage(3, 1, UsageSource.PROVIDER)


def test_who_leaves_when_all_has_been_said_pays_for_a_whole_answer() -> None:
    machine = relay(call(STOPS), Accepted(), WORD, delta("", finish="stop"))
    settle = only(fed(machine, e.ClientDisconnected()), do.Settle)
    assert (machine.end_reason, settle.minimum, settle.capped) == (EndReason.FINISHED, True, False)


def test_what_is_read_for_the_bill_is_billed_to_its_end() -> None:
    machine = relay(call(BILLS_ON), Accepted(), WORD, e.ClientDisconnected())
    settle = only(fed(machine, WORD, report(40), delta("", finish="stop"), Done()), do.Settle)
    assert (settle.usage, settle.minimum, settle.capped) == (Usage(3, 40, UsageSource.PROVIDER), True, True)


def test_a_failed_settlement_is_told_as_it_is() -> None:
    fail = only(fed(relay(call(), Accepted(), WORD), Done(), e.NotSettled(ServiceUnavailable())), do.Fail)
    assert "may be charged" in fail.error.message
    assert fail.bill is None


def test_a_stream_that_broke_off_is_charged_without_the_minimum() -> None:
    machine = relay(call(), Accepted(), WORD)
    settle = only(fed(machine, e.Failed(UpstreamError())), do.Settle)
    assert not settle.minimum
    assert "broke off" in only(fed(machine, e.Settled(CLOSED)), do.Fail).error.message
