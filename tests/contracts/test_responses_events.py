"""Every answer on `/v1/responses`, whichever provider it comes from: OpenAI's own types, and the order of events."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api.wire.openai_responses import OpenAIResponses
from providers.openai_responses.adapter import ResponsesAdapter
from tests.support.adapter_case import provider
from tests.support.adapter_cases import OURS
from tests.support.doubles import responses_server
from tests.support.responses_rules import problems, response_problems
from tests.support.wire_app import KEY, WireApp

HEADERS = {"authorization": f"Bearer {KEY}"}
SCHEMA: Any = {"type": "json_schema", "name": "x", "schema": {"type": "object"}}
FUNCTION: Any = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
SPACE: Any = {"type": "namespace", "name": "s", "description": "d", "tools": [FUNCTION]}
REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {"input": "x"},
    "a summary, probabilities and functions": {
        "input": [{"role": "user", "content": "x"}],
        "instructions": "Be brief.",
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
        "top_logprobs": 2,
        "tools": [FUNCTION],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        "metadata": {"a": "b"},
    },
    "custom tools and a schema": {
        "input": "x",
        "text": {"format": SCHEMA},
        "tools": [{"type": "custom", "name": "f"}, SPACE],
        "max_output_tokens": 50,
        "parallel_tool_calls": False,
    },
}


async def call(app: WireApp, answer: bytes, request: str, *, stream: bool) -> tuple[int, Any]:
    """The status, and the events or the response."""
    app.transport.answer = answer
    body = {"model": "demo-chat", "stream": stream, **REQUESTS[request]}
    given = await app.http.post("/v1/responses", json=body, headers=HEADERS)
    if given.headers["content-type"].startswith("text/event-stream"):
        return given.status_code, list(events(given.text))
    return given.status_code, given.json()


def events(written: str) -> Iterator[Any]:
    """The event's name is the type in its data. Nothing else is written but comments."""
    for frame in written.split("\n\n")[:-1]:
        if not frame.startswith(":"):
            name, data = frame.split("\n")
            event = json.loads(data.removeprefix("data: "))
            assert name == f"event: {event['type']}"
            yield event


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("kind", [kind for kind in OURS if kind != "openai_responses"])
async def test_what_is_translated(kind: str, request_name: str) -> None:
    app, wrong = WireApp(OURS[kind].adapter, [OpenAIResponses()]), {}
    streams = {name: each.raw for name, each in OURS[kind].streams.items()}
    async with app.http:
        for name, raw in {**streams, **OURS[kind].broken}.items():
            status, given = await call(app, raw, request_name, stream=True)
            assert status == 200 or name in OURS[kind].broken
            wrong[f"stream: {name}"] = problems(given) if status == 200 else []
        for name, raw in OURS[kind].answers.items():
            status, given = await call(app, raw, request_name, stream=False)
            assert status == 200
            wrong[f"whole: {name}"] = list(response_problems(given))
    assert {name: names for name, names in wrong.items() if names} == {}


def sent(model: str, request: str) -> tuple[bytes, list[bytes]]:
    """A provider's whole answer, and its events."""
    body = {"model": model, **{name: value for name, value in REQUESTS[request].items() if name != "metadata"}}
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(responses_server.events(body))]
    written = [json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() for event in numbered]
    end = "incomplete" if model == "limited" else "completed"
    return json.dumps(responses_server.response(body, end)).encode(), written


def native_app() -> WireApp:
    return WireApp(ResponsesAdapter(provider("openai_responses")), [OpenAIResponses()])


ANSWERING = [name for name in responses_server.MODELS if name not in responses_server.STATUSES]


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("model", ANSWERING)
async def test_what_comes_from_openai(model: str, request_name: str) -> None:
    app, (answer, theirs) = native_app(), sent(model, request_name)
    raw = b"".join(b"event: x\ndata: " + event + b"\n\n" for event in theirs)
    async with app.http:
        status, given = await call(app, raw, request_name, stream=True)
        if model in ("fails", "overloaded"):
            assert status == (502 if model == "fails" else 429)
        else:
            assert (status, problems(given)) == (200, [])
        if model not in responses_server.FAILS:
            status, response = await call(app, answer, request_name, stream=False)
            assert (status, list(response_problems(response))) == (200, [])
    for request in app.transport.requests:
        assert list(json.loads(request.body))[-1] == "store"


async def test_an_event_of_openai_comes_back_as_its_bytes() -> None:
    app, (_, theirs) = native_app(), sent("reasons", "plain")
    odd = b'{"type":"response.odd", "logprob":-1.9361264946837764e-7,"sequence_number":3}'
    theirs[3] = odd
    app.transport.answer = b"".join(b"data: " + event + b"\n\n" for event in theirs)
    async with app.http:
        body = {"model": "demo-chat", "stream": True, "input": "x"}
        given = (await app.http.post("/v1/responses", json=body, headers=HEADERS)).content
    came = [frame.partition(b"data: ")[2] for frame in given.split(b"\n\n")[:-1]]
    changed = [n for n, (first, then) in enumerate(zip(theirs, came, strict=True)) if first != then]
    assert changed == [0, 1, len(theirs) - 1]  # the response itself: its id, its model and its charge are ours


def changed(event: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**event, **fields}


BREAKS: dict[str, Callable[[list[dict[str, Any]]], list[dict[str, Any]]]] = {
    "a number is left out": lambda all_events: [
        *all_events[:5],
        changed(all_events[5], sequence_number=9),
        *all_events[6:],
    ],
    "no end": lambda all_events: all_events[:-1],
    "an unknown field": lambda all_events: [*all_events[:5], changed(all_events[5], odd=1), *all_events[6:]],
    "another item": lambda all_events: [*all_events[:5], changed(all_events[5], item_id="msg_2"), *all_events[6:]],
    "a delta that is not in the text": lambda all_events: [
        *all_events[:5],
        changed(all_events[5], delta="y"),
        *all_events[6:],
    ],
    "a number for a text": lambda all_events: [*all_events[:5], changed(all_events[5], delta=5), *all_events[6:]],
    "no output at the end": lambda all_events: [
        *all_events[:-1],
        changed(all_events[-1], response=changed(all_events[-1]["response"], output=[])),
    ],
    "a field of the response is missing": lambda all_events: [
        changed(all_events[0], response={k: v for k, v in all_events[0]["response"].items() if k != "top_p"}),
        *all_events[1:],
    ],
}


@pytest.mark.parametrize("how", BREAKS)
async def test_the_rules_find_what_is_wrong(how: str) -> None:
    app = native_app()
    async with app.http:
        raw = b"".join(b"data: " + event + b"\n\n" for event in sent("plain", "plain")[1])
        _, given = await call(app, raw, "plain", stream=True)
    assert problems(given) == []
    assert problems(BREAKS[how](given)) != []
