"""What comes with a client wire: keys, limits, whole answers, streams and errors, all in the wire's own words."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import pytest

import api.app
from api.wire.base import ClientWire
from domain.errors import GatewayError, RateLimited
from domain.pricing import Usage, UsageSource
from gateway import replays
from gateway.replays import Replayed
from gateway.wire import Bill, CompletedAnswer, ModelCall
from tests.support import wire_app
from tests.support.adapter_case import provider
from tests.support.toy_provider import BYE, HI, ONE, TWO, USED, ToyAdapter, lines
from tests.support.toy_wire import ToyWire
from tests.support.wire_app import WireApp

KEY = {"toy-key": wire_app.KEY}
TALK = {"to": "demo-chat", "say": ["Hello"], "most": 20}


class Toys(WireApp):
    def __init__(self) -> None:
        super().__init__(ToyAdapter(provider("toy")), [ToyWire()])

    async def talk(self, body: Any = TALK, headers: Mapping[str, str] = KEY, **live: bool) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body | live).encode()
        return await self.http.post("/toy/talk", content=content, headers=dict(headers))


@pytest.fixture
async def toys() -> AsyncIterator[Toys]:
    toys = Toys()
    async with toys.http:
        yield toys


async def test_a_whole_answer(toys: Toys) -> None:
    toys.transport.answer = json.dumps({"text": "one two", "use": [9, 2]}).encode()
    answer = await toys.talk()
    assert (answer.status_code, answer.text) == (200, "one two\n— 10 credits")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-yout-credits-charged"] == "10"
    (request,) = toys.transport.requests
    assert json.loads(request.body) == {"say": ["Hello"], "most": 20, "live": False}


async def test_a_stream_of_the_same_wire_passes_as_it_is(toys: Toys) -> None:
    toys.transport.answer = b'{"hi": 1}\n{"w": "one ", "signed": "x9"}\n' + lines(TWO, USED, BYE)
    answer = await toys.talk(live=True)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text == '{"w": "one ", "signed": "x9"}\n' + lines(TWO, BYE).decode() + '{"cost":10}\n'


async def test_a_stream_that_breaks_says_so_in_its_own_words(toys: Toys) -> None:
    toys.transport.answer = lines(HI, ONE, {"oops": "x"})
    answer = await toys.talk(live=True)
    assert answer.text == lines(ONE).decode() + '{"oops":"upstream_error","cost":10}\n'


FAILURES: Mapping[str, tuple[Any, dict[str, str], str]] = {
    "no key": (TALK, {}, "oops 401 invalid_api_key"),
    "not JSON": (b"{", KEY, "oops 400 invalid_json"),
    "a wrong field": ({"to": "demo-chat"}, KEY, "oops 400 invalid_type"),
    "no such model": (TALK | {"to": "nobody"}, KEY, "oops 404 model_not_found"),
    "too large": (b" " * 3000, KEY, "oops 413 request_too_large"),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_every_failure_is_worded_by_the_wire(toys: Toys, case: str) -> None:
    body, headers, text = FAILURES[case]
    answer = await toys.talk(body, headers)
    assert answer.text.startswith(f"{text} ({answer.headers['x-request-id']}): ")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert str(answer.status_code) in text


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(("error", "text"), [(RateLimited(), "429"), (GatewayError(), "500")])
async def test_what_the_ledger_refuses(toys: Toys, error: GatewayError, text: str, live: bool) -> None:
    toys.books.error = error
    answer = await toys.talk(live=live)
    assert (answer.status_code, answer.text[:8]) == (int(text), f"oops {text}")
    assert ("retry-after" in answer.headers) == (text == "429")


@pytest.mark.parametrize("live", [False, True])
async def test_what_a_provider_refuses(toys: Toys, live: bool) -> None:
    toys.transport.status = 429
    answer = await toys.talk(live=live)
    assert (answer.status_code, answer.text[:8]) == (429, "oops 429")
    assert toys.books.voided


async def test_another_method(toys: Toys) -> None:
    answer = await toys.http.get("/toy/talk/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")
    assert answer.text.startswith("oops 405 ")


@pytest.mark.parametrize("wire", [*api.app.WIRES, ToyWire()], ids=lambda wire: wire.path)
def test_a_replay_says_all_of_the_answer(wire: ClientWire) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"q": "cut'}}
    message = {"role": "assistant", "content": "one two", "tool_calls": [{"index": 0, **call}]}
    choices = [{"index": 0, "message": message, "finish_reason": "length"}]
    body = {"id": "chatcmpl-1", "created": 1, "model": "demo-chat", "choices": choices, "usage": {}}
    bill = Bill(Usage(9, 2, UsageSource.PROVIDER), charged=10, balance=90, held=20)
    answer = CompletedAnswer(body, json.dumps(body).encode())
    request = ModelCall("demo-chat", {"messages": []}, stream=True)
    if wire.writer is not None:
        assert b"one two" in replays.stream(wire.writer, request, Replayed(answer, bill, 20, ()))
    if wire.whole is not None:
        assert b"one two" in wire.whole(answer, bill)
