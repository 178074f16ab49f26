"""A stream's client behind ASGI: written to on the spot, waited for when it is behind, let go when it is gone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from api import stream_response
from api.stream_response import StreamResponse
from domain.errors import UpstreamBusy
from domain.limits import NO_LIMITS
from gateway.calls import Calls
from providers.base import Accepted, Delta, Done
from tests.doubles.chat_calls import CATALOG, Books, FakeUpstream, call, count, upstreams
from tests.stack import eventually
from tests.unit.gateway.test_streams import LAST, PlainWriter, word


class Connection:
    """What an ASGI server gives an application."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.drained = asyncio.Event()
        self.drained.set()
        self.left = asyncio.Event()

    async def send(self, message: Any) -> None:
        if not self.drained.is_set():
            await self.drained.wait()
        self.messages.append(message)

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.messages).decode()


class Scene:
    def __init__(self, *, dropped: tuple[str, ...] = ()) -> None:
        self.connection, self.books, self.provider = Connection(), Books(), FakeUpstream(dropped)
        self.calls = Calls(self.books, lambda: CATALOG, upstreams(one=self.provider), count, NO_LIMITS)
        self.call = call()
        self.calls.live[self.call.hold_id] = self.call
        client = StreamResponse(self.connection.send, PlainWriter.KEEP_ALIVE)
        stream = self.calls.stream(self.call, PlainWriter(), client)
        scope = {"type": "http", "state": {}}
        self.serving = asyncio.create_task(client.serve(stream, scope, self.connection.receive))

    async def begin(self) -> "Scene":
        assert await eventually(_is(lambda: bool(self.provider.exchanges)))
        self.provider.sink.head(200, {})
        self.provider.says(Accepted())
        return self


def _is(what: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def found() -> bool:
        return what()

    return found


async def test_what_is_written_is_sent_in_the_same_turn() -> None:
    scene = await Scene(dropped=("seed", "top_k")).begin()
    assert scene.connection.messages == []
    scene.provider.says(word("a "))
    assert scene.connection.text == "a "
    scene.provider.says(word("b "), LAST, Done())
    await scene.serving
    assert scene.connection.text == "a b <end 10>"
    start, *parts = scene.connection.messages
    assert (b"x-yout-dropped-parameters", b"seed, top_k") in start["headers"]
    assert [part["more_body"] for part in parts] == [True, True, True, False]


async def test_a_client_that_is_behind_gets_it_all_when_it_reads_on() -> None:
    scene = await Scene().begin()
    scene.provider.says(word("a "))
    scene.connection.drained.clear()
    for text in ("b ", "c ", "d "):
        scene.provider.says(word(text))
    assert scene.provider.exchanges[0].paused
    scene.connection.drained.set()
    assert await eventually(_is(lambda: not scene.provider.exchanges[0].paused))
    scene.provider.says(LAST, Done())
    await scene.serving
    assert scene.connection.text == "a b c d <end 10>"


async def test_a_client_that_does_not_read_is_charged_once_for_what_was_produced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_response, "MAX_STALL_SECONDS", 0.01)
    scene = await Scene().begin()
    scene.connection.drained.clear()
    scene.provider.says(word("one "), word("two "))
    await scene.serving
    scene.provider.says(LAST, Done())
    assert await eventually(scene.books.is_asked)
    (settled,) = scene.books.settled
    assert settled.usage is not None
    assert settled.usage.output_tokens == 2
    assert settled.capped


async def test_one_that_leaves_is_noticed_though_nothing_is_written() -> None:
    scene = await Scene().begin()
    scene.connection.left.set()
    await scene.serving
    assert len(scene.calls.abandoned) == 1
    scene.provider.says(word(), LAST, Done())
    assert await eventually(scene.books.is_asked)
    assert scene.connection.text == ""


async def test_silence_is_filled_with_comments_and_the_headers_go_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_response, "SILENCE_SECONDS", 0.05)
    scene = await Scene().begin()
    assert await eventually(_is(lambda: scene.connection.text.startswith("~~")))
    assert scene.connection.messages[0]["status"] == 200
    scene.provider.sink.fail(UpstreamBusy())
    await scene.serving
    assert scene.connection.text.strip("~") == "<rate_limit_exceeded 0>"


async def test_what_fails_before_any_output_is_an_answer_with_its_status() -> None:
    scene = await Scene().begin()
    scene.provider.sink.fail(UpstreamBusy())
    await scene.serving
    start, body = scene.connection.messages
    assert start["status"] == 429
    assert b"rate_limit_exceeded" in body["body"]


async def test_an_empty_delta_sends_nothing() -> None:
    scene = await Scene().begin()
    scene.provider.says(Delta({"choices": [{"index": 0, "delta": {}, "finish_reason": None}]}))
    assert scene.connection.messages == []
    scene.provider.says(LAST, Done())
    await scene.serving
    assert scene.connection.text == "<end 10>"
