"""The demo model obeys, recalls, and refuses what OpenAI's definitions exclude."""

import json
from typing import Any

import pytest

from domain.errors import RequestInvalid
from providers.base import ChatCall
from providers.demo.chat import DemoChat
from providers.demo.tokens import split
from tests.unit.providers.demo.test_chat import WEATHER, Sleeper

SUM = "What is 2 + 2? Answer with just the number."


@pytest.fixture
def chat() -> DemoChat:
    return DemoChat(sleep=Sleeper())


def call(*messages: dict[str, Any] | str, **body: Any) -> ChatCall:
    turns = [{"role": "user", "content": message} if isinstance(message, str) else message for message in messages]
    return ChatCall("chat", {"messages": turns} | body, 4000)


async def answer(chat: DemoChat, chat_call: ChatCall) -> str:
    """The same, whole and as a stream."""
    whole = (await chat.complete(chat_call))["choices"][0]["message"]["content"]
    chunks = [chunk async for chunk in chat.stream(chat_call)]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == whole
    assert isinstance(whole, str)
    return whole


@pytest.mark.parametrize(
    ("instruction", "words"),
    [
        ("Reply with exactly OK", "OK"),
        ("Reply with exactly: pong", "pong"),
        ("Please reply with exactly 'All good.' and nothing else.", "All good."),
        ("Respond with only the word hello.", "hello"),
        ("Say only the word banana, nothing else.", "banana"),
        ('Output exactly "x y z"', "x y z"),
        ("Answer with just the number 42.", "42"),
        ("Reply with the single word: ready", "ready"),
        ("You are a test. Reply with exactly this text: one two three", "one two three"),
        ("Say this is a test", "this is a test"),
        ("Say hi", "hi"),
        ("Repeat after me: the sky is blue", "the sky is blue"),
        ("Say 'blue whale'.", "blue whale"),
        ("Return only PONG. Do not explain.", "PONG"),
        ("respond with exactly the following text: É ü", "É ü"),
    ],
)
async def test_it_says_what_it_is_told(chat: DemoChat, instruction: str, words: str) -> None:
    assert await answer(chat, call(instruction)) == words
    assert await answer(chat, call({"role": "system", "content": instruction}, "Hello there, model")) == words


@pytest.mark.parametrize(
    "question", ["What is 2 + 2?", "Tell me a joke", "Write a haiku", "How do I say no politely?", SUM]
)
async def test_a_question_prescribes_no_words(chat: DemoChat, question: str) -> None:
    assert len(await answer(chat, call(question))) > 4


