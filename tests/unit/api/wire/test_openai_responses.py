"""What a request of OpenAI's Responses becomes, and what its answers are made of."""

from typing import Any

import orjson
import pytest

from api.wire import openai_responses_object, openai_responses_reasoning, openai_responses_stream
from api.wire.openai_responses import parse
from domain import tokens
from domain.errors import RequestInvalid, UpstreamError
from domain.pricing import Usage, UsageSource
from gateway.wire import Bill, CompletedAnswer, Head, ModelCall
from providers import tokenizer
from providers.base import Delta

ID = "chatcmpl-" + "0" * 32
BILL = Bill(Usage(9, 2, UsageSource.PROVIDER, cached_tokens=4, cache_write_1h_tokens=2, reasoning_tokens=1), 5, 95, 5)
SIGNED = {"type": "reasoning.text", "text": "hm", "signature": "s9", "format": "anthropic-claude-v1", "index": 0}
SPACE = {"type": "namespace", "name": "cities", "tools": [{"type": "function", "name": "find"}]}
PATCH = {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}}
USER = {"role": "user", "content": "x"}


def call(**fields: Any) -> ModelCall:
    return parse({"model": "m", "input": "x", **fields})


def messages(*items: Any) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = call(input=list(items)).body["messages"]
    return read


def called(call_id: str, name: str = "f", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}", **fields}


def output(call_id: str, given: Any = "y") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": given}


def tool_call(call_id: str, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_items_of_one_turn_are_one_message() -> None:
    text = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]}
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gA"}
    secret = {"type": "reasoning.encrypted", "data": "gA", "format": "openai-responses-v1", "index": 0, "id": "rs_1"}
    assert messages(USER, thought, text, called("1"), called("2"), output("1"), output("2"), USER) == [
        USER,
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_details": [secret],
            "tool_calls": [tool_call("1"), tool_call("2")],
        },
        {"role": "tool", "tool_call_id": "1", "content": "y"},
        {"role": "tool", "tool_call_id": "2", "content": "y"},
        USER,
    ]


def test_images_that_tools_return_follow_all_outputs() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}
    given = [{"type": "input_text", "text": "see"}, image]
    request = call(input=[USER, called("1"), called("2"), output("1", given), output("2")])
    *_, first, second, shown = request.body["messages"]
    assert (first["content"], second["content"]) == ("see", "y")
    assert shown["content"][1] == {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,AA", "detail": "low"},
    }
    assert request.as_written("messages[4].content[1].image_url") == "input[3].output[1].image_url"


@pytest.mark.parametrize(
    ("item", "name", "arguments"),
    [
        (called("1", "find", namespace="cities"), "cities__find", "{}"),
        ({"type": "custom_tool_call", "call_id": "1", "name": "patch", "input": 'a"b'}, "patch", '{"input": "a\\"b"}'),
        ({"type": "shell_call", "call_id": "1", "action": {"commands": ["ls"]}}, "shell", '{"commands": ["ls"]}'),
    ],
)
def test_calls_of_other_tools_are_calls_of_functions(item: dict[str, Any], name: str, arguments: str) -> None:
    answer = {"type": f"{item['type']}_output", "call_id": "1", "output": "done"}
    assert messages(USER, item, answer)[1:] == [
        {"role": "assistant", "content": None, "tool_calls": [tool_call("1", name, arguments)]},
        {"role": "tool", "tool_call_id": "1", "content": "done"},
    ]


def test_what_only_openai_understands_is_named() -> None:
    searched = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    request = call(input=[USER, searched], tools=[{"type": "local_shell"}], truncation="auto", seed=5, n=3)
    assert request.body["messages"] == [USER]
    assert request.untranslated == {
        "input[1]": searched,
        "tools[0]": {"type": "local_shell"},
        "truncation": "auto",
        "n": 3,
    }
    assert (request.body["seed"], "n" in request.body) == (5, False)


def test_what_openai_compacted_goes_to_openai_alone() -> None:
    item = {"type": "compaction", "encrypted_content": "gA"}
    request = call(input=[item, USER], include=["reasoning.encrypted_content", "file_search_call.results"])
    assert request.needed == frozenset({"input[0]"})
    assert request.untranslated == {"input[0]": item, "include[1]": "file_search_call.results"}
    with pytest.raises(RequestInvalid) as wrong:
        call(include=["x", 5])
    assert wrong.value.param == "include[1]"


