"""The official OpenAI SDK's Responses, against a server with real credits."""

import json
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response
from pydantic import BaseModel

from tests.clients.conftest import OpenAccount
from tests.support import balances, responses_rules, wire_requests
from tests.support.doubles.openai_server import ANSWER, OpenAIServer
from tests.support.stack import Stack

COST = 600  # 1,000 tokens in at 300, 200 out at 1,500
TOOL: Any = {
    "type": "function",
    "name": "find_city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": None,
}
SPACE: Any = {"type": "namespace", "name": "cities", "description": "Of cities.", "tools": [{**TOOL, "name": "find"}]}
PATCH: Any = {"type": "custom", "name": "apply_patch", "description": "Change files."}


class City(BaseModel):
    name: str
    people: int


def yout(response: Response) -> Any:
    return response.to_dict()["yout"]


def test_an_answer(client: OpenAI) -> None:
    answer = client.responses.create(
        model="test-plain", input="What is 2+2?", metadata={"of": "mine"}, instructions="Be brief.", store=True
    )
    assert answer.output_text == ANSWER
    assert answer.id.startswith("resp_")
    assert (answer.status, answer.model, answer.metadata) == ("completed", "test-plain", {"of": "mine"})
    assert (answer.instructions, answer.to_dict()["store"]) == ("Be brief.", False)
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (1000, 200, 1200)
    assert yout(answer) == {"credits_charged": COST, "balance": 1_000_000 - COST}
    assert balances.by_sdk(client) == (1_000_000 - COST, 0)
    receipt = client.get(f"{client.base_url}".replace("/v1/", f"/api/billing/charges/{answer.id}/"), cast_to=object)
    assert isinstance(receipt, dict)
    assert receipt["credits"]["charged"] == COST


def test_a_stream(client: OpenAI) -> None:
    events = list(client.responses.create(model="test-plain", input="What is 2+2?", stream=True))
    words = len(ANSWER.split(" "))
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * words,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == ANSWER
    assert yout(last.response) == {"credits_charged": COST, "balance": 1_000_000 - COST}


def test_the_demo_model_streams_through_the_helper(client: OpenAI) -> None:
    with client.responses.stream(model="demo-chat", input="What is 2+2?") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert final.output_text == text != ""
    assert final.status == "completed"


def test_a_model_of_data_is_parsed(client: OpenAI) -> None:
    answer = client.responses.parse(model="demo-chat", input="Which city is the largest?", text_format=City)
    assert isinstance(answer.output_parsed, City)


@pytest.mark.parametrize("tool", [TOOL, PATCH, SPACE])
def test_a_tool_is_called_and_its_result_is_read(client: OpenAI, tool: Any) -> None:
    ask: Any = [{"role": "user", "content": "Please call the tool."}]
    kind = "custom_tool_call" if tool is PATCH else "function_call"
    first = client.responses.create(model="demo-chat", input=ask, tools=[tool], tool_choice="required")
    (call,) = first.output
    assert (call.type, first.status) == (kind, "completed")
    assert call.type in ("function_call", "custom_tool_call")
    named = ("find", "cities") if tool is SPACE else (tool["name"], None)
    assert (call.name, call.namespace) == named
    assert call.type == "custom_tool_call" or json.loads(call.arguments)["city"]
    output: Any = {"type": f"{kind}_output", "call_id": call.call_id, "output": "It is Rome."}
    then: Any = [*ask, call.to_dict(), output]
    again = client.responses.create(model="demo-chat", input=then, tools=[tool])
    assert "Rome" in again.output_text


def test_tools_are_called_in_a_stream(client: OpenAI) -> None:
    with client.responses.stream(model="test-calls-tools", input="x", tools=[TOOL]) as stream:
        final = stream.get_final_response()
    calls = [item for item in final.output if item.type == "function_call"]
    assert [(call.name, call.arguments) for call in calls] == [("find", '{"q": "a"}'), ("look", '{"at": 2}')]


