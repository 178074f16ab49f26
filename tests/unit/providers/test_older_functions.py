"""OpenAI's older `functions`, to vendors that have tools alone."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from domain.catalog import Provider
from domain.errors import RequestInvalid
from providers.base import ChatAdapter, ChatCall, Delta
from providers.gemini.adapter import GeminiAdapter
from providers.older_functions import OlderFunctions
from providers.openai_responses.adapter import ResponsesAdapter
from tests.support.gemini_answers import event, function, response

FUNCTION = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOL = {"type": "function", "function": FUNCTION}
CHOSEN = {"name": "weather"}
USER = {"role": "user", "content": "Weather in Rome?"}
ITEM = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Rome"}'}
COMPLETED = {"object": "response", "status": "completed", "output": [ITEM, ITEM | {"id": "fc_2", "call_id": "call_2"}]}
CALLED = {"name": "weather", "arguments": {"city": "Rome"}}


def _gemini() -> OlderFunctions:
    return OlderFunctions(GeminiAdapter(_provider("gemini"), models="models"))


def _responses() -> OlderFunctions:
    return OlderFunctions(ResponsesAdapter(_provider("openai_responses")))


def _provider(kind: str) -> Provider:
    return Provider(name="vendor", kind=kind, active=True, base_url="https://vendor.test/v1", api_key=SecretStr("key"))


ADAPTERS = {"gemini": _gemini, "openai_responses": _responses}
CALL = function("weather", {"city": "Rome"})
GEMINI = response(CALL, CALL, finish="STOP")
WHOLE = {"gemini": json.dumps(GEMINI).encode(), "openai_responses": json.dumps(COMPLETED).encode()}
STREAMED = {
    "gemini": event(GEMINI),
    "openai_responses": b"".join(
        f"data: {json.dumps(each)}\n\n".encode()
        for each in (
            {"type": "response.output_item.added", "output_index": 0, "item": ITEM | {"arguments": ""}},
            {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": ITEM["arguments"]},
            {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
            {"type": "response.completed", "response": COMPLETED},
        )
    ),
}


def call(**fields: Any) -> ChatCall:
    stream = fields.pop("stream", False)
    return ChatCall("m", {"messages": [USER], "functions": [FUNCTION], **fields}, 50, stream=stream)


@pytest.fixture(params=ADAPTERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def adapter(kind: str) -> ChatAdapter:
    return ADAPTERS[kind]()


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({}, {}),
        ({"function_call": "none"}, {"tool_choice": "none"}),
        ({"function_call": CHOSEN}, {"tool_choice": {"type": "function", "function": CHOSEN}}),
    ],
)
def test_the_vendor_gets_the_same_as_of_tools(
    adapter: ChatAdapter, older: dict[str, Any], newer: dict[str, Any]
) -> None:
    request = adapter.request(call(**older))
    body = {"messages": [USER], "tools": [TOOL], "parallel_tool_calls": False, **newer}
    assert json.loads(request.body) == json.loads(adapter.request(ChatCall("m", body, 50)).body)
    assert request.dropped == ()


def test_the_answer_has_one_call_in_the_older_form(adapter: ChatAdapter, kind: str) -> None:
    whole = adapter.answer(call(), WHOLE[kind])
    choice = whole.body["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert "tool_calls" not in choice["message"]
    called = choice["message"]["function_call"]
    assert {**called, "arguments": json.loads(called["arguments"])} == CALLED


def test_a_stream_has_it_too(adapter: ChatAdapter, kind: str) -> None:
    decoder = adapter.decoder(call(stream=True))
    deltas = [each for each in (*decoder.feed(STREAMED[kind]), *decoder.eof()) if isinstance(each, Delta)]
    parts = [choice["delta"] for delta in deltas for choice in delta.chunk["choices"]]
    pieces = [part["function_call"] for part in parts if "function_call" in part]
    assert not any("tool_calls" in part for part in parts)
    assert "".join(piece.get("name", "") for piece in pieces) == "weather"
    assert json.loads("".join(piece.get("arguments", "") for piece in pieces)) == CALLED["arguments"]
    assert deltas[-1].chunk["choices"][0]["finish_reason"] == "function_call"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"functions": [{"name": "1 2"}]}, "functions[0].name"),
        ({"functions": ["weather"]}, "functions[0]"),
        ({"function_call": {"name": "other"}}, "function_call.name"),
        ({"function_call": "any"}, "function_call"),
    ],
)
def test_an_error_names_what_the_client_wrote(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        _gemini().request(call(**fields))
    assert caught.value.param == param
    assert f"'{param}'" in caught.value.message


def test_tools_are_left_to_the_adapter(adapter: ChatAdapter, kind: str) -> None:
    tools = ChatCall("m", {"messages": [USER], "tools": [TOOL]}, 50)
    assert adapter.answer(tools, WHOLE[kind]).body["choices"][0]["finish_reason"] == "tool_calls"
