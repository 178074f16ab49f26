"""An answer that its provider paused: when it goes on, what it is billed, and what ends it."""

from typing import Any

import pytest

from domain.errors import UpstreamError
from domain.holds import HoldState
from domain.pricing import MAX_TOKENS, Usage, UsageSource
from domain.results import Closed
from domain.tokens import InputTokens
from gateway import continuations
from gateway import stream_effects as do
from gateway import stream_events as e
from gateway.call import Call
from gateway.continuations import MAX_PARTS, Continuation, Held
from gateway.relay import EndReason, Phase, Relay
from gateway.routing import Attempt
from providers.base import Accepted, Delta, Done, Paused, Report
from tests.support.doubles.chat_calls import call, route

ONE, TWO = route("one"), route("two")
WORD = Delta({"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]}, "word ")
PAUSED = Paused(({"type": "text", "text": "word"},))
WINDOW = 1000
CLOSED = Closed(HoldState.SETTLED, 10, 0, 90, 0)


def report(given: int, output: int, searches: int = 1) -> Report:
    return Report(Usage(given, output, UsageSource.PROVIDER, cached_tokens=1, web_searches=searches))


def paying(**fields: Any) -> Call:
    """A call whose hold pays for six readings of the window."""
    running = call(ONE, TWO, web_search_options={}, **fields)
    running.model = running.model.model_copy(update={"context_window": WINDOW})
    running.input = InputTokens(3, 6 * WINDOW)
    return running


def fed(relay: Relay, *events: e.Event) -> do.Effects:
    return [effect for event in events for effect in relay.feed(event)]


def test_the_same_route_goes_on_and_both_parts_are_billed() -> None:
    running = paying()
    relay = Relay(running)
    fed(relay, e.Start(), Accepted(), WORD, report(900, 10))
    assert (relay.feed(PAUSED), relay.phase) == ([do.Ask(Attempt(ONE))], Phase.RELAYING)
    request = running.upstream(ONE)
    assert (request.continues, request.output_limit, request.max_searches) == (PAUSED.content, 100 - 10, 4)
    fed(relay, Accepted(), report(700, 0, 0), WORD, report(800, 5, 2))
    (settle,) = relay.feed(Done())
    assert isinstance(settle, do.Settle)
    assert settle.usage == Usage(1700, 15, UsageSource.PROVIDER, cached_tokens=2, web_searches=3)


@pytest.mark.parametrize(
    ("used", "parts", "window", "searches"),
    [
        (Usage(900, 10, UsageSource.PROVIDER, web_searches=1), 1, WINDOW, 4),
        (Usage(3001, 10, UsageSource.PROVIDER, web_searches=2), 1, WINDOW, 1),
        (Usage(4001, 10, UsageSource.PROVIDER, web_searches=2), 1, WINDOW, None),
        (Usage(900, 10, UsageSource.PROVIDER, web_searches=5), 1, WINDOW, None),
        (Usage(900, 10, UsageSource.PROVIDER), MAX_PARTS, WINDOW, None),
        (Usage(900, 10, UsageSource.PROVIDER), 1, MAX_TOKENS, None),
        (None, 1, WINDOW, None),
    ],
)
def test_what_the_hold_pays_for(used: Usage | None, parts: int, window: int, searches: int | None) -> None:
    before = Continuation((), used, parts - 1, 5) if parts > 1 and used else None
    more = continuations.after(PAUSED, used, before, Held(6 * WINDOW, window, 5))
    assert (None if more is None else more.searches) == searches


@pytest.mark.parametrize("before", [(WORD,), (WORD, report(900, 100)), (WORD, report(5500, 10)), (report(9, 1), WORD)])
def test_it_ends_with_length_where_the_hold_pays_for_no_more(before: tuple[e.Event, ...]) -> None:
    relay = Relay(paying())
    fed(relay, e.Start(), Accepted(), *before)
    (settle,) = relay.feed(PAUSED)
    assert (type(settle), relay.end_reason) == (do.Settle, EndReason.PAUSED)
    (end,) = relay.feed(e.Settled(CLOSED))
    assert isinstance(end, do.End)
    assert [choice["finish_reason"] for last in end.last for choice in last.chunk["choices"]] == ["length"]


def test_nothing_goes_on_for_a_client_that_has_left() -> None:
    relay = Relay(paying())
    fed(relay, e.Start(), Accepted(), WORD, report(900, 10), e.ClientDisconnected())
    close, settle = relay.feed(PAUSED)
    assert (close, relay.end_reason) == (do.Close(), EndReason.CLIENT_DISCONNECTED)
    assert isinstance(settle, do.Settle)
    assert settle.usage.input_tokens == 900


def test_a_part_that_fails_is_charged_after_output_and_else_begins_anew_elsewhere() -> None:
    relay = Relay(paying())
    fed(relay, e.Start(), Accepted(), WORD, report(900, 10), PAUSED, Accepted(), report(800, 0, 0))
    close, settle = relay.feed(e.Failed(UpstreamError()))
    assert (close, relay.end_reason) == (do.Close(), EndReason.PROVIDER_FAILED)
    assert isinstance(settle, do.Settle)
    assert (settle.usage.input_tokens, settle.usage.output_tokens, settle.usage.web_searches) == (1700, 10, 1)
    running = paying()
    silent = Relay(running)
    fed(silent, e.Start(), Accepted(), report(900, 10), PAUSED, Accepted())
    assert silent.feed(e.Failed(UpstreamError())) == [do.Ask(Attempt(TWO))]
    assert (running.upstream(TWO).continues, running.upstream(TWO).output_limit) == ((), 100)