def test_what_only_the_client_knows_is_not_sent(client: OpenAI, upstream: OpenAIServer) -> None:
    raw = client.responses.with_raw_response.create(
        model="test-plain",
        input=[{"role": "user", "content": "x"}],
        user="PRIVATE",
        safety_identifier="PRIVATE",
        prompt_cache_key="PRIVATE",
        metadata={"a": "PRIVATE"},
        truncation="auto",
        max_output_tokens=100,
        extra_body={"unheard_of": "PRIVATE"},
    )
    sent = upstream.seen[-1].body
    assert "PRIVATE" not in json.dumps(sent)
    assert (sent["max_tokens"], sent["messages"]) == (100, [{"role": "user", "content": "x"}])
    assert set(raw.headers["x-yout-dropped-parameters"].split(", ")) == {"truncation", "unheard_of"}
    answer = raw.parse()
    assert (answer.user, answer.metadata, answer.max_output_tokens) == ("PRIVATE", {"a": "PRIVATE"}, 100)


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"input": None}, "input", "missing_required_parameter"),
    ({"input": []}, "input", "invalid_value"),
    ({"input": 5}, "input", "invalid_type"),
    ({"input": [5]}, "input[0]", "invalid_type"),
    ({"input": [{"type": "odd"}]}, "input[0].type", "invalid_value"),
    ({"input": [{"role": "user"}]}, "input[0].content", "missing_required_parameter"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}, {"type": "odd"}]}]},
        "input[0].content[1].type",
        "invalid_value",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://x.test/a.png"}]}]},
        "input[0].content[0]",
        "invalid_value",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
        "input[0].content[0].file_id",
        "unsupported_parameter",
    ),
    ({"input": [{"type": "item_reference", "id": "rs_1"}]}, "input[0]", "unsupported_parameter"),
    (
        {"input": [{"type": "function_call", "call_id": "c", "name": "f"}]},
        "input[0].arguments",
        "missing_required_parameter",
    ),
    ({"previous_response_id": "resp_1"}, "previous_response_id", "unsupported_parameter"),
    ({"conversation": "conv_1"}, "conversation", "unsupported_parameter"),
    ({"background": True}, "background", "unsupported_parameter"),
    ({"prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
    ({"max_output_tokens": 15}, "max_output_tokens", "invalid_value"),
    ({"temperature": 3}, "temperature", "invalid_value"),
    ({"tools": [{"type": "code_interpreter"}]}, "tools[0].type", "unsupported_parameter"),
    ({"tools": [{"type": "function"}]}, "tools[0].name", "missing_required_parameter"),
    ({"tool_choice": {"type": "web_search"}}, "tool_choice", "invalid_value"),
    ({"service_tier": "priority"}, "service_tier", "unsupported_parameter"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name", "missing_required_parameter"),
    ({"reasoning": {"effort": 3}}, "reasoning.effort", "invalid_type"),
    ({"model": "demo-image"}, "model", "invalid_value"),
]


@pytest.mark.parametrize(("changes", "param", "code"), WRONG)
def test_bad_requests_name_the_field(client: OpenAI, changes: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/responses", cast_to=object, body={"model": "test-plain", "input": "x", **changes})
    assert (caught.value.param, caught.value.code) == (param, code)
    assert caught.value.request_id
    assert balances.by_sdk(client) == (1_000_000, 0)


async def test_other_errors(client: OpenAI, account: OpenAccount) -> None:
    with pytest.raises(openai.AuthenticationError) as unknown:
        client.with_options(api_key="sk-wrong").responses.create(model="x", input="x")
    assert unknown.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError) as missing:
        client.responses.create(model="nobody", input="x")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model="test-busy", input="x")
    with pytest.raises(openai.BadRequestError) as long:
        client.responses.create(model="test-too-long", input="x")
    assert (long.value.code, long.value.param) == ("context_length_exceeded", "input")
    poor = client.with_options(api_key=await account(5))
    with pytest.raises(openai.APIStatusError) as spent:
        poor.responses.create(model="test-plain", input="x")
    assert (spent.value.status_code, spent.value.code) == (402, "insufficient_credits")


def test_a_stream_that_breaks_raises(client: OpenAI) -> None:
    with pytest.raises(openai.APIError) as caught:
        list(client.responses.create(model="test-cut", input="x", stream=True))
    assert caught.value.code == "upstream_error"
    with client.responses.with_streaming_response.create(model="test-cut", input="x", stream=True) as raw:
        events = [json.loads(line[6:]) for line in raw.iter_lines() if line.startswith("data: ")]
    failed = events[-1]
    assert (failed["type"], failed["response"]["error"]["code"]) == ("response.failed", "server_error")
    assert failed["response"]["yout"]["credits_charged"] > 0
    assert events[-2]["type"] == "error"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_an_answer_that_reaches_its_limit_is_incomplete(client: OpenAI) -> None:
    answer = client.responses.create(model="test-writes", input="x", max_output_tokens=20)
    assert (answer.status, answer.output[0].to_dict()["status"]) == ("incomplete", "incomplete")
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"
    events = list(client.responses.create(model="test-writes", input="x", max_output_tokens=20, stream=True))
    assert events[-1].type == "response.incomplete"


@pytest.mark.parametrize("model", ["test-plain", "test-calls-tools"])
def test_the_same_key_gives_the_same_answer_for_one_charge(client: OpenAI, upstream: OpenAIServer, model: str) -> None:
    before = len(upstream.seen)

    def create(**more: Any) -> Any:
        headers = {"idempotency-key": f"{model} {sorted(more)}"}
        return client.responses.create(model=model, input="x", extra_headers=headers, **more)

    answers = [create().to_dict() for _ in range(2)]
    ends = [list(create(stream=True))[-1].response.to_dict() for _ in range(2)]
    assert len(upstream.seen) == before + 2
    for first, again in (answers, ends):
        assert first | {"completed_at": 0} == again | {"completed_at": 0}


async def test_who_leaves_pays_for_what_was_produced(stack: Stack, key: str, client: OpenAI) -> None:
    async with AsyncOpenAI(api_key=key, base_url=f"{stack.url}/v1") as leaving:
        stream = await leaving.responses.create(model="test-endless", input="x", stream=True, max_output_tokens=2000)
        async for event in stream:
            if event.type == "response.output_text.delta":
                break
        await stream.close()
    assert balances.by_sdk(client)[0] < 1_000_000 or balances.by_sdk(client)[1] > 0


async def test_the_input_is_counted_and_a_quote_is_given(client: OpenAI) -> None:
    body: Any = {"model": "test-plain", "input": "What is 2+2?", "max_output_tokens": 100}
    counted = client.post("/responses/input_tokens", cast_to=object, body=body)
    assert counted == {"object": "response.input_tokens", "input_tokens": 14}
    long: Any = {"models": ["test-small"], "input": "word " * 30_000}
    assert client.post("/responses/input_tokens", cast_to=dict[str, Any], body=long)["input_tokens"] > 30_000
    for wrong, param in (({"input": [5]}, "input[0]"), ({"model": "demo-image"}, "model")):
        with pytest.raises(openai.BadRequestError) as caught:
            client.post("/responses/input_tokens", cast_to=object, body={**body, **wrong})
        assert caught.value.param == param
    quote: Any = client.post(str(client.base_url).replace("/v1/", "/api/billing/quote/"), cast_to=object, body=body)
    assert (quote["bounds"]["output_limit"], quote["affordable"]) == (100, True)
    assert balances.by_sdk(client) == (1_000_000, 0)


def test_nothing_is_found_by_its_id(client: OpenAI) -> None:
    for ask in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError) as caught:
            ask("resp_1")
        assert "stores no responses" in caught.value.message
    chats = client.chat.completions
    for find in (chats.retrieve, chats.delete, chats.messages.list):
        with pytest.raises(openai.NotFoundError, match="stores no chat completions"):
            find("chatcmpl-1")
    with pytest.raises(openai.NotFoundError, match="takes no batches"):
        client.batches.retrieve("batch_1")


