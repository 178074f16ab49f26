"""A conversation is compacted into an item that every provider can read later, and that is a type of OpenAI's SDK."""

import json
from typing import Any

import pytest
from openai.types.responses import CompactedResponse

from api.wire.openai_responses import OpenAIResponses
from api.wire.openai_responses_compaction import CompactedResponses
from providers.base import ChatAdapter
from providers.openai.adapter import OpenAIAdapter
from providers.openai_responses.adapter import ResponsesAdapter
from tests.support.adapter_case import provider
from tests.support.doubles import responses_server
from tests.support.wire_app import KEY, WireApp

HEADERS = {"authorization": f"Bearer {KEY}"}
CHAT = {"choices": [{"message": {"role": "assistant", "content": "All of it."}}], "usage": {"prompt_tokens": 9}}
TALK: list[dict[str, Any]] = [
    {"type": "message", "role": "user", "content": "We launch on Tuesday."},
    {"type": "message", "role": "assistant", "content": "Understood."},
]
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
SEARCH = {"type": "web_search"}
PROVIDERS: dict[str, tuple[ChatAdapter, dict[str, Any], str]] = {
    "openai": (OpenAIAdapter(provider("openai")), CHAT, "All of it."),
    "openai_responses": (
        ResponsesAdapter(provider("openai_responses")),
        responses_server.response({"model": "plain"}, "completed"),
        responses_server.ANSWER,
    ),
}


@pytest.mark.parametrize("kind", PROVIDERS)
async def test_a_conversation_becomes_an_item_and_goes_on_from_it(kind: str) -> None:
    adapter, answer, summary = PROVIDERS[kind]
    app = WireApp(adapter, [OpenAIResponses(), CompactedResponses()])
    app.transport.answer = json.dumps(answer).encode()
    async with app.http:
        body = {"model": "demo-chat", "input": TALK, "tools": [TOOL, SEARCH], "tool_choice": "required", "stream": True}
        given = await app.http.post("/v1/responses/compact", json=body, headers=HEADERS)
        document = given.json()
        then = [*document["output"], {"role": "user", "content": "And?"}]
        again = await app.http.post("/v1/responses", json={"model": "demo-chat", "input": then}, headers=HEADERS)
    assert (given.status_code, document["object"], again.status_code) == (200, "response.compaction", 200)
    assert document["usage"]["output_tokens"] > 0
    assert document["yout"]["credits_charged"] > 0
    assert given.headers["x-yout-dropped-parameters"] == "stream, tools[1]"
    summarized, read = (json.loads(request.body) for request in app.transport.requests)
    assert summarized["tool_choice"] == "none"
    assert "web_search" not in json.dumps(summarized)  # a summary needs none, and nothing is held for one
    assert "Write a summary" in json.dumps(summarized)
    typed = CompactedResponse.model_validate_json(given.content, strict=True)
    assert [item.type for item in typed.output] == ["compaction"]
    assert (typed.model_extra or {}).keys() == {"yout"}
    assert f"before this message:\\n\\n{summary}" in json.dumps(read)
    assert "compaction" not in json.dumps(read)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": TALK, "model": None}, "model"),
        ({"input": []}, "input"),
        ({"input": "x", "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
    ],
)
async def test_what_is_refused_names_the_field(body: dict[str, Any], param: str) -> None:
    app = WireApp(PROVIDERS["openai"][0], [CompactedResponses()])
    async with app.http:
        given = await app.http.post("/v1/responses/compact", json={"model": "demo-chat", **body}, headers=HEADERS)
    assert (given.status_code, given.json()["error"]["param"]) == (400, param)