def test_fields_have_other_names_in_a_chat() -> None:
    schema = {"type": "json_schema", "name": "a", "schema": {}, "strict": True}
    request = call(
        instructions="Be brief.",
        text={"format": schema, "verbosity": "low"},
        reasoning={"effort": "high", "summary": "auto"},
        include=["message.output_text.logprobs"],
        top_logprobs=2,
        max_output_tokens=20,
        tools=[{"type": "function", "name": "f"}, PATCH, SPACE, {"type": "web_search", "search_context_size": "low"}],
        tool_choice={"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
    )
    body = request.body
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "a", "schema": {}, "strict": True},
    }
    assert (body["verbosity"], body["reasoning_effort"], body["max_completion_tokens"]) == ("low", "high", 20)
    assert (body["logprobs"], body["top_logprobs"], body["web_search_options"]) == (
        True,
        2,
        {"search_context_size": "low"},
    )
    assert ([tool["function"]["name"] for tool in body["tools"]], body["tool_choice"]) == (["f"], "required")
    assert request.as_written("response_format") == "text.format"
    assert request.as_written("web_search_options") == "tools[3]"


@pytest.mark.parametrize(
    "fields",
    [{"metadata": {"a": 10**30}}, {"tools": [{"type": "function", "name": "f", "parameters": {"maximum": 10**30}}]}],
    ids=["metadata", "tools"],
)
def test_a_large_integer_of_the_request_is_repeated_in_the_answer(fields: dict[str, Any]) -> None:
    request, digits = call(**fields), str(10**30).encode()
    answer = {"id": "chatcmpl-0", "created": 1, "model": "m", "choices": [{"message": {"content": "Hi"}, "index": 0}]}
    bill = Bill(Usage(9, 2, UsageSource.PROVIDER), charged=10, balance=90, held=20)
    assert digits in openai_responses_stream.whole(CompletedAnswer(answer, b"", request=request), bill)
    assert digits in openai_responses_stream.ResponseStream(Head("chatcmpl-0", 1, request, 20)).end([], bill)


def test_a_tool_that_the_choice_leaves_out_is_held_for() -> None:
    long = {"type": "function", "name": "g", "description": "word " * 5000}
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}
    request = call(tools=[{"type": "function", "name": "f"}, long], tool_choice=allowed)
    assert request.native is not None
    assert long in request.native.body["tools"]
    counted = tokens.of_request(request.body, tokenizer.count, family="openai", beside=request.native_only)
    assert counted.bound > 5000
    assert request.untranslated == {}


def test_what_a_provider_signed_comes_back_to_it() -> None:
    stream = Streamed(call())
    parts = [{**SIGNED, "signature": None}, {"type": "reasoning.text", "signature": "s9", "index": 0}]
    for detail in parts:
        stream.feed({"reasoning_content": detail.get("text"), "reasoning_details": [detail]})
    (item,) = stream.end("stop")["output"]
    assert item["content"] == [{"type": "reasoning_text", "text": "hm"}]
    assert item["encrypted_content"].startswith(openai_responses_reasoning.PACKED)
    assert messages(USER, item, called("1"))[1]["reasoning_details"] == [SIGNED]
    lost = {"type": "reasoning", "summary": [], "encrypted_content": openai_responses_reasoning.PACKED + "%"}
    assert "reasoning_details" not in messages(USER, lost, called("1"))[1]


class Streamed:
    """A stream as a client reads it."""

    def __init__(self, request: ModelCall) -> None:
        self.writer = openai_responses_stream.ResponseStream(Head(ID, 7, request, 5))
        self.events: list[dict[str, Any]] = []

    def read(self, raw: bytes) -> None:
        for block in raw.decode().split("\n\n")[:-1]:
            name, data = block.split("\n")
            event = orjson.loads(data.removeprefix("data: "))
            assert name == f"event: {event['type']}"
            self.events.append(event)

    def feed(self, delta: dict[str, Any], **beside: Any) -> None:
        self.read(self.writer.delta(Delta({"choices": [{"index": 0, "delta": delta, **beside}]})))

    def end(self, finish: str) -> dict[str, Any]:
        last = Delta({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}, finished=(0,))
        self.read(self.writer.end([last], BILL))
        assert [event["sequence_number"] for event in self.events] == list(range(len(self.events)))
        response: dict[str, Any] = self.events[-1]["response"]
        return response

    @property
    def kinds(self) -> list[str]:
        return [event["type"].removeprefix("response.") for event in self.events]