PIXEL: Any = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
PAGE: Any = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjEK"}
QUESTION: Any = {"type": "input_text", "text": "What do you see?"}


@pytest.mark.parametrize("model", ["demo-chat", "test-calls-tools", "test-cut", "test-claude-thinks", "native-reasons"])
def test_every_event_is_as_openais_types_say(stack: Stack, key: str, model: str) -> None:
    content = [QUESTION, PIXEL, PAGE] if model == "demo-chat" else "Hello"
    body = {"model": model, "input": [{"role": "user", "content": content}], "reasoning": {"effort": "high"}}
    with httpx2.Client(base_url=stack.url, headers={"authorization": f"Bearer {key}"}, timeout=30) as http:
        streamed = http.post("/v1/responses", json={**body, "stream": True})
        whole = http.post("/v1/responses", json=body)
    assert responses_rules.problems(wire_requests.events(streamed)) == []
    if model != "test-cut":
        assert list(responses_rules.response_problems(whole.json())) == []


def test_a_conversation_is_compacted(client: OpenAI) -> None:
    items: Any = [{"role": "user", "content": "We launch on Tuesday."}, {"role": "assistant", "content": "Understood."}]
    compacted = client.responses.compact(model="demo-chat", input=items)
    assert [item.type for item in compacted.output] == ["compaction"]
    compact: Any = [item.to_dict() for item in compacted.output]
    then: Any = [*compact, {"role": "user", "content": "Hello!"}]
    assert client.responses.create(model="demo-chat", input=then).output_text
    assert balances.by_sdk(client)[1] == 0
