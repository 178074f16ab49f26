"""A replay, as the OpenAI SDK reads it, is the first answer: tool calls, all choices, log probabilities."""

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
from openai import OpenAI
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.clients.conftest import OpenAccount
from tests.support.doubles.openai_server import OpenAIServer
from tests.support.stack import Stack

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is 2+2?"}]
TOOLS: list[ChatCompletionToolParam] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("find", "look")
]
CALLED = {0: ["call_0", "find", '{"q": "a"}'], 1: ["call_1", "look", '{"at": 2}']}


@dataclass(slots=True)
class ChoiceResult:
    """One choice. The SDK's own helper counts some log probabilities of a second choice twice: put together here."""

    text: str = ""
    tools: dict[int, list[str]] = field(default_factory=dict)
    logprobs: list[float] = field(default_factory=list)
    finish: str | None = None

    def add(self, message: Any, choice: Any) -> None:
        self.text += message.content or ""
        self.finish = choice.finish_reason or self.finish
        self.logprobs += [token.logprob for token in (choice.logprobs.content if choice.logprobs else None) or ()]
        for n, call in enumerate(message.tool_calls or ()):
            call_parts = self.tools.setdefault(getattr(call, "index", n), ["", "", ""])
            for part, text in enumerate((call.id, call.function.name, call.function.arguments)):
                call_parts[part] += text or ""


@dataclass(slots=True)
class Answered:
    id: str = ""
    usage: CompletionUsage | None = None
    choices: dict[int, ChoiceResult] = field(default_factory=dict)


def answer_of(client: OpenAI, model: str, key: str, *, stream: bool) -> Answered:
    answered = Answered()
    more: Any = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    answer: Any = client.chat.completions.create(
        model=model,
        messages=MESSAGES,
        tools=TOOLS,
        n=2 if model == "test-says-two" else 1,
        logprobs=True,
        extra_headers={"Idempotency-Key": key},
        **more,
    )
    for part in answer if stream else [answer]:
        answered.id, answered.usage = part.id, part.usage or answered.usage
        for choice in part.choices:
            choices = answered.choices.setdefault(choice.index, ChoiceResult())
            choices.add(choice.delta if stream else choice.message, choice)
    return answered


CHOICES = {
    "test-calls-tools": {0: ChoiceResult("", CALLED, [], "tool_calls")},
    "test-says-two": {
        0: ChoiceResult("one more", {}, [-0.25, -0.25], "stop"),
        1: ChoiceResult("eins mehr", {}, [-0.25, -0.25], "stop"),
    },
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", CHOICES)
def test_a_replay_is_the_first_answer(stack: Stack, key: str, upstream: OpenAIServer, model: str, stream: bool) -> None:
    before, name = len(upstream.seen), uuid.uuid4().hex
    with OpenAI(api_key=key, base_url=f"{stack.url}/v1", max_retries=0) as client:
        first, again = (answer_of(client, model, name, stream=stream) for _ in range(2))
    assert len(upstream.seen) == before + 1
    assert first.choices == CHOICES[model]
    assert first.usage
    assert again == first


def chunks(client: OpenAI, model: str, key: str, **fields: Any) -> list[Any]:
    headers = {"Idempotency-Key": key}
    stream: Any = client.chat.completions.create(
        model=model, messages=MESSAGES, stream=True, extra_headers=headers, **fields
    )
    return [choice for chunk in stream for choice in chunk.choices]


def indexes(choices: list[Any]) -> list[int]:
    return [part.index for choice in choices for part in choice.delta.tool_calls or ()]


@pytest.mark.parametrize(
    ("model", "text", "calls"),
    [
        ("test-text-after-finish", "a b ", []),
        ("test-second-tool-alone", "", [("c1", "f", "{}")]),
        ("test-stream-no-index", "x", []),
    ],
)
def test_an_odd_stream_is_told_in_order_and_alike_the_second_time(
    stack: Stack, key: str, model: str, text: str, calls: list[Any]
) -> None:
    name = uuid.uuid4().hex
    with OpenAI(api_key=key, base_url=f"{stack.url}/v1", max_retries=0) as client:
        first, again = (chunks(client, model, name) for _ in range(2))
        assert indexes(first) == indexes(again)
        for choices in (first, again):
            assert "".join(choice.delta.content or "" for choice in choices) == text
            parts = [part for choice in choices for part in choice.delta.tool_calls or ()]
            assert [(part.id, part.function.name, part.function.arguments) for part in parts] == calls
            assert [choice.finish_reason for choice in choices if choice.finish_reason] == [
                "tool_calls" if calls else "stop"
            ]
            assert choices[-1].finish_reason


async def test_an_answer_that_the_credits_cut_is_cut_the_second_time_too(stack: Stack, account: OpenAccount) -> None:
    name, token = uuid.uuid4().hex, await account(20_000)
    with OpenAI(api_key=token, base_url=f"{stack.url}/v1", max_retries=0) as client:
        first, again = [await asyncio.to_thread(chunks, client, "test-metered", name) for _ in range(2)]
    for choices in (first, again):
        assert choices[-1].finish_reason == "length"
    texts = ["".join(choice.delta.content or "" for choice in choices) for choices in (first, again)]
    assert texts[0] == texts[1] != ""
