"""A stream's client: written to on the spot, waited for when it is behind, let go when it is gone."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from starlette.types import Message, Scope

from api import stream_response
from api.exchange import Headers, StreamClient
from api.stream_response import StreamResponse
from domain.errors import UpstreamBusy
from domain.limits import NO_LIMITS
from gateway.calls import Calls
from providers.base import Accepted, Delta, Done
from tests.support.doubles.chat_calls import CATALOG, Books, FakeUpstream, call, count, upstreams
from tests.support.stack import eventually
from tests.unit.gateway.test_streams import LAST, PlainWriter, word


class Connection:
    """Implements `api.exchange.Exchange`: what its client takes, and when it does not."""

    def __init__(self) -> None:
        self.scope: Scope = {"type": "http", "state": {}}
        self.begun = False
        self.status = 0
        self.headers: Headers = ()
        self.parts: list[bytes] = []
        self.full = self.complete = self.aborted = False
        self.client: StreamClient | None = None

    async def receive(self) -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        self.begun, self.status, self.headers, self.parts, self.complete = True, status, headers, [body], True

    def listen(self, client: StreamClient) -> None:
        self.client = client

    def begin(self, headers: Headers) -> None:
        self.begun, self.status, self.headers = True, 200, headers

    def write(self, data: bytes) -> bool:
        self.parts.append(data)
        return not self.full

    def unsent(self) -> int:
        return 1

    async def end(self) -> None:
        self.complete = True

    def abort(self) -> None:
        self.aborted = True

    def leave(self) -> None:
        assert self.client is not None
        self.client.gone()

    def read_on(self) -> None:
        self.full = False
        assert self.client is not None
        self.client.writable()

    @property
    def text(self) -> str:
        return b"".join(self.parts).decode()


class Scene:
    def __init__(self, *, dropped: tuple[str, ...] = ()) -> None:
        self.connection, self.books, self.provider = Connection(), Books(), FakeUpstream(dropped)
        self.calls = Calls(self.books, lambda: CATALOG, upstreams(one=self.provider), count, NO_LIMITS)
        self.call = call()
        self.calls.live[self.call.hold_id] = self.call
        client = StreamResponse(self.connection, "text/plain", PlainWriter.KEEP_ALIVE)
        self.serving = asyncio.create_task(client.serve(self.calls.stream(self.call, PlainWriter(), client)))

    async def begin(self) -> "Scene":
        assert await eventually(_is(lambda: bool(self.provider.exchanges)))
        self.provider.sink.head(200, {})
        self.provider.says(Accepted())
        return self


def _is(what: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return what()

    return holds


async def test_what_is_written_is_sent_in_the_same_turn() -> None:
    scene = await Scene(dropped=("seed", "top_k")).begin()
    assert not scene.connection.begun
    scene.provider.says(word("a "))
    assert scene.connection.text == "a "
    scene.provider.says(word("b "), LAST, Done())
    await scene.serving
    assert scene.connection.text == "a b <end 10>"
    assert (b"content-type", b"text/plain") in scene.connection.headers
    assert (b"x-yout-dropped-parameters", b"seed, top_k") in scene.connection.headers
    assert len(scene.connection.parts) == 3
    assert scene.connection.complete


async def test_a_client_that_is_behind_gets_it_all_when_it_reads_on() -> None:
    scene = await Scene().begin()
    scene.provider.says(word("a "))
    scene.connection.full = True
    for text in ("b ", "c ", "d "):
        scene.provider.says(word(text))
    assert scene.provider.exchanges[0].paused
    scene.connection.read_on()
    assert not scene.provider.exchanges[0].paused
    scene.provider.says(LAST, Done())
    await scene.serving
    assert scene.connection.text == "a b c d <end 10>"


async def test_a_client_that_does_not_read_is_charged_once_for_what_was_produced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_response, "MAX_STALL_SECONDS", 0.01)
    scene = await Scene().begin()
    scene.connection.full = True
    scene.provider.says(word("one "), word("two "))
    await scene.serving
    assert scene.connection.aborted
    scene.provider.says(LAST, Done())
    assert await eventually(scene.books.has_a_request)
    (settled,) = scene.books.settled
    assert settled.usage is not None
    assert settled.usage.output_tokens == 2
    assert settled.capped


async def test_a_stream_that_ends_before_its_client_has_caught_up_is_complete_when_it_has() -> None:
    scene = await Scene().begin()
    scene.connection.full = True
    scene.provider.says(word("a "), LAST, Done())
    assert await eventually(scene.books.has_a_request)
    await asyncio.sleep(0)
    assert not scene.connection.complete
    scene.connection.read_on()
    await scene.serving
    assert scene.connection.complete
    assert scene.connection.text == "a <end 10>"


async def test_one_that_leaves_is_noticed_though_nothing_is_written() -> None:
    scene = await Scene().begin()
    scene.connection.leave()
    await scene.serving
    assert len(scene.calls.abandoned) == 1
    scene.provider.says(word(), LAST, Done())
    assert await eventually(scene.books.has_a_request)
    assert scene.connection.text == ""


async def test_silence_is_filled_with_comments_and_the_headers_go_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_response, "SILENCE_SECONDS", 0.05)
    scene = await Scene().begin()
    assert await eventually(_is(lambda: scene.connection.text.startswith("~~")))
    assert scene.connection.status == 200
    scene.provider.sink.fail(UpstreamBusy(retry_after=timedelta(minutes=1)))
    await scene.serving
    assert scene.connection.text.strip("~") == "<rate_limit_exceeded 0>"


async def test_what_fails_before_any_output_is_raised_for_who_answers_with_its_status() -> None:
    scene = await Scene().begin()
    scene.provider.sink.fail(UpstreamBusy(retry_after=timedelta(minutes=1)))
    with pytest.raises(UpstreamBusy):
        await scene.serving
    assert not scene.connection.begun


async def test_an_empty_delta_sends_nothing() -> None:
    scene = await Scene().begin()
    scene.provider.says(Delta({"choices": [{"index": 0, "delta": {}, "finish_reason": None}]}))
    assert not scene.connection.begun
    scene.provider.says(LAST, Done())
    await scene.serving
    assert scene.connection.text == "<end 10>"
