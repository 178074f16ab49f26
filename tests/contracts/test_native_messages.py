"""Anthropic's wire on both sides: a request goes to the provider as it is, and its answer comes back as it is."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.wire.anthropic_messages import AnthropicMessages
from domain.pricing import TextTerms
from domain.results import Replay
from gateway import replays
from providers.anthropic.adapter import AnthropicAdapter
from providers.openai.adapter import OpenAIAdapter
from tests.support.adapter_case import SECRET, provider
from tests.support.doubles.chat_calls import model, route
from tests.support.wire_app import KEY, WireApp

HEADERS = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
MARK = {"type": "ephemeral"}
THOUGHT = {"type": "thinking", "thinking": "Two and two", "signature": "c2lnbmVk"}
HIDDEN = {"type": "redacted_thinking", "data": "aGlkZGVu"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 2}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": "no", "cache_control": MARK}
BODY: dict[str, Any] = {
    "model": "demo-chat",
    "max_tokens": 2048,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2"},
        {"type": "text", "text": "Be brief.", "cache_control": MARK},
    ],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "tools": [{"name": "add", "input_schema": {"type": "object"}, "input_examples": [{"a": 1}]}],
    "messages": [
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": [THOUGHT, HIDDEN, CALL]},
        {"role": "user", "content": [RESULT]},
    ],
    "metadata": {"user_id": "u-17"},
}
USAGE: dict[str, Any] = {
    "input_tokens": 10,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 7,
    "output_tokens": 4,
}
MESSAGE: dict[str, Any] = {
    "id": "msg_theirs",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [],
}


def events(*listed: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in listed
    )


def delta(index: int, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": fields}


BEGUN: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**MESSAGE, "stop_reason": None, "usage": USAGE | {"output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {**THOUGHT, "thinking": "", "signature": ""}},
    delta(0, type="thinking_delta", thinking="Hm"),
    delta(0, type="signature_delta", signature="c2ln"),
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "", "vendor": 1}},
    delta(1, type="text_delta", text="Four"),
]
ENDED: list[dict[str, Any]] = [
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None, "x": 1}, "usage": USAGE},
    {"type": "message_stop"},
]


def read(raw: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in raw.splitlines() if line.startswith("data: ")]


@pytest.fixture
async def app() -> AsyncIterator[WireApp]:
    served = model()
    app = WireApp(AnthropicAdapter(provider("anthropic")), [AnthropicMessages()], served)
    async with app.http:
        yield app


async def post(app: WireApp, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    return await app.http.post("/v1/messages", json={**BODY, **fields}, headers=HEADERS | (headers or {}))


async def test_a_request_goes_to_the_provider_as_it_is(app: WireApp) -> None:
    app.transport.answer = json.dumps({**MESSAGE, "content": [{"type": "text", "text": "4"}], "usage": USAGE}).encode()
    answer = await post(app)
    assert answer.status_code == 200, answer.text
    sent = json.loads(app.transport.requests[0].body)
    assert sent["messages"] == BODY["messages"]
    assert sent["system"] == BODY["system"][1:]
    assert sent["tools"] == BODY["tools"]
    assert (sent["max_tokens"], "metadata" in sent, "u-17" in str(sent)) == (20, False, False)
    assert answer.headers.get("x-yout-dropped-parameters") == "thinking"  # the hold pays for twenty tokens


async def test_an_answer_comes_back_as_it_is(app: WireApp) -> None:
    content = [THOUGHT, HIDDEN, {"type": "text", "text": "4", "citations": [{"type": "x"}]}, CALL]
    stop = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": {"type": "refusal", "category": "bio"}}
    app.transport.answer = json.dumps({**MESSAGE, "content": content, **stop, "usage": USAGE, "new": 1}).encode()
    message = (await post(app)).json()
    assert message["content"] == content
    assert {name: message[name] for name in stop} == stop
    assert (message["model"], message["new"], message["id"][:4]) == ("demo-chat", 1, "msg_")
    assert message["id"] != "msg_theirs"
    assert {name: message["usage"][name] for name in USAGE} == USAGE
    assert message["yout"] == {"credits_charged": 10, "balance": 90}
    used = app.books.settled[0].usage
    assert used is not None
    assert (used.input_tokens, used.cached_tokens, used.cache_write_tokens) == (22, 5, 7)


async def test_the_events_of_a_stream_come_back_as_they_are(app: WireApp) -> None:
    app.transport.answer = events(*BEGUN, {"type": "ping"}, *ENDED)
    answer = await post(app, stream=True)
    got = read(answer.text)
    assert got[1:-2] == [*BEGUN[1:], ENDED[0]]
    start, end = got[0]["message"], got[-2]
    assert (start["model"], start["id"][:4], start["usage"]) == ("demo-chat", "msg_", USAGE | {"output_tokens": 1})
    assert start["id"] != "msg_theirs"
    assert end["delta"] == ENDED[1]["delta"]
    assert {name: end["usage"][name] for name in USAGE} == USAGE
    assert end["yout"] == {"credits_charged": 10, "balance": 90}
    assert got[-1] == {"type": "message_stop"}
    named = [line[7:] for line in answer.text.splitlines() if line.startswith("event: ")]
    assert named == [event["type"] for event in got]


async def test_a_block_that_the_provider_left_open_is_closed(app: WireApp) -> None:
    app.transport.answer = events(*BEGUN, {**ENDED[1], "delta": {"stop_reason": "max_tokens"}}, ENDED[2])
    got = read((await post(app, stream=True)).text)
    assert got[-3] == {"type": "content_block_stop", "index": 1}
    assert got[-2]["delta"] == {"stop_reason": "max_tokens"}


async def test_a_stream_that_breaks_ends_with_an_error(app: WireApp) -> None:
    failure = {"type": "error", "error": {"type": "overloaded_error", "message": SECRET}}
    app.transport.answer = events(*BEGUN, failure)
    answer = await post(app, stream=True)
    last = read(answer.text)[-1]
    assert last["type"] == "error"
    assert last["yout"] == {"credits_charged": 10, "balance": 90}
    assert SECRET not in answer.text
    assert "message_stop" not in answer.text


STOPS = [
    (400, "invalid_request_error", 400, "invalid_request_error"),
    (401, "authentication_error", 502, "api_error"),
    (429, "rate_limit_error", 429, "rate_limit_error"),
    (500, "api_error", 502, "api_error"),
]
"""A status of the provider and its word; the status of the answer and its word."""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", STOPS, ids=str)
async def test_what_the_provider_refuses(app: WireApp, case: tuple[int, str, int, str], stream: bool) -> None:
    status, theirs, answered, word = case
    error = {"type": theirs, "message": f"{SECRET} prompt is too long" if status == 400 else SECRET}
    app.transport.status, app.transport.answer = status, json.dumps({"type": "error", "error": error}).encode()
    answer = await post(app, stream=stream)
    body = answer.json()
    assert (answer.status_code, body["type"], body["error"]["type"]) == (answered, "error", word)
    assert body["request_id"] == answer.headers["request-id"]
    assert SECRET not in answer.text
    assert app.books.voided


async def replayed(app: WireApp, **fields: Any) -> tuple[str, str]:
    """Return the texts of an answer and of its replay."""
    first = await post(app, {"idempotency-key": "one"}, **fields)
    reserve, settle = app.books.reserved[0], app.books.settled[0]
    app.books.replay = Replay(reserve.hold_id, settle.account_id, settle.sealed, 10, 90)
    second = await post(app, {"idempotency-key": "one"}, **fields)
    assert second.headers["idempotent-replayed"] == "true"
    assert len(app.transport.requests) == 1
    return first.text, second.text


async def test_a_replay_has_all_of_the_providers_own_answer(app: WireApp) -> None:
    content = [THOUGHT, {"type": "text", "text": "4", "citations": [{"type": "x"}]}, {"type": "hologram", "shape": 1}]
    app.transport.answer = json.dumps({**MESSAGE, "content": content, "usage": USAGE}).encode()
    first, second = await replayed(app)
    assert json.loads(first) == json.loads(second)


async def test_a_replayed_stream_has_the_providers_own_events(app: WireApp) -> None:
    app.transport.answer = events(*BEGUN, *ENDED)
    first, second = await replayed(app, stream=True)
    assert first == second


async def test_a_stream_that_is_too_large_is_replayed_in_our_events(
    app: WireApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "MAX_REPLAY_BYTES", 100)
    app.transport.answer = events(*BEGUN, *ENDED)
    first, second = await replayed(app, stream=True)
    assert first != second
    got = read(second)
    assert [event["type"] for event in got if event["type"] != "content_block_delta"] == [
        *("message_start", "content_block_start", "content_block_stop"),
        *("content_block_start", "content_block_stop", "message_delta", "message_stop"),
    ]
    assert "".join(event["delta"].get("text", "") for event in got if "delta" in event) == "Four"
    assert "c2ln" in second


BASH = {"type": "bash_20250124", "name": "bash"}


async def test_a_tool_that_the_client_runs_goes_to_the_provider_and_is_held_for(app: WireApp) -> None:
    app.transport.answer = json.dumps({**MESSAGE, "content": [CALL], "usage": USAGE}).encode()
    choice = {"type": "tool", "name": "bash"}
    assert (await post(app, tools=[*BODY["tools"], BASH], tool_choice=choice, thinking=None)).status_code == 200
    sent = json.loads(app.transport.requests[0].body)
    assert (sent["tools"], sent["tool_choice"]) == ([*BODY["tools"], BASH], choice)
    terms = app.books.reserved[0].terms
    assert isinstance(terms, TextTerms)
    assert terms.input_bound > 2000


async def test_it_goes_to_no_provider_of_another_wire() -> None:
    app = WireApp(OpenAIAdapter(provider("openai")), [AnthropicMessages()])
    async with app.http:
        answer = await post(app, tools=[*BODY["tools"], BASH])
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", "tools.1")
    assert app.transport.requests == []


@pytest.mark.parametrize(("name", "role"), [("claude-haiku-4-5", "user"), ("claude-opus-5", "system")])
async def test_a_message_of_the_system_goes_to_a_model_that_takes_it(name: str, role: str) -> None:
    served = model(route().model_copy(update={"model": name}))
    app = WireApp(AnthropicAdapter(provider("anthropic")), [AnthropicMessages()], served)
    async with app.http:
        await post(app, messages=[BODY["messages"][0], {"role": "system", "content": "Be brief."}])
    sent = json.loads(app.transport.requests[0].body)
    assert [message["role"] for message in sent["messages"]] == ["user", role]
