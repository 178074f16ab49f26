"""Requests that are nothing but work: while they are read, counted and translated, others are served."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
import pytest

from dev import ports
from tests.clients.conftest import OpenAccount
from tests.support import edge_requests
from tests.support.edge_requests import WIRES
from tests.support.measured_server import MeasuredServer, measured
from tests.support.stack import Stack

MAX_CALLS = 200_000
"""Calls of functions by the event loop at a stretch."""
MANY, SMALL = 30_000, 1500
"""Parts of a large request, which is read in a thread, and of one of less than 64 KiB, which is not."""
Attack = Callable[[int], dict[str, Any]]


def _messages(kind: str) -> Attack:
    return lambda many: {"messages": [{"role": "user", "content": [{"type": kind, "text": "a"}] * many}]}


def _nested(many: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "pattern": "(a+)+$"}
    for _ in range(50):
        schema = {"type": "object", "properties": {"a": schema}}
    return {"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}] * (many // 50)}


def _fields(many: int) -> dict[str, Any]:
    return {f"field-{number}": "x" for number in range(many)}


def _calls(many: int) -> dict[str, Any]:
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    items = [[call | {"call_id": f"c{each}"}, _result(each)] for each in range(many // 4)]
    return {"input": [item for pair in items for item in pair]}


def _result(number: int) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": f"c{number}", "output": "x"}


_CHAT: Mapping[str, Attack] = {
    "parts": _messages("text"),
    "messages": lambda many: {"messages": [{"role": "user", "content": "a"}] * many},
    "nested tools": _nested,
    "a bias": lambda many: {"logit_bias": {str(each): 1 for each in range(many)}},
    "stops": lambda many: {"stop": ["a" * 20] * many},
}
_MESSAGES: Mapping[str, Attack] = {
    "blocks": _messages("text"),
    "system": lambda n: {"system": [{"type": "text", "text": "a"}] * n},
}
_RESPONSES: Mapping[str, Attack] = {
    "parts": lambda n: {"input": _messages("input_text")(n)["messages"]},
    "calls": _calls,
}
ATTACKS: Mapping[str, Mapping[str, Attack]] = {
    "/v1/chat/completions": _CHAT,
    "/v1/responses": _RESPONSES,
    "/v1/responses/input_tokens": _RESPONSES,
    "/v1/messages": _MESSAGES,
    "/v1/messages/count_tokens": _MESSAGES,
    "/v1/completions": {"prompts": lambda many: {"prompt": ["a"] * many}, "fields": _fields},
    "/v1/embeddings": {
        "inputs": lambda n: {"input": ["a"] * n},
        "2,048 texts": lambda n: {"input": ["a " * (n // 128)] * 2048},
    },
    "/api/chat/stream/": {"parts": lambda many: _messages("text")(many) | {"message": None}},
    "/api/billing/quote/": {"parts": _messages("text")},
}
MODELS = ["test-second", "test-small", "test-tiered", "test-costed", "test-private", "test-metered", "test-unsampled"]


@pytest.fixture(scope="module")
def server(stack: Stack) -> Iterator[MeasuredServer]:
    with measured(stack, ports.free()) as running:
        yield running


@pytest.mark.parametrize("many", [SMALL, MANY])
@pytest.mark.parametrize("endpoint", WIRES, ids=str)
async def test_no_request_keeps_the_loop(
    server: MeasuredServer, account: OpenAccount, endpoint: edge_requests.Endpoint, many: int
) -> None:
    key = await account(10**9)
    for name, attack in ATTACKS[endpoint.path].items():
        server.begin()
        answer = await edge_requests.send(
            server.port, endpoint.request(key, orjson.dumps(endpoint.body(**attack(many))))
        )
        assert answer is not None
        assert answer.status in (200, 400), (name, answer)
        assert server.max_calls < MAX_CALLS, (name, server.max_calls, server.where)


async def test_each_of_many_models_gives_the_loop_back(server: MeasuredServer, account: OpenAccount) -> None:
    chat = WIRES[0]
    body = chat.body(models=MODELS, **_messages("text")(SMALL))
    server.begin()
    answer = await edge_requests.send(server.port, chat.request(await account(10**9), orjson.dumps(body)))
    assert answer is not None
    assert answer.status == 200, answer
    assert server.max_calls < MAX_CALLS, server.where
