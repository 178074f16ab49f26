"""The demo's chat: OpenAI's shapes, honest counts, and the failures it is told to have."""

import importlib
import json
from typing import Any

import pytest

from domain.errors import RequestInvalid, UpstreamError, UpstreamRefused
from providers.base import ChatCall
from providers.demo import replies, tokens
from providers.demo.chat import DemoChat

validator = importlib.import_module("jsonschema").Draft202012Validator  # by name: it has no types

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer", "minimum": 1, "maximum": 14},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city"],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time"}}


class Sleeper:
    """Sleeps in no time, and remembers for how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture
def chat(sleeper: Sleeper) -> DemoChat:
    return DemoChat(sleep=sleeper)


def call(text: str, *, model: str = "chat", limit: int = 4000, **body: Any) -> ChatCall:
    return ChatCall(model, {"messages": [{"role": "user", "content": text}]} | body, limit)


async def streamed(chat: DemoChat, chat_call: ChatCall) -> list[dict[str, Any]]:
    return [chunk async for chunk in chat.stream(chat_call)]


async def answer_of(chat: DemoChat, chat_call: ChatCall) -> dict[str, Any]:
    return await chat.complete(chat_call)


def message(body: dict[str, Any], index: int = 0) -> dict[str, Any]:
    message_: dict[str, Any] = body["choices"][index]["message"]
    return message_


def text_of(chunks: list[dict[str, Any]], index: int = 0) -> str:
    choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def test_an_answer_has_the_shape_of_a_chat_completion(chat: DemoChat) -> None:
    body = await answer_of(chat, call("2+2"))

    assert body["id"].startswith("chatcmpl-")
    assert (body["object"], body["model"]) == ("chat.completion", "chat")
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "2+2 = 4", "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    usage = body["usage"]
    assert usage["completion_tokens"] == len(tokens.split("2+2 = 4"))
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0


async def test_a_stream_says_the_same_in_the_right_order(chat: DemoChat, sleeper: Sleeper) -> None:
    chat_call = call("who are you?", stream_options={"include_usage": True})
    whole, chunks = await answer_of(chat, chat_call), await streamed(chat, chat_call)

    first, *deltas, finish, usage = chunks
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert text_of(chunks) == message(whole)["content"]
    assert len(deltas) == len(message(whole)["content"].split())
    assert all(set(delta["choices"][0]["delta"]) == {"content"} for delta in deltas)
    assert (finish["choices"][0]["delta"], finish["choices"][0]["finish_reason"]) == ({}, "stop")
    assert (usage["choices"], usage["usage"]) == ([], whole["usage"])
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    assert all(0.005 <= pause <= 0.020 for pause in sleeper.slept)


async def test_usage_is_streamed_only_when_asked_for(chat: DemoChat) -> None:
    chunks = await streamed(chat, call("hi"))
    assert all("usage" not in chunk and len(chunk["choices"]) == 1 for chunk in chunks)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is 17 * 3?", "17 * 3 = 51"),
        ("(1 + 2) / 4", "(1 + 2) / 4 = 0.75"),
        ("calculate 0.1+0.2", "0.1+0.2 = 0.3"),
        ("count from 1 to 5", "1 2 3 4 5"),
        ("Write a haiku", "\n"),
        ("Hello!", "Hello!"),
        ("Tell me about pages 10-12", "You wrote: “Tell me about pages 10-12”"),
        ("1/0 = ?", "You wrote: “1/0 = ?”"),
        ("((((((((((((((((((((", "You wrote"),
        ("", "You sent no words."),
        ([{"type": "text", "text": "What is 3+4?"}, {"type": "image_url", "image_url": {"url": "data:,"}}], "3+4 = 7"),
    ],
)
async def test_it_answers_what_rules_can_answer(chat: DemoChat, text: Any, expected: str) -> None:
    body = await answer_of(chat, call(text))
    assert expected in message(body)["content"]
    assert body == (await answer_of(chat, call(text))) | {key: body[key] for key in ("id", "created")}


def test_a_long_message_is_read_in_no_time() -> None:
    assert replies.answer("what is (((" * 300_000).startswith("You wrote")


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_an_answer_ends_at_the_limit(chat: DemoChat, limit: int) -> None:
    chat_call = call("who are you?", limit=limit, stream_options={"include_usage": True})
    body, chunks = await answer_of(chat, chat_call), await streamed(chat, chat_call)

    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == limit
    assert text_of(chunks) == message(body)["content"]
    assert chunks[-2]["choices"][0]["finish_reason"] == "length"


async def test_each_choice_is_limited_and_counted(chat: DemoChat) -> None:
    chat_call = call("hi", n=3, limit=6, stream_options={"include_usage": True})
    body, chunks = await answer_of(chat, chat_call), await streamed(chat, chat_call)

    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert len({message(body, index)["content"] for index in range(3)}) == 3
    assert [text_of(chunks, index) for index in range(3)] == [message(body, index)["content"] for index in range(3)]
    assert chunks[-1]["usage"]["completion_tokens"] == body["usage"]["completion_tokens"] == 18


@pytest.mark.parametrize("stop", [" 4", [" 4", "never"]])
async def test_it_stops_at_a_stop_sequence(chat: DemoChat, stop: Any) -> None:
    body = await answer_of(chat, call("count to 9", stop=stop))
    assert message(body)["content"] == "1 2 3"
    assert body["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "choice",
    [
        "required",
        {"type": "function", "function": {"name": "get_weather"}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [WEATHER]}},
    ],
)
async def test_a_forced_tool_is_called_with_arguments_of_its_schema(chat: DemoChat, choice: Any) -> None:
    chat_call = call("How is the weather in Oslo for 3 days?", tools=[WEATHER, CLOCK], tool_choice=choice)
    body, chunks = await answer_of(chat, chat_call), await streamed(chat, chat_call)

    assert body["choices"][0]["finish_reason"] == chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert message(body)["content"] is None
    [tool_call] = message(body)["tool_calls"]
    assert (tool_call["type"], tool_call["function"]["name"]) == ("function", "get_weather")
    given = {"city": "Oslo", "days": 3, "unit": "celsius"}
    assert json.loads(tool_call["function"]["arguments"]) == given

    [begun, *parts] = [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in chunks[1:-1]]
    assert (begun["index"], begun["type"], begun["function"]) == (
        0,
        "function",
        {"name": "get_weather", "arguments": ""},
    )
    assert begun["id"].startswith("call_")
    assert all(set(part) == {"index", "function"} and part["index"] == 0 for part in parts)
    assert json.loads("".join(part["function"]["arguments"] for part in parts)) == given


async def test_tools_that_the_user_names_are_called_side_by_side(chat: DemoChat) -> None:
    text = "Use get_weather and get_time"
    both = await answer_of(chat, call(text, tools=[WEATHER, CLOCK]))
    assert [tool_call["function"]["name"] for tool_call in message(both)["tool_calls"]] == ["get_weather", "get_time"]

    one = await answer_of(chat, call(text, tools=[WEATHER, CLOCK], parallel_tool_calls=False))
    assert len(message(one)["tool_calls"]) == 1
    none = await answer_of(chat, call(text, tools=[WEATHER, CLOCK], tool_choice="none"))
    assert "tool_calls" not in message(none)


async def test_after_a_tool_it_tells_what_the_tool_said(chat: DemoChat) -> None:
    called = {"id": "call_1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "Use get_time"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_1", "content": "half past nine"},
    ]
    body = await answer_of(chat, call("", messages=turns, tools=[CLOCK]))
    assert "half past nine" in message(body)["content"]


async def test_a_tool_call_is_cut_at_the_limit_too(chat: DemoChat) -> None:
    body = await answer_of(chat, call("hi", tools=[WEATHER], tool_choice="required", limit=5))
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] <= 5


async def test_json_is_json(chat: DemoChat) -> None:
    body = await answer_of(chat, call("2+2", response_format={"type": "json_object"}))
    assert json.loads(message(body)["content"]) == {"answer": "2+2 = 4"}


@pytest.mark.parametrize(
    "schema",
    [
        WEATHER["function"]["parameters"],  # type: ignore[index]
        {"type": "array", "items": {"type": "number", "exclusiveMinimum": 5, "multipleOf": 0.5}, "minItems": 3},
        {"anyOf": [{"type": "null"}, {"type": "string", "format": "email", "maxLength": 40}]},
        {
            "type": "object",
            "properties": {"a": {"const": 4}, "b": {"type": ["null", "boolean"]}},
            "required": ["a", "b"],
        },
        {"allOf": [{"type": "object", "properties": {"a": {"type": "string", "minLength": 9}}}, {"required": ["a"]}]},
        {
            "$ref": "#/$defs/tree",
            "$defs": {
                "tree": {
                    "type": "object",
                    "properties": {
                        "left": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
                        "right": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
                    },
                    "required": ["left", "right"],
                }
            },
        },
    ],
)
async def test_an_answer_follows_its_json_schema(chat: DemoChat, schema: dict[str, Any]) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    body = await answer_of(chat, call("Tell me 7 things about Oslo", response_format=wanted))
    answer = json.loads(message(body)["content"])
    assert validator(schema).is_valid(answer), answer


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"$ref": "#"}]},
        {"type": "array", "minItems": 10**9, "items": {"type": "string"}},
        {"type": "integer", "minimum": "one"},
    ],
)
async def test_a_schema_that_cannot_be_followed_is_the_callers_fault(chat: DemoChat, schema: dict[str, Any]) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    with pytest.raises(RequestInvalid) as invalid:
        await answer_of(chat, call("hi", response_format=wanted))
    assert invalid.value.param == "response_format"


async def test_the_failing_model_fails_before_any_output(chat: DemoChat) -> None:
    with pytest.raises(UpstreamError):
        await answer_of(chat, call("hi", model="chat-fail"))
    with pytest.raises(UpstreamError):
        await anext(chat.stream(call("hi", model="chat-fail")))


async def test_the_broken_model_breaks_off_in_mid_stream(chat: DemoChat) -> None:
    with pytest.raises(UpstreamError):
        await answer_of(chat, call("hi", model="chat-broken"))
    stream = chat.stream(call("hi", model="chat-broken"))
    chunks = [await anext(stream) for _ in range(6)]
    with pytest.raises(UpstreamError):
        await anext(stream)
    assert text_of(chunks) == "Hello! It is good to"
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks)


@pytest.mark.parametrize(("text", "seconds"), [("hi [seconds=8]", 8), ("hi", 10), ("[seconds=1e9]", 10)])
async def test_the_slow_model_takes_as_long_as_it_is_told(
    chat: DemoChat, sleeper: Sleeper, text: str, seconds: float
) -> None:
    await answer_of(chat, call(text, model="chat-slow"))
    assert sum(sleeper.slept) == seconds
    sleeper.slept.clear()
    chunks = await streamed(chat, call(text, model="chat-slow"))
    assert sum(sleeper.slept) == pytest.approx(seconds)
    assert len(sleeper.slept) == len(chunks) - 2
    assert "[seconds=8]" not in text_of(chunks)


@pytest.mark.parametrize("chat_call", [call("hi", n=0), call("hi", n=1000), call("hi", n="2")])
async def test_nonsense_is_the_callers_fault(chat: DemoChat, chat_call: ChatCall) -> None:
    with pytest.raises(RequestInvalid) as invalid:
        await answer_of(chat, chat_call)
    assert invalid.value.param == "n"


async def test_a_model_that_it_does_not_know(chat: DemoChat) -> None:
    with pytest.raises(UpstreamRefused):
        await answer_of(chat, call("hi", model="gpt"))


@pytest.mark.parametrize("text", ["", " ", "a", "2+2 = 4", "  two  words\n", "日本語のテキスト", "abcdefghi " * 9])
def test_tokens_and_words_are_the_text_again(text: str) -> None:
    pieces = tokens.split(text)
    assert "".join(pieces) == "".join(tokens.words(pieces)) == text
    assert all(len(piece.strip()) <= 4 for piece in pieces)
