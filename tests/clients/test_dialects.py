"""OpenAI-compatible vendors, each in its own dialect: taken for the vendor by its SDK, and billed right through us."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import openai
import pytest
from cerebras.cloud.sdk import Cerebras
from groq import Groq
from mistralai.client import Mistral
from openai import AzureOpenAI, OpenAI

from tests.support.account_client import CREDITS, AccountClient
from tests.support.doubles.dialect_server import ANSWER, ARGUMENTS, DIALECTS, KEY, THOUGHT, DialectServer
from tests.support.stack import Stack

QUESTION: list[Any] = [{"role": "user", "content": "What is 2+2?"}]
TOOLS: list[Any] = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
PRICE = 300 + 300
"""1,000 tokens in, 200 out."""
THINKS = {"vllm": "reasoning_content", "strict": "reasoning_content", "modern": "reasoning_content"} | {
    **{"groq": "reasoning", "mistral": "reasoning_content", "deepseek": "reasoning_content"},
    **{"openrouter": "reasoning", "ollama": "reasoning_content", "cerebras": "reasoning"},
}
CALLS = ("vllm", "strict", "modern", "groq", "mistral")


def _openai(server: DialectServer, vendor: str) -> OpenAI:
    return OpenAI(api_key=KEY, base_url=f"{server.root(vendor)}/v1", max_retries=0)


SDKS: dict[str, Callable[[DialectServer], Any]] = {
    "groq": lambda server: Groq(api_key=KEY, base_url=server.root("groq"), max_retries=0),
    "cerebras": lambda server: Cerebras(
        api_key=KEY, base_url=server.root("cerebras"), max_retries=0, warm_tcp_connection=False
    ),
    "azure": lambda server: AzureOpenAI(
        api_key=KEY, azure_endpoint=server.root(), api_version="2024-10-21", max_retries=0
    ),
    **{name: partial(_openai, vendor=name) for name in ("vllm", "deepseek", "perplexity", "ollama", "openrouter")},
}


@pytest.mark.parametrize("vendor", SDKS)
def test_its_sdk_takes_the_double_for_the_vendor(dialects: DialectServer, vendor: str) -> None:
    with SDKS[vendor](dialects) as client:
        whole = client.chat.completions.create(model="plain", messages=QUESTION)
        chunks = list(client.chat.completions.create(model="plain", messages=QUESTION, stream=True))
    assert whole.choices[0].message.content.endswith(ANSWER)
    assert whole.usage.completion_tokens == 200
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.endswith(ANSWER)


def test_mistrals_sdk_takes_the_double_for_mistral(dialects: DialectServer) -> None:
    with Mistral(api_key=KEY, server_url=dialects.root("mistral")) as client:
        whole = client.chat.complete(model="plain", messages=QUESTION)
        chunks = [event.data for event in client.chat.stream(model="plain", messages=QUESTION)]
    assert (whole.choices[0].message.content, whole.usage.completion_tokens) == (ANSWER, 200)
    assert chunks[-1].usage is not None
    assert chunks[1].choices[0].delta.content[0].type == "thinking"


@pytest.fixture
def client(stack: Stack, owner: AccountClient) -> Iterator[OpenAI]:
    with OpenAI(api_key=owner.customer.token, base_url=f"{stack.url}/v1", max_retries=0) as client:
        yield client


async def charged(owner: AccountClient) -> int:
    limit = (await owner.http.get("/api/chat/limit/")).json()
    assert limit["held"] == 0
    return CREDITS - int(limit["balance"])


@pytest.mark.parametrize("vendor", DIALECTS)
async def test_a_stream_is_the_same_from_every_vendor(client: OpenAI, owner: AccountClient, vendor: str) -> None:
    options: Any = {"include_usage": True}
    stream = client.chat.completions.create(
        model=f"{vendor}-plain", messages=QUESTION, stream=True, stream_options=options
    )
    chunks: list[Any] = [chunk.to_dict() for chunk in stream]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    finishes = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == ANSWER
    assert "".join(delta.get(THINKS.get(vendor, "")) or "" for delta in deltas) == (THOUGHT if vendor in THINKS else "")
    assert (deltas[0]["role"], finishes) == ("assistant", ["stop"])
    assert "SECRET" not in str(chunks)
    counted = vendor == "strict"  # it takes no stream_options, and reports nothing: we count
    assert ((await charged(owner)) == PRICE) is not counted
    if not counted:
        assert chunks[-1]["usage"]["completion_tokens"] == 200


@pytest.mark.parametrize("vendor", DIALECTS)
async def test_a_whole_answer_is_the_same_from_every_vendor(client: OpenAI, owner: AccountClient, vendor: str) -> None:
    answer = client.chat.completions.create(model=f"{vendor}-plain", messages=QUESTION)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (ANSWER, "stop")
    assert "SECRET" not in answer.to_json()
    assert await charged(owner) == PRICE


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("vendor", CALLS)
async def test_a_call_of_a_tool_and_its_result(client: OpenAI, owner: AccountClient, vendor: str, stream: bool) -> None:
    model = f"{vendor}-plain"
    if stream:
        with client.chat.completions.stream(model=model, messages=QUESTION, tools=TOOLS) as events:
            answered: Any = events.get_final_completion()
    else:
        answered = client.chat.completions.create(model=model, messages=QUESTION, tools=TOOLS)
    message = answered.choices[0].message
    (call,) = message.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", ARGUMENTS)
    history = [*QUESTION, message.to_dict() | {"reasoning_content": THOUGHT}]
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "Sunny."}
    answer = client.chat.completions.create(model=model, messages=[*history, result])
    assert answer.choices[0].message.content == ANSWER


def completion(client: OpenAI, model: str, **fields: Any) -> Any:
    return client.chat.completions.with_raw_response.create(model=model, messages=QUESTION, **fields)


def bodies(dialects: DialectServer, vendor: str) -> list[dict[str, Any]]:
    return [body for body in dialects.seen if body["vendor"] == vendor]


async def test_what_a_server_does_not_take_is_found_out_once(
    client: OpenAI, owner: AccountClient, dialects: DialectServer
) -> None:
    given: Any = {"seed": 7, "parallel_tool_calls": False}
    for _ in range(2):
        answer = completion(client, "strict-filtered", **given)
        assert answer.headers["x-yout-dropped-parameters"] == "parallel_tool_calls, seed"
    filtered = [body for body in bodies(dialects, "strict") if body["model"] == "filtered"]
    assert [given.keys() & body.keys() for body in filtered] == [set(given), set(), set()]
    assert await charged(owner) == 2 * PRICE
    with pytest.raises(openai.BadRequestError) as refused:
        completion(client, "strict-filtered", extra_body={"strict": True}, **given)
    assert refused.value.param in given
    assert await charged(owner) == 2 * PRICE


@pytest.mark.parametrize("stream", [False, True])
async def test_the_limit_goes_by_the_name_that_the_server_knows(
    client: OpenAI, owner: AccountClient, dialects: DialectServer, stream: bool
) -> None:
    del dialects.seen[:]
    answer = completion(client, "modern-filtered", max_tokens=500, temperature=0.5, stream=stream)
    list(answer.parse()) if stream else answer.parse()
    assert answer.headers["x-yout-dropped-parameters"] == "temperature"
    last = bodies(dialects, "modern")[-1]
    assert (last["max_completion_tokens"], "max_tokens" in last, "temperature" in last) == (500, False, False)
    assert await charged(owner) == PRICE


@pytest.mark.parametrize("stream", [False, True])
async def test_what_must_not_be_lost_is_an_error(client: OpenAI, owner: AccountClient, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        completion(client, "modern-plain", response_format={"type": "json_object"}, stream=stream)
    assert (refused.value.param, refused.value.code) == ("response_format", "unsupported_parameter")
    assert await charged(owner) == 0


async def test_a_developer_is_a_system_where_the_server_knows_none(client: OpenAI, dialects: DialectServer) -> None:
    messages: Any = [{"role": "developer", "content": "Be brief."}, *QUESTION]
    answer = client.chat.completions.create(model="vllm-plain", messages=messages, reasoning_effort="none")
    assert answer.choices[0].message.content == ANSWER
    last = bodies(dialects, "vllm")[-1]
    assert (last["messages"][0]["role"], last["chat_template_kwargs"]) == ("system", {"enable_thinking": False})


async def test_deepseek_gets_a_schema_in_words(client: OpenAI, dialects: DialectServer) -> None:
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    answer = completion(client, "deepseek-plain", response_format=wanted, reasoning_effort="high")
    assert answer.headers["x-yout-dropped-parameters"] == "response_format.json_schema"
    last = bodies(dialects, "deepseek")[-1]
    assert (last["response_format"], last["thinking"]) == ({"type": "json_object"}, {"type": "enabled"})


@pytest.mark.parametrize("stream", [False, True])
async def test_azure_names_what_its_filter_refused(client: OpenAI, owner: AccountClient, stream: bool) -> None:
    attack: Any = [{"role": "user", "content": "attack"}]
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="azure-plain", messages=attack, stream=stream)
    assert (refused.value.param, "SECRET" in str(refused.value)) == ("messages", False)
    assert await charged(owner) == 0
    filtered = list(client.chat.completions.create(model="azure-filtered", messages=QUESTION, stream=True))
    assert [chunk.choices[0].finish_reason for chunk in filtered if chunk.choices][-1] == "content_filter"


async def test_openrouter_keeps_nothing_and_its_cost_is_not_ours(
    client: OpenAI, owner: AccountClient, dialects: DialectServer
) -> None:
    message = client.chat.completions.create(model="openrouter-plain", messages=QUESTION).choices[0].message
    details = [{"type": "reasoning.text", "text": THOUGHT, "signature": "signed", "index": 0}]
    history: Any = [*QUESTION, message.to_dict() | {"reasoning_details": details}, *QUESTION]
    theirs: Any = {"provider": {"data_collection": "allow", "zdr": False}}
    client.chat.completions.create(model="openrouter-plain", messages=history, extra_body=theirs)
    last = bodies(dialects, "openrouter")[-1]
    assert (last["provider"], last["usage"]) == ({"data_collection": "deny", "zdr": True}, {"include": True})
    assert last["messages"][1]["reasoning_details"] == details
    assert await charged(owner) == 2 * PRICE


@pytest.mark.parametrize("vendor", ["groq", "openrouter"])
async def test_a_stream_that_breaks_is_charged_for_what_came(client: OpenAI, owner: AccountClient, vendor: str) -> None:
    chunks: list[Any] = []
    stream = client.chat.completions.create(model=f"{vendor}-breaks", messages=QUESTION, stream=True)
    with pytest.raises(openai.APIError) as broken:
        chunks.extend(stream)
    assert "SECRET" not in str(broken.value)
    assert 0 < await charged(owner) < PRICE
