"""A request on Anthropic's own wire: sent as its client wrote it, within the same rules."""

import json
from typing import Any

import pytest

from providers.anthropic.adapter import AnthropicAdapter
from providers.base import ChatCall, Delta, NativeRequest, Report
from tests.support import anthropic_cases as cases
from tests.support.anthropic_requests import HELLO, OLD, adapter, refused, request_of

HOUR, USUAL = {"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral"}
MARKED = {"type": "text", "text": "a", "cache_control": HOUR}
BODY: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "sig"}, MARKED]},
    ],
    "system": [{"type": "text", "text": "Be brief.", "cache_control": USUAL}],
    "stop_sequences": ["x"],
    "temperature": 0.5,
    "top_k": 5,
    "tools": [{"name": "f", "input_schema": {"type": "object"}}, {"type": "bash_20250124", "name": "bash"}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "output_config": {"effort": "low"},
}
HELD_FOR_AN_HOUR = {"messages": [{"role": "user", "content": [MARKED]}]}


def sent(native: dict[str, Any], body: dict[str, Any] | None = None, limit: int = 4000) -> Any:
    return json.loads(request_of(body or {}, limit=limit, native={"messages": HELLO, **native}).body)


def test_it_goes_on_as_it_is() -> None:
    given = {**BODY, "model": "ours", "max_tokens": 9, "stream": True, "metadata": {"user_id": "PRIVATE"}}
    request = request_of(HELD_FOR_AN_HOUR, native=given, stream=True)
    assert json.loads(request.body) == {**BODY, "model": OLD, "max_tokens": 4000, "stream": True}
    assert (request.dropped, request.native) == ((), True)
    assert "anthropic-beta" not in request.headers


def test_a_request_of_another_wire_is_translated() -> None:
    call = ChatCall(OLD, {"messages": HELLO}, 10, native=NativeRequest("openai", {"messages": "?"}))
    request = adapter().request(call)
    assert (json.loads(request.body)["messages"][0]["role"], request.native) == ("user", False)


def test_what_is_not_known_is_dropped_and_named_and_nothing_is_about_the_caller() -> None:
    message = {"role": "user", "content": "Hi", "name": "PRIVATE", "metadata": "PRIVATE", "id": "PRIVATE"}
    request = request_of(
        {}, native={"messages": [message], "diagnostics": {}, "user_profile_id": "PRIVATE", "top_p": None}
    )
    assert json.loads(request.body) == {
        "messages": [{"role": "user", "content": "Hi"}],
        "model": OLD,
        "max_tokens": 4000,
    }
    assert request.dropped == ("diagnostics", "user_profile_id", "messages.name", "messages.metadata", "messages.id")


def test_blocks_and_tools_have_known_fields_only_and_what_tools_take_is_their_own() -> None:
    own = {"user": "theirs", "email": "theirs", "metadata": {"a": 1}}
    use = {"type": "tool_use", "id": "t", "name": "f", "input": own}
    image = {"type": "image", "source": {"type": "url", "url": "https://x/y"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    schema = {"type": "object", "properties": own}
    private = {"user_id": "PRIVATE"}
    native = {
        "messages": [
            {"role": "assistant", "content": [use | private]},
            {"role": "user", "content": [result | {"content": [image | {"source": image["source"] | private}]}]},  # type: ignore[operator]  # a dict
        ],
        "system": [{"type": "text", "text": "a", **private}],
        "tools": [{"name": "f", "input_schema": schema, **private}],
    }
    request = request_of({}, native=native)
    body = json.loads(request.body)
    assert b"PRIVATE" not in request.body
    assert body["messages"] == [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    assert (body["system"], body["tools"]) == ([{"type": "text", "text": "a"}], [{"name": "f", "input_schema": schema}])
    assert sorted(request.dropped) == ["messages.user_id", "system.user_id", "tools.user_id"]


def test_steps_of_a_search_and_citations_have_known_fields_only() -> None:
    private = {"user_id": "PRIVATE"}
    call = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    page = {"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "e", "page_age": None}
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [page]}
    source = {"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "c", "encrypted_index": "i"}
    text = {"type": "text", "text": "a", "citations": [source]}
    steps = [call | private, result | {"content": [page | private]}, text | {"citations": [source | private]}]
    turns = [*HELLO, {"role": "assistant", "content": steps}, *HELLO]
    request = request_of({}, native={"messages": turns})
    assert json.loads(request.body)["messages"][1]["content"] == [call, result, text]
    assert request.dropped == ("messages.user_id",)


SEARCH = {"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["a.test"]}


def test_a_search_that_the_hold_pays_for_goes_with_its_limit() -> None:
    given = {"tools": [{"name": "f"}, {**SEARCH, "max_uses": 50, "user_location": {"city": "PRIVATE"}}]}
    request = request_of({"web_search_options": {}}, native={"messages": HELLO, **given}, max_searches=2)
    assert json.loads(request.body)["tools"] == [{"name": "f"}, {**SEARCH, "max_uses": 2}]
    assert request.dropped == ("tools.user_location",)
    assert refused({}, native={"messages": HELLO, **given}) == "tools.1.type"


@pytest.mark.parametrize(
    ("native", "param"),
    [
        ({"speed": "fast"}, "speed"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"mcp_servers": [{"url": "https://x"}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"tools": [{"name": "f"}, {"type": "web_search_20260318", "name": "web_search"}]}, "tools.1.type"),
        ({"tools": [{"type": "code_execution_20260120", "name": "x"}]}, "tools.0.type"),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, "context_management.edits.0.type"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}
                ]
            },
            "messages.0.content.0.source",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}]},
            "messages.0.content.0",
        ),
    ],
)
def test_what_costs_extra_or_lies_in_our_account_is_refused(native: dict[str, Any], param: str) -> None:
    assert refused({}, native={"messages": HELLO, **native}) == param


