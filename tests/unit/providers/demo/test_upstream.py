"""The demo chat behind the seam: in bytes, at its own pace, with the failures that it is told to have."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.catalog import Provider
from domain.errors import GatewayError, RequestInvalid, UpstreamError
from providers.base import ChatCall, Delta, Headers, ProviderEvent, Report, Timeouts, UpstreamCall
from providers.demo.chat import DemoChat
from providers.demo.upstream import DemoAdapter, DemoTransport
from tests.support.doubles.fetch import fetch
from tests.support.doubles.openai_streams import finishes, text_of

ADAPTER = DemoAdapter(Provider(name="demo", kind="demo", active=True))
NO_TIME = Timeouts(*[timedelta(0)] * 4)


class Sleeper:
    """Sleeps in no time, and remembers for how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Reader:
    """A sink that decodes what it hears, as the engine does."""

    def __init__(self, call: ChatCall) -> None:
        self.call = call
        self.decoder = ADAPTER.decoder(call)
        self.events: list[ProviderEvent] = []
        self.status = 0
        self.body = b""
        self.error: GatewayError | None = None
        self.ended = asyncio.Event()
        self.exchange: UpstreamCall | None = None
        self.reads = 0
        self.closes_after = 0

    def head(self, status: int, headers: Headers) -> None:
        self.status = status
        if status == 200:
            self.events.extend(self.decoder.begin(headers))

    def data(self, data: bytes) -> None:
        self.reads += 1
        self.body += data
        if self.status == 200:
            self.events.extend(self.decoder.feed(data))
        if self.closes_after == self.reads and self.exchange is not None:
            self.exchange.close()

    def end(self) -> None:
        if self.status == 200:
            self.events.extend(self.decoder.eof())
        else:
            self.error = ADAPTER.error(self.call, self.status, {}, self.body)
        self.ended.set()

    def fail(self, error: GatewayError) -> None:
        self.error = error
        self.ended.set()


def call(text: str = "hi", model: str = "chat", **body: Any) -> ChatCall:
    messages = [{"role": "user", "content": text}]
    return ChatCall(model, {"messages": messages} | body, 4000, stream=True, choices=body.get("n") or 1)


def begin(chat_call: ChatCall, transport: DemoTransport) -> Reader:
    reader = Reader(chat_call)
    reader.exchange = transport.open(ADAPTER.request(chat_call), NO_TIME, reader)
    return reader


async def streamed(chat_call: ChatCall, sleep: Sleeper | None = None) -> Reader:
    reader = begin(chat_call, DemoTransport(DemoChat(sleep=sleep or Sleeper())))
    await reader.ended.wait()
    return reader


async def whole(chat_call: ChatCall, sleep: Sleeper | None = None) -> Any:
    transport = DemoTransport(DemoChat(sleep=sleep or Sleeper()))
    plain = ChatCall(chat_call.model, chat_call.body, chat_call.output_limit, stream=False)
    request = ADAPTER.request(plain)
    status, headers, body = await fetch(transport, request, NO_TIME, 1_000_000)
    if status != 200:
        raise ADAPTER.error(plain, status, headers, body)
    return ADAPTER.answer(plain, body)


async def test_a_stream_and_a_whole_answer_say_the_same() -> None:
    chat_call = call("who are you?", n=2)
    reader, answer = await streamed(chat_call), await whole(chat_call)
    assert reader.error is None
    for index in (0, 1):
        assert text_of(reader.events, index=index) == answer.body["choices"][index]["message"]["content"]
    assert finishes(reader.events) == [(0, "stop"), (1, "stop")]
    (report,) = [event.usage for event in reader.events if isinstance(event, Report)]
    assert report == answer.usage


async def test_usage_is_told_only_when_asked_for() -> None:
    chat_call = replace(call(), drops=frozenset({"stream_options"}))
    assert not [event for event in (await streamed(chat_call)).events if isinstance(event, Report)]


async def test_it_takes_as_long_as_it_is_told_whatever_the_timeouts_are() -> None:
    for ask in (streamed, whole):
        sleeper = Sleeper()
        await ask(call("hi [seconds=8]", "chat-slow"), sleeper)
        assert sum(sleeper.slept) == pytest.approx(8)


async def test_the_failing_model_fails_before_it_says_anything() -> None:
    reader = await streamed(call(model="chat-fail"))
    assert (reader.status, type(reader.error), reader.events) == (500, UpstreamError, [])
    with pytest.raises(UpstreamError):
        await whole(call(model="chat-fail"))


async def test_the_broken_model_breaks_off() -> None:
    reader = await streamed(call(model="chat-broken"))
    assert (reader.status, type(reader.error)) == (200, UpstreamError)
    assert text_of(reader.events) == "Hello! It is good to"
    assert finishes(reader.events) == []
    with pytest.raises(UpstreamError):
        await whole(call(model="chat-broken"))


async def test_what_is_the_callers_fault_is_told() -> None:
    for ask in (call(n=1000), call(n=0)):
        reader = await streamed(ask)
        assert isinstance(reader.error, RequestInvalid)
        assert (reader.error.param, reader.error.message) == ("n", "'n' must be between 1 and 16.")


async def test_a_model_that_it_does_not_know_is_this_routes_fault() -> None:
    error = (await streamed(call(model="gpt"))).error
    assert type(error) is UpstreamError
    assert error.retryable


async def test_it_waits_for_who_reads_slowly() -> None:
    reader = begin(call(), DemoTransport(DemoChat(sleep=Sleeper())))
    assert reader.exchange is not None
    reader.exchange.pause()
    for _ in range(100):
        await asyncio.sleep(0)
    assert reader.events == []
    reader.exchange.resume()
    await reader.ended.wait()
    assert text_of(reader.events)


async def test_nothing_is_said_after_it_was_closed() -> None:
    transport = DemoTransport(DemoChat(sleep=Sleeper()))
    before = begin(call(), transport)
    assert before.exchange is not None
    before.exchange.close()
    within = begin(call(), transport)
    within.closes_after = 3
    after = await streamed(call())
    assert after.error is None
    for _ in range(100):
        await asyncio.sleep(0)
    assert (before.reads, within.reads) == (0, 3)
    assert not before.ended.is_set()
    assert not within.ended.is_set()
    assert len([event for event in within.events if isinstance(event, Delta)]) == 3


async def test_closing_the_transport_ends_what_runs() -> None:
    transport = DemoTransport(DemoChat())
    reader = begin(call("hi [seconds=600]", "chat-slow"), transport)
    await transport.close()
    assert reader.reads == 0


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"user": 5}, "user"),
        ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": {"a": "x" * 513}}, "metadata"),
        ({"metadata": {"a" * 65: "x"}}, "metadata"),
        ({"metadata": "x"}, "metadata"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_what_no_provider_is_sent_is_checked_too(body: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        ADAPTER.request(ChatCall("chat", {"messages": [], **body}, 10))
    assert refused.value.param == param


@pytest.mark.parametrize(
    "body",
    [
        {"user": "u", "metadata": {str(number): "x" * 512 for number in range(16)}},
        {"user": None, "metadata": None, "stream_options": None},
        {"stream": True, "stream_options": {"include_usage": True}},
    ],
)
def test_what_openai_takes_and_no_provider_is_sent_is_taken(body: dict[str, Any]) -> None:
    request = ADAPTER.request(ChatCall("chat", {"messages": [], **body}, 10, stream=bool(body.get("stream"))))
    assert b'"user"' not in request.body
    assert b'"metadata"' not in request.body
