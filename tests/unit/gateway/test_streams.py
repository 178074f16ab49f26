"""A stream carried out: from a provider's bytes to what its client gets, with the money right at every end."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

import pytest

from domain.catalog import Capability, Prices, Route
from domain.errors import GatewayError, RequestInvalid, ServiceUnavailable, UpstreamError
from domain.limits import NO_LIMITS
from domain.meters import TokenPrices, per_thousand
from domain.pricing import Usage, UsageSource
from domain.tokens import InputTokens
from gateway import upstream_streams
from gateway.abandoned_streams import AbandonedStreams
from gateway.call import Call
from gateway.calls import Calls
from gateway.streams import Stream
from gateway.wire import Bill
from providers.base import Accepted, Delta, Done, Paused, Report
from tests.support.doubles.chat_calls import CATALOG, Books, FakeUpstream, call, count, route, upstreams
from tests.support.stack import eventually


def word(text: str = "word ") -> Delta:
    return Delta({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}, text)


LAST = Delta({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, finished=(0,))
REPORT = Report(Usage(3, 2, UsageSource.PROVIDER))
GROWS = route("one", Capability.METERABLE, Capability.ABORT_STOPS_BILLING)
STOPS = route("one", Capability.ABORT_STOPS_BILLING)


class PlainWriter:
    """Writes the text alone, and the end in words."""

    KEEP_ALIVE: ClassVar = b"~"

    def delta(self, delta: Delta) -> bytes:
        return delta.text.encode()

    def held(self, credits: int) -> bytes:
        return b"<held %d>" % credits

    def end(self, last: Sequence[Delta], bill: Bill) -> bytes:
        return b"<end %d>" % bill.charged

    def fail(self, error: GatewayError, bill: Bill | None) -> bytes:
        return f"<{error.code} {'?' if bill is None else bill.charged}>".encode()


class BrokenWriter(PlainWriter):
    def delta(self, delta: Delta) -> bytes:
        raise ZeroDivisionError


class BrokenEndWriter(PlainWriter):
    def end(self, last: Sequence[Delta], bill: Bill) -> bytes:
        raise ZeroDivisionError


class Client:
    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.reads = True
        self.refused: GatewayError | None = None
        self.ended = asyncio.Event()

    @property
    def text(self) -> str:
        return b"".join(self.writes).decode()

    def write(self, data: bytes) -> bool:
        self.writes.append(data)
        return self.reads

    def fail(self, error: GatewayError, data: bytes, *, produced: bool) -> None:
        if produced:
            self.writes.append(data)
        else:
            self.refused = error

    def end(self) -> None:
        self.ended.set()


class Scene:
    """One stream between a fake client and fake providers."""

    def __init__(self, *routes: Route, of: Call | None = None, writer: PlainWriter | None = None) -> None:
        self.books, self.client = Books(), Client()
        self.one, self.two = FakeUpstream(), FakeUpstream()
        self.calls = Calls(self.books, lambda: CATALOG, upstreams(one=self.one, two=self.two), count, NO_LIMITS)
        self.call = of or call(*routes)
        self.calls.live[self.call.hold_id] = self.call
        self.stream: Stream = self.calls.stream(self.call, writer or PlainWriter(), self.client)

    def start(self) -> "Scene":
        self.stream.start()
        self.one.sink.head(200, {})
        self.one.says(Accepted())
        return self

    async def end(self) -> str:
        await asyncio.wait_for(self.client.ended.wait(), 10)
        assert not self.calls.live
        assert self.one.exchanges[-1].closed
        return self.client.text


async def test_what_a_provider_says_is_sent_in_the_same_turn_and_in_one_write() -> None:
    scene = Scene().start()
    scene.one.says(word("a "), word("b "))
    assert scene.client.writes == [b"a b "]
    scene.one.says(LAST, REPORT, Done())
    assert await scene.end() == "a b <end 10>"
    (settled,) = scene.books.settled
    assert settled.usage == Usage(3, 2, UsageSource.PROVIDER)
    assert settled.provider == "one"


async def test_a_client_that_is_behind_stops_the_provider_until_it_reads_on() -> None:
    scene = Scene().start()
    scene.client.reads = False
    scene.one.says(word())
    assert scene.one.exchanges[0].paused
    scene.client.reads = True
    scene.stream.client_reads_on()
    assert not scene.one.exchanges[0].paused


async def test_a_client_that_is_behind_and_leaves_does_not_stop_what_is_read_for_its_bill() -> None:
    scene = Scene(route("one")).start()
    scene.client.reads = False
    scene.one.says(word())
    scene.stream.client_disconnected()
    assert not scene.one.exchanges[0].paused
    scene.one.says(LAST, REPORT, Done())
    assert await eventually(scene.books.has_a_request)
    assert scene.books.settled[0].minimum
    assert scene.books.settled[0].capped


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_call_has_ended_once_when_nothing_of_it_goes_on(*, leaves: bool) -> None:
    """Also without its client: what it has in memory is counted until then."""
    scene, ends = Scene(route("one")).start(), list[bool]()
    scene.call.ended = lambda: ends.append(True)
    scene.one.says(word())
    if leaves:
        scene.stream.client_disconnected()
    assert not ends
    scene.one.says(LAST, REPORT, Done())

    async def closed() -> bool:
        return not scene.calls.live

    assert await eventually(closed)
    assert ends == [True]


async def test_one_that_leaves_is_charged_for_what_was_produced() -> None:
    scene = Scene(STOPS).start()
    scene.one.says(word())
    scene.stream.client_disconnected()
    assert scene.one.exchanges[0].closed
    assert await eventually(scene.books.has_a_request)
    (settled,) = scene.books.settled
    assert (settled.minimum, settled.usage) == (False, Usage(3, 1, UsageSource.COUNTED))


@pytest.mark.parametrize("most", [0, 1])
async def test_only_so_many_are_read_for_their_bill(most: int) -> None:
    scene = Scene(route("one"))
    scene.calls.abandoned = AbandonedStreams(max_for_bill=most)
    scene.start().one.says(word())
    scene.stream.client_disconnected()
    assert len(scene.calls.abandoned) == most
    assert scene.one.exchanges[0].closed == (most == 0)
    scene.stream.shutdown()
    assert await eventually(scene.books.has_a_request)
    assert len(scene.calls.abandoned) == 0


async def test_a_hold_grows_before_what_it_pays_for_is_sent() -> None:
    scene = Scene(of=call(GROWS, paid=1, output_limit=None))
    scene.books.may_extend = 2
    scene.start().one.says(word("a b "))
    assert (scene.client.text, scene.one.exchanges[0].paused) == ("", True)
    assert await eventually(lambda: _soon(bool(scene.client.writes)))
    assert (scene.client.text, scene.one.exchanges[0].paused) == ("<held 102>a b ", False)
    scene.one.says(word("c "))
    assert await scene.end() == "<held 102>a b <end 10>"


async def test_a_pause_that_came_while_the_hold_grew_is_followed_by_the_next_part() -> None:
    running = call(GROWS, paid=1, output_limit=None, web_search_options={})
    running.model, running.input = running.model.model_copy(update={"context_window": 10}), InputTokens(3, 60)
    scene = Scene(of=running)
    scene.books.may_extend = 3
    scene.start().one.says(word("a b "), Report(Usage(3, 2, UsageSource.PROVIDER, web_searches=1)), Paused(()))
    assert len(scene.one.exchanges) == 1
    assert await eventually(lambda: _soon(bool(scene.client.writes)))
    assert [(each.paused, each.closed) for each in scene.one.exchanges[1:]] == [(False, False)]
    assert scene.one.exchanges[0].closed
    scene.one.sink.head(200, {})
    scene.one.says(Accepted(), LAST, Report(Usage(4, 1, UsageSource.PROVIDER, web_searches=2)), Done())
    assert await scene.end() == "<held 102>a b <end 10>"
    assert scene.books.settled[0].usage == Usage(7, 3, UsageSource.PROVIDER, web_searches=3)


async def _soon(is_so: bool) -> bool:
    return is_so


async def test_a_fault_of_ours_in_one_route_is_counted_and_the_next_one_answers() -> None:
    scene = Scene(route("one"), route("two"))
    scene.one.request_fault = ZeroDivisionError()
    scene.stream.start()
    scene.two.sink.head(200, {})
    scene.two.says(Accepted(), word(), LAST, Done())
    await asyncio.wait_for(scene.client.ended.wait(), 10)
    assert scene.client.text == "word <end 10>"
    assert scene.calls.faults.by_provider == {"one": 1}
    assert scene.books.settled[0].provider == "two"


async def test_a_fault_of_ours_in_a_decoder_is_the_providers_failure_to_the_client() -> None:
    scene = Scene().start()
    scene.one.says(word(), KeyError("SECRET"))
    assert await scene.end() == "word <upstream_error 10>"
    assert not scene.books.settled[0].minimum
    assert scene.calls.faults.by_provider == {"one": 1}


async def test_what_came_before_the_fault_in_one_part_is_sent() -> None:
    scene = Scene().start()
    scene.one.says(word("a "), word("b "), UpstreamError())
    assert await scene.end() == "a b <upstream_error 10>"


async def test_a_status_other_than_200_is_what_the_adapter_says_it_is() -> None:
    scene = Scene()
    scene.stream.start()
    scene.one.sink.head(418, {})
    scene.one.sink.data(b"tea")
    scene.one.sink.end()
    await scene.end()
    assert str(scene.client.refused) == "418 tea"
    assert scene.books.voided


async def test_a_request_that_the_provider_cannot_take_is_refused() -> None:
    scene = Scene()
    scene.one.request_fault = RequestInvalid("no", param="x")
    scene.stream.start()
    await asyncio.wait_for(scene.client.ended.wait(), 10)
    assert isinstance(scene.client.refused, RequestInvalid)
    assert scene.books.voided


async def test_a_fault_of_ours_in_the_writer_ends_the_stream_with_the_money_right() -> None:
    scene = Scene(writer=BrokenWriter()).start()
    scene.one.says(word())
    assert await scene.end() == "<internal_error 10>"
    assert not scene.books.settled[0].minimum


async def test_an_end_that_cannot_be_written_is_an_error_with_the_charge() -> None:
    scene = Scene(writer=BrokenEndWriter()).start()
    scene.one.says(word(), LAST, Done())
    assert await scene.end() == "word <internal_error 10>"
    assert scene.books.settled[0].minimum


async def test_a_hold_whose_charge_cannot_be_made_is_renewed_no_more() -> None:
    """Renewed for ever, its credits would be held for ever: the sweeper ends it when its lease has run out."""
    odd = call(route().model_copy(update={"costs": Prices(tokens=None).model_copy(update={"tokens": "broken"})}))
    scene = Scene(of=odd).start()
    scene.one.says(word(), LAST, Done())
    assert await scene.end() == "word <service_unavailable ?>"
    assert not scene.books.settled


@pytest.mark.parametrize("fault", [ZeroDivisionError(), ServiceUnavailable()])
async def test_a_hold_that_cannot_be_asked_to_grow_ends_its_stream(fault: Exception) -> None:
    scene = Scene(of=call(GROWS, paid=2, output_limit=None)).start()
    scene.one.says(word("a b "))
    scene.books.extend_fault = fault
    scene.one.says(word("c d "))
    assert (await scene.end()).startswith("a b <")
    assert scene.books.settled[0].usage == Usage(3, 2, UsageSource.COUNTED)


@pytest.mark.parametrize(("tier", "cost"), [(None, 6), ("flex", 3), ("default", 6), ("priority", 6)])
async def test_what_a_provider_bills_follows_the_service_tier(tier: str | None, cost: int) -> None:
    standard, flex = (per_thousand(input=Decimal(rate), output=Decimal(4 * rate)) for rate in (2, 1))
    costs = Prices(tokens=TokenPrices(standard, service_tiers={"flex": TokenPrices(flex)}))
    scene = Scene(of=call(route().model_copy(update={"costs": costs}), service_tier=tier)).start()
    scene.one.says(word(), LAST, Report(Usage(1000, 500, UsageSource.PROVIDER)), Done())
    await scene.end()
    assert scene.books.settled[0].cost == cost * 10**9


async def test_a_ledger_that_is_away_is_told() -> None:
    scene = Scene().start()
    scene.one.says(word(), LAST)
    scene.books.error = ServiceUnavailable()
    scene.one.says(Done())
    assert await scene.end() == "word <service_unavailable ?>"


async def test_a_stopping_server_settles_and_says_so() -> None:
    scene = Scene().start()
    scene.one.says(word())
    await scene.calls.drain()
    assert await scene.end() == "word <service_unavailable 10>"


async def test_comments_without_end_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_streams, "MAX_SILENT_BYTES", 20)
    scene = Scene().start()
    scene.one.says(word())
    for _ in range(40):
        scene.one.says()
    assert await scene.end() == "word <upstream_error 10>"


async def test_chunks_without_content_are_cut_when_they_are_more_than_an_answer_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream_streams, "MAX_BYTES_BESIDE", 20)
    monkeypatch.setattr(upstream_streams, "MAX_BYTES_PER_TOKEN", 0)
    scene = Scene().start()
    scene.one.says(word())
    for _ in range(40):
        scene.one.says(word(""))
    assert await scene.end() == "word <upstream_error 10>"


async def test_a_large_request_is_written_off_the_loop() -> None:
    large = call()
    large.request = replace(large.request, big=True)
    scene = Scene(of=large)
    scene.stream.start()
    assert await eventually(lambda: _soon(bool(scene.one.exchanges)))
    assert threading.get_ident() not in scene.one.threads
    scene.one.sink.head(200, {})
    scene.one.says(Accepted(), word(), LAST, REPORT, Done())
    assert await scene.end() == "word <end 10>"


async def test_a_client_that_leaves_before_a_large_request_is_written_is_not_asked_for() -> None:
    large = call(STOPS)
    large.request = replace(large.request, big=True)
    scene = Scene(of=large)
    scene.stream.start()
    scene.stream.client_disconnected()
    assert await eventually(lambda: _soon(not scene.calls.live))
    await asyncio.sleep(0.05)
    assert (scene.one.exchanges, len(scene.books.voided)) == ([], 1)


async def test_a_provider_that_keeps_the_loop_busy_is_read_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_streams, "LOOP_BURST_SECONDS", 0.0)
    scene = Scene().start()
    scene.one.says(word())
    exchange = scene.one.exchanges[0]
    assert exchange.paused
    assert await eventually(lambda: _soon(not exchange.paused))
    scene.one.says(LAST, Done())
    assert await scene.end() == "word <end 10>"