def test_values_that_cost_nothing_extra() -> None:
    body = sent({"speed": "standard", "inference_geo": "global", "mcp_servers": [], "service_tier": "standard_only"})
    assert set(body) == {"messages", "model", "max_tokens", "service_tier"}


@pytest.mark.parametrize(
    ("limit", "thinking", "dropped"),
    [(1500, {"type": "enabled", "budget_tokens": 1499}, ()), (1024, None, ("thinking",)), (4000, BODY["thinking"], ())],
)
def test_the_limit_stays_above_the_budget(limit: int, thinking: Any, dropped: tuple[str, ...]) -> None:
    request = request_of({}, limit=limit, native={"messages": HELLO, "thinking": BODY["thinking"]})
    assert (json.loads(request.body).get("thinking"), request.dropped) == (thinking, dropped)


def test_a_search_goes_where_no_tools_go() -> None:
    call = {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}
    request = request_of({"web_search_options": {}}, native={"messages": HELLO, **call}, drops=frozenset({"tools"}))
    assert ("tools" in json.loads(request.body), request.dropped) == (False, ("tools",))


def test_the_older_place_of_a_format() -> None:
    form = {"type": "json_schema", "schema": {}}
    assert sent({"output_format": form, "output_config": {"effort": "low"}})["output_config"] == {
        "format": form,
        "effort": "low",
    }


def test_nothing_is_cached_for_an_hour_that_was_not_held_for() -> None:
    messages = [{"role": "user", "content": [MARKED]}]
    assert sent({"messages": messages}, HELD_FOR_AN_HOUR)["messages"] == messages
    assert sent({"messages": messages})["messages"][0]["content"] == [MARKED | {"cache_control": USUAL}]


@pytest.mark.parametrize(
    ("native", "features"),
    [
        ({"context_management": {"edits": [{"type": "clear_thinking_20251015"}]}}, "context-management-2025-06-27"),
        (
            {"tools": [{"type": "computer_20251124", "name": "c"}, {"type": "memory_20250818", "name": "m"}]},
            "computer-use-2025-11-24,context-management-2025-06-27",
        ),
    ],
)
def test_features_that_its_fields_need(native: dict[str, Any], features: str) -> None:
    assert request_of({}, native={"messages": HELLO, **native}).headers["anthropic-beta"] == features


def native_call(**fields: Any) -> ChatCall:
    return ChatCall(OLD, {"messages": HELLO}, 50, native=NativeRequest("anthropic", {"messages": HELLO}), **fields)


@pytest.mark.parametrize("name", cases.STREAMS)
def test_its_events_come_back_as_they_are(name: str) -> None:
    """All but pings and the last one; each once, in order, with the same usage, and no less text than in our shape."""
    stream = cases.STREAMS[name]
    if stream.headers is not None:  # a whole answer
        return
    events = []
    for call in (native_call(stream=True), ChatCall(OLD, {"messages": HELLO}, 50, stream=True)):
        decoder = AnthropicAdapter.decoder(adapter(), call)
        events.append([*decoder.begin({}), *decoder.feed(stream.raw), *decoder.eof()])
    own, ours = events
    lines = [line[6:].strip() for line in stream.raw.split(b"\n") if line.startswith(b"data: ")]
    written = [line for line in lines if json.loads(line)["type"] not in ("ping", "message_stop")]
    assert [event.native for event in own if isinstance(event, Delta) and event.native] == written
    assert [e for e in own if isinstance(e, Report)] == [e for e in ours if isinstance(e, Report)]
    texts = ["".join(e.text for e in each if isinstance(e, Delta)) for each in events]
    assert len(texts[0]) >= len(texts[1]) == len(stream.text)
    assert all(not e.text for e in own if isinstance(e, Delta) and e.finished)


def test_a_whole_answer_comes_back_as_it_is() -> None:
    answer = adapter().answer(native_call(), json.dumps(cases.MESSAGE).encode())
    assert (answer.native, answer.text) == (cases.MESSAGE, "a")
    assert answer.body["choices"][0]["message"]["content"] == "a"