def part(index: int, text: str, name: str | None = None) -> dict[str, Any]:
    first = {} if name is None else {"id": f"call_{index}", "type": "function"}
    function = {"arguments": text} | ({} if name is None else {"name": name})
    return {"tool_calls": [{"index": index, **first, "function": function}]}


def test_a_stream_has_every_event_in_order() -> None:
    stream = Streamed(call(tools=[SPACE, PATCH], reasoning={"summary": "auto"}))
    cited = {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "title": "T", "url": "u"}}
    for delta in (
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": "a"},
        {"annotations": [cited]},
        {"refusal": "no"},
        part(0, "", "cities__find"),
        part(1, '{"inp', "patch"),
        part(0, "{}"),
        part(1, 'ut": "x"}'),
    ):
        stream.feed(delta)
    response = stream.end("tool_calls")
    summary = ["reasoning_summary_part.added", "reasoning_summary_text.delta", "reasoning_summary_text.done"]
    text = ["content_part.added", "output_text.delta", "output_text.annotation.added", "output_text.done"]
    refused = ["content_part.added", "refusal.delta", "refusal.done", "content_part.done"]
    custom = ["custom_tool_call_input.delta", "custom_tool_call_input.done"]
    assert stream.kinds == [
        *("created", "in_progress"),
        *("output_item.added", *summary, "reasoning_summary_part.done", "output_item.done"),
        *("output_item.added", *text, "content_part.done", *refused, "output_item.done"),
        *("output_item.added", "output_item.added", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done", *custom, "output_item.done"),
        "completed",
    ]
    thought, message, find, patch = response["output"]
    assert thought["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert [each["type"] for each in message["content"]] == ["output_text", "refusal"]
    assert message["content"][0]["annotations"][0]["url"] == "u"
    assert (find["name"], find["namespace"], find["arguments"], find["call_id"]) == ("find", "cities", "{}", "call_0")
    assert (patch["type"], patch["name"], patch["input"]) == ("custom_tool_call", "patch", "x")
    done = [event["item"] for event in stream.events if event["type"] == "response.output_item.done"]
    assert done == response["output"]
    assert response["usage"] == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 11,
    }


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [("stop", "completed", None), ("length", "incomplete", "max_output_tokens"), ("content_filter",) * 3],
)
def test_the_end_of_a_choice_is_the_status(finish: str, status: str, reason: str | None) -> None:
    status = "incomplete" if reason else status
    stream = Streamed(call())
    stream.feed(
        {"content": "a"}, logprobs={"content": [{"token": "a", "logprob": -1, "bytes": [97], "top_logprobs": []}]}
    )
    response = stream.end(finish)
    assert (stream.kinds[-1], response["status"], response["output"][0]["status"]) == (status, status, status)
    assert response["incomplete_details"] == (reason and {"reason": reason})
    assert response["output"][0]["content"][0]["logprobs"][0]["token"] == "a"
    message = {"role": "assistant", "content": "a"}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {"id": ID, "created": 7, "model": "m", "choices": [choice]}
    whole = orjson.loads(openai_responses_stream.whole(CompletedAnswer(body, b"", request=call()), BILL))
    assert {**whole, "completed_at": 0} | {"output": []} == {**response, "completed_at": 0} | {"output": []}


@pytest.mark.parametrize("tools", [0, False, "", {}])
def test_tools_that_are_no_array_are_refused(tools: object) -> None:
    with pytest.raises(RequestInvalid) as wrong:
        call(tools=tools)
    assert wrong.value.param == "tools"


@pytest.mark.parametrize(("given", "known"), [("2026-01-01", 7), ([], 7), (None, 7), (9, 9), (8.5, 8.5)])
def test_when_a_provider_says_that_it_ended(given: object, known: float) -> None:
    native = {"status": "completed", "completed_at": given}
    passed = openai_responses_object.passed_on({"created_at": 7}, native)["completed_at"]
    assert passed == known if known != 7 else passed > 7


def test_a_stream_that_fails_has_what_there_is_of_its_output() -> None:
    stream = Streamed(call())
    stream.feed({"content": "a"})
    stream.read(stream.writer.fail(UpstreamError("It broke."), BILL))
    error, failed = stream.events[-2:]
    assert (error["type"], error["error"]["code"], error["message"]) == ("error", "upstream_error", "It broke.")
    assert (failed["response"]["status"], failed["response"]["error"]["code"]) == ("failed", "server_error")
    assert failed["response"]["output"][0]["content"][0]["text"] == "a"