@pytest.mark.parametrize(
    ("name", "sentence", "called"),
    [
        ("get_weather", "What's the weather in Paris?", True),
        ("getCurrentWeather", "Is the weather good?", True),
        ("add", "Add a=40 and b=2", True),
        ("get_weather", "What time is it?", False),
        ("get_weather_alerts", "What's the weather in Paris?", False),
    ],
)
async def test_a_tool_that_the_question_is_about_is_called(
    chat: DemoChat, name: str, sentence: str, called: bool
) -> None:
    tools = [{"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}]
    choice = (await chat.complete(call(sentence, tools=tools)))["choices"][0]
    assert choice["finish_reason"] == ("tool_calls" if called else "stop")


@pytest.mark.parametrize(
    ("before", "question", "expected"),
    [
        ("My name is Ann.", "What is my name?", "Ann"),
        ("My favourite colour is deep blue, you know.", "Which is my favourite colour?", "deep blue"),
        ("Remember the number 7421.", "What number did I ask you to remember?", "7421"),
        ("Please remember this word: zebra", "Which word was it?", "zebra"),
        ("The secret code is X-99", "Tell me the secret code", "X-99"),
        ("I like trains", "What did I just say?", "I like trains"),
        ("I have three cats.", "How many cats do I have?", "three"),
        ("I have 12 old books and a dog", "How many books have I got?", "12"),
        ("We've got seven dogs at home", "How many dogs do we have?", "seven"),
        ("My favorite city is Oslo.", "What is my favourite city?", "Oslo"),
        ("My favourite color is teal", "What's my favorite colour?", "teal"),
        ("I live in Bergen.", "Where do I live?", "Bergen"),
        ("I am 37 years old", "How old am I?", "37"),
        ("I like trains", "Repeat my previous message", "I like trains"),
    ],
)
async def test_it_recalls_the_turn_before(chat: DemoChat, before: str, question: str, expected: str) -> None:
    reply = {"role": "assistant", "content": "Noted."}
    assert expected in await answer(chat, call(before, reply, question))
    assert expected not in await answer(chat, call(question))


@pytest.mark.parametrize(
    ("sentence", "arguments"),
    [
        ("add a=40 and b=2", {"a": 40, "b": 2}),
        ("add with b = 2, a = 40", {"a": 40, "b": 2}),
        ("add 40 and 2", {"a": 40, "b": 2}),
        ("add: a is -1 and b: 3", {"a": -1, "b": 3}),
        ("add 5", {"a": 5, "b": 5}),
    ],
)
async def test_two_arguments_of_a_tool(chat: DemoChat, sentence: str, arguments: dict[str, int]) -> None:
    numbers = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
    tool = {"type": "function", "function": {"name": "add", "parameters": numbers}}
    message = (await chat.complete(call(sentence, tools=[tool])))["choices"][0]["message"]
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == arguments


async def test_legacy_functions_are_called(chat: DemoChat) -> None:
    function = WEATHER["function"]
    for choice in ({}, {"function_call": {"name": "get_weather"}}, {"function_call": "auto"}):
        chat_call = call("get_weather for Paris", functions=[function], **choice)
        (choice_,) = (await chat.complete(chat_call))["choices"]
        assert (choice_["finish_reason"], choice_["message"]["content"]) == ("function_call", None)
        assert "tool_calls" not in choice_["message"]
        assert json.loads(choice_["message"]["function_call"]["arguments"])["city"] == "Paris"
        chunks = [chunk["choices"][0] async for chunk in chat.stream(chat_call)]
        parts = [chunk["delta"]["function_call"] for chunk in chunks if "function_call" in chunk["delta"]]
        assert [part["name"] for part in parts if "name" in part] == ["get_weather"]
        assert "".join(part["arguments"] for part in parts) == choice_["message"]["function_call"]["arguments"]
        assert chunks[-1]["finish_reason"] == "function_call"
    result = {"role": "function", "name": "get_weather", "content": "21 degrees"}
    called = {"role": "assistant", "content": None, "function_call": {"name": "get_weather", "arguments": "{}"}}
    assert "21 degrees" in await answer(chat, call("get_weather", called, result, functions=[function]))
    none = call("get_weather", functions=[function], function_call="none")
    assert "get_weather" in await answer(chat, none)


@pytest.mark.parametrize("top", [None, 0, 3, 20])
async def test_log_probabilities(chat: DemoChat, top: int | None) -> None:
    chat_call = call("Tell me a joke", logprobs=True, **({} if top is None else {"top_logprobs": top}))
    (choice_,) = (await chat.complete(chat_call))["choices"]
    entries = choice_["logprobs"]["content"]
    assert [entry["token"] for entry in entries] == split(choice_["message"]["content"])
    for entry in entries:
        assert entry["logprob"] <= 0
        assert bytes(entry["bytes"]).decode() == entry["token"]
        likely = [each["logprob"] for each in entry["top_logprobs"]]
        assert len(likely) == (top or 0)
        assert likely == sorted(likely, reverse=True)
    chunks = [chunk["choices"][0] async for chunk in chat.stream(chat_call)]
    assert [entry for chunk in chunks if chunk["logprobs"] for entry in chunk["logprobs"]["content"]] == entries
    assert (await chat.complete(call("Tell me a joke")))["choices"][0]["logprobs"] is None


USER = {"role": "user", "content": "x"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "y"}
FUNCTION = {"name": "f"}
TOOL = {"type": "function", "function": FUNCTION}

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    ({"stop": [1]}, "stop"),
    ({"stop": {}}, "stop"),
    ({"logit_bias": {"50256": 200}}, "logit_bias"),
    ({"logit_bias": {"x": 1}}, "logit_bias"),
    ({"logit_bias": {"1": "1"}}, "logit_bias"),
    ({"logit_bias": [1]}, "logit_bias"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"top_p": -0.1}, "top_p"),
    ({"presence_penalty": 3}, "presence_penalty"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"reasoning_effort": "immense"}, "reasoning_effort"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}, "response_format.json_schema.name"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}}, "response_format.json_schema.name"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": "perhaps", "tools": [TOOL]}, "tool_choice"),
    ({"tool_choice": {"type": "function", "function": {"name": "g"}}, "tools": [TOOL]}, "tool_choice"),
    ({"parallel_tool_calls": True}, "parallel_tool_calls"),
    ({"tools": []}, "tools"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [TOOL, {"type": "function", "function": {}}]}, "tools[1].function.name"),
    ({"tools": [{"type": "zzz"}]}, "tools[0].type"),
    ({"functions": []}, "functions"),
    ({"functions": [{}]}, "functions[0].name"),
    ({"function_call": "auto"}, "function_call"),
    ({"functions": [FUNCTION], "function_call": {"name": "g"}}, "function_call"),
    ({"messages": [USER, RESULT]}, "messages[1]"),
    ({"messages": [USER, CALLING, RESULT | {"tool_call_id": "c2"}]}, "messages[2]"),
    ({"messages": [USER, CALLING, RESULT, RESULT]}, "messages[3]"),
    ({"messages": [USER, CALLING, USER]}, "messages[2]"),
    ({"messages": [USER, CALLING]}, "messages"),
    ({"messages": [USER, {"role": "assistant", "tool_calls": [{"id": "c1"}]}]}, "messages[1].tool_calls[0]"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ({"messages": [{"role": "critic", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": [{"type": "zzz"}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url"),
    ({"messages": [{"role": "system", "content": [{"type": "file", "file": {}}]}]}, "messages[0].content[0].type"),
]


@pytest.mark.parametrize(("body", "param"), REFUSED, ids=str)
async def test_what_openai_excludes_is_refused(chat: DemoChat, body: dict[str, Any], param: str) -> None:
    chat_call = ChatCall("chat", {"messages": [USER]} | body, 4000)
    with pytest.raises(RequestInvalid) as refused:
        await chat.complete(chat_call)
    assert refused.value.param == param
    with pytest.raises(RequestInvalid) as refused:
        await anext(chat.stream(chat_call))
    assert refused.value.param == param


@pytest.mark.parametrize(
    "body",
    [
        {"stop": ["a", "b", "c", "d"], "temperature": 2, "top_p": 0, "reasoning_effort": "low", "verbosity": "high"},
        {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False},
        {"tool_choice": "none"},
        {"logit_bias": {"50256": -100, "1": 0.5}},
        {"messages": [USER, CALLING, RESULT, USER, {"role": "assistant", "content": "z"}, USER]},
        {"messages": [{"role": "developer", "content": [{"type": "text", "text": "x"}]}, USER]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
        {"response_format": {"type": "text"}},
        {"stop": None, "response_format": None, "tools": None, "tool_choice": None, "functions": None},
    ],
)
async def test_what_openai_takes_is_taken(chat: DemoChat, body: dict[str, Any]) -> None:
    assert (await chat.complete(ChatCall("chat", {"messages": [USER]} | body, 4000)))["choices"]
