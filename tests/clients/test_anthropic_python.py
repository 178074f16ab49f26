"""The official Anthropic SDK, unchanged, against a server with real credits and a provider of OpenAI's wire."""

from collections.abc import Iterator

import anthropic
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import MessageParam, ToolParam

from tests.clients.conftest import OpenAccount, OpenAccountClient
from tests.support.doubles.openai_server import ANSWER, OpenAIServer
from tests.support.stack import Stack

MESSAGES: list[MessageParam] = [{"role": "user", "content": "What is 2+2?"}]
COST = 600  # 1,000 tokens in at 300, 200 out at 1,500
CHARGED = {"credits_charged": COST, "balance": 1_000_000 - COST}
WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def client(stack: Stack, key: str) -> Iterator[Anthropic]:
    with Anthropic(api_key=key, base_url=stack.url, max_retries=0) as sdk:
        yield sdk


def balance(stack: Stack, client: Anthropic) -> tuple[int, int]:
    headers = {"authorization": f"Bearer {client.api_key}"}
    balances = httpx2.get(f"{stack.url}/api/chat/limit/", headers=headers).json()
    return balances["balance"], balances["held"]


def test_a_message(stack: Stack, client: Anthropic) -> None:
    message = client.messages.create(model="test-plain", max_tokens=300, messages=MESSAGES)
    (block,) = message.content
    assert block.type == "text"
    assert block.text == ANSWER
    assert (message.id[:4], message.model, message.stop_reason) == ("msg_", "test-plain", "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (1000, 200)
    assert message.to_dict()["yout"] == CHARGED
    assert balance(stack, client) == (1_000_000 - COST, 0)
    receipt = httpx2.get(
        f"{stack.url}/api/billing/charges/{message.id}/", headers={"authorization": f"Bearer {client.api_key}"}
    )
    assert receipt.json()["credits"]["charged"] == COST


async def test_an_asynchronous_message(stack: Stack, key: str) -> None:
    async with AsyncAnthropic(auth_token=key, api_key=None, base_url=stack.url, max_retries=0) as client:
        message = await client.messages.create(model="test-usage-cached", max_tokens=300, messages=MESSAGES)
    used = message.usage
    counts = (used.input_tokens, used.cache_read_input_tokens, used.cache_creation_input_tokens, used.output_tokens)
    assert counts == (1000 - 601 - 102, 601, 102, 33)


def test_headers_tell_the_charge_and_the_request(client: Anthropic) -> None:
    raw = client.messages.with_raw_response.create(model="test-plain", max_tokens=300, messages=MESSAGES)
    assert raw.headers["x-yout-credits-charged"] == str(COST)
    assert raw.headers["request-id"] == raw.headers["x-request-id"]
    assert raw.parse()._request_id == raw.headers["request-id"]


def test_a_stream(stack: Stack, client: Anthropic) -> None:
    with client.messages.create(model="test-plain", max_tokens=300, messages=MESSAGES, stream=True) as stream:
        events = list(stream)
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert events[-2].to_dict()["yout"] == CHARGED
    assert balance(stack, client) == (1_000_000 - COST, 0)


def test_the_stream_helper(client: Anthropic) -> None:
    with client.messages.stream(model="test-plain", max_tokens=300, messages=MESSAGES) as stream:
        assert "".join(stream.text_stream) == ANSWER
        message = stream.get_final_message()
    assert (message.usage.input_tokens, message.usage.output_tokens, message.stop_reason) == (1000, 200, "end_turn")


def test_a_tool_round_trip_with_the_demo_model(client: Anthropic) -> None:
    question: list[MessageParam] = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = client.messages.create(model="demo-chat", max_tokens=300, messages=question, tools=[WEATHER])
    assert first.stop_reason == "tool_use"
    call = next(block for block in first.content if block.type == "tool_use")
    assert (call.name, "city" in call.input) == ("get_weather", True)
    result: MessageParam = {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "21 degrees"}]}
        ],
    }
    history: list[MessageParam] = [*question, {"role": "assistant", "content": first.content}, result]
    with client.messages.stream(model="demo-chat", max_tokens=300, messages=history, tools=[WEATHER]) as stream:
        answer = stream.get_final_text()
    assert "21 degrees" in answer


ErrorCase = tuple[dict[str, object], type[anthropic.APIStatusError], str, str | None]
ERRORS: list[ErrorCase] = [
    ({"model": "nobody"}, anthropic.NotFoundError, "not_found_error", "model"),
    ({"max_tokens": 0}, anthropic.BadRequestError, "invalid_request_error", "max_tokens"),
    ({"messages": []}, anthropic.BadRequestError, "invalid_request_error", "messages"),
    ({"model": "test-pro"}, anthropic.PermissionDeniedError, "permission_error", None),
    ({"model": "test-busy"}, anthropic.RateLimitError, "rate_limit_error", None),
    ({"model": "test-broken"}, anthropic.InternalServerError, "api_error", None),
    ({"extra_body": {"max_credits": 1}}, anthropic.PaymentRequiredError, "billing_error", None),
    ({"extra_headers": {"authorization": "Bearer wrong"}}, anthropic.AuthenticationError, "authentication_error", None),
]


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case[2])
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_the_sdks_own(client: Anthropic, case: ErrorCase, stream: bool) -> None:
    changes, kind, word, param = case
    fields: dict[str, object] = {"model": "test-plain", "max_tokens": 300, "messages": MESSAGES, "stream": stream}
    with pytest.raises(kind) as caught:
        client.messages.create(**{**fields, **changes})  # type: ignore[call-overload]  # what is wrong is the point
    error = caught.value
    assert isinstance(error.body, dict)
    assert (error.body["type"], error.body["error"]["type"], error.body["error"]["param"]) == ("error", word, param)
    assert error.request_id == error.body["request_id"]
    assert "SECRET" not in str(error)


async def test_a_stream_that_breaks(stack: Stack, account: OpenAccount) -> None:
    async with AsyncAnthropic(api_key=await account(1_000_000), base_url=stack.url, max_retries=0) as client:
        stream = await client.messages.create(model="test-cut", max_tokens=300, messages=MESSAGES, stream=True)
        with pytest.raises(anthropic.APIStatusError) as caught:
            async for _ in stream:
                pass
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["type"] == "api_error"
    assert caught.value.body["yout"]["credits_charged"] > 0


def test_tokens_are_counted_for_nothing(stack: Stack, client: Anthropic, upstream: OpenAIServer) -> None:
    before = len(upstream.seen)
    short = client.messages.count_tokens(model="test-plain", messages=MESSAGES)
    tools = client.messages.count_tokens(model="test-plain", messages=MESSAGES, system="Be brief.", tools=[WEATHER])
    long = client.messages.count_tokens(model="test-small", messages=[{"role": "user", "content": "word " * 30_000}])
    assert 0 < short.input_tokens < tools.input_tokens < 30_000 < long.input_tokens
    assert balance(stack, client) == (1_000_000, 0)
    assert len(upstream.seen) == before
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.count_tokens(model="test-plain", messages=[], extra_body={"messages": [{"role": "robot"}]})
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["param"] == "messages.0.role"
    with pytest.raises(anthropic.NotFoundError) as unknown:
        client.messages.count_tokens(model="nobody", messages=MESSAGES)
    assert unknown.value.request_id


def test_models_come_in_pages(client: Anthropic) -> None:
    first = client.models.list(limit=7)
    assert (len(first.data), first.has_more) == (7, True)
    listed = [model.id for model in first]
    assert {"test-plain", "demo-chat"} <= set(listed)
    assert "demo-image" not in listed
    assert len(listed) == len(set(listed)) > 20
    before = client.models.list(limit=1000, before_id=listed[5])
    assert [model.id for model in before.data] == listed[:5]
    one = client.models.retrieve("test-plain")
    assert (one.type, one.lifecycle, one.max_tokens) == ("model", "active", 40_000)
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nobody")


def test_what_is_not_here_is_said_in_its_words(client: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.batches.list()
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["type"] == "not_found_error"
    assert "takes no batches" in caught.value.body["error"]["message"]


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
WRONG: list[tuple[dict[str, object], str]] = [
    ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages.0.content.0"),
    (
        {"messages": [{"role": "user", "content": [{**IMAGE, "source": {"type": "file", "file_id": "f"}}]}]},
        "messages.0.content.0.source",
    ),
    ({"messages": [{"role": "user", "content": [{"type": "novel"}]}]}, "messages.0.content.0.type"),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": 7}]}]},
        "messages.0.content.0.tool_use_id",
    ),
    (
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": "c"}]}]},
        "messages.0.content.0.input",
    ),
    ({"system": [{"type": "image"}]}, "system.0.type"),
    ({"tools": [{"name": "x", "input_schema": 5}]}, "tools.0.input_schema"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0"),
    (
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 0}]},
        "tools.0.max_uses",
    ),
    ({"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}, "tools.0.type"),
    ({"tool_choice": {"type": "tool", "name": "x"}}, "tool_choice"),
    ({"thinking": {"type": "enabled", "budget_tokens": 3}}, "thinking.budget_tokens"),
    ({"output_config": {"effort": "huge"}}, "output_config.effort"),
    ({"extra_body": {"temperature": 1.5}}, "temperature"),
    ({"stop_sequences": [5]}, "stop_sequences.0"),
    ({"extra_body": {"speed": "fast"}}, "speed"),
    ({"extra_body": {"strict": True, "novel": 1}}, "novel"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case[1])
def test_what_is_wrong_is_named_as_it_was_written(client: Anthropic, case: tuple[dict[str, object], str]) -> None:
    changes, param = case
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(**{"model": "test-plain", "max_tokens": 9, "messages": MESSAGES, **changes})  # type: ignore[call-overload]
    assert isinstance(caught.value.body, dict)
    error = caught.value.body["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert f"'{param}'" in error["message"]


def test_nothing_about_the_caller_goes_upstream(client: Anthropic, upstream: OpenAIServer) -> None:
    client.messages.create(
        model="test-plain", max_tokens=300, messages=MESSAGES, metadata={"user_id": "u-17"}, stop_sequences=["x"]
    )
    seen = upstream.seen[-1]
    assert "u-17" not in str(seen)
    assert (seen.body["stop"], seen.body["max_tokens"]) == (["x"], 300)
    assert not [name for name in seen.headers if name.lower().startswith(("anthropic", "x-stainless"))]


async def test_a_reader_that_leaves_pays_for_what_came(stack: Stack, new_owner: OpenAccountClient) -> None:
    owner = await new_owner()
    async with AsyncAnthropic(api_key=owner.customer.token, base_url=stack.url, max_retries=0) as client:
        stream = await client.messages.create(model="test-endless", max_tokens=4000, messages=MESSAGES, stream=True)
        start = await anext(aiter(stream))
        assert start.type == "message_start"
        async for event in stream:
            if event.type == "content_block_delta":
                break
        await stream.close()
    receipt = await owner.closed(start.message.id)
    assert 0 < receipt["credits"]["charged"] < receipt["credits"]["held"]


def test_a_retry_is_charged_once(stack: Stack, account: OpenAccount, key: str) -> None:
    headers = {"idempotency-key": "once"}
    with Anthropic(api_key=key, base_url=stack.url) as client:
        answers = [
            client.messages.with_raw_response.create(
                model="test-plain", max_tokens=300, messages=MESSAGES, extra_headers=headers
            )
            for _ in range(2)
        ]
        assert answers[1].headers["idempotent-replayed"] == "true"
        assert answers[0].parse().to_dict() == answers[1].parse().to_dict()
        assert balance(stack, client) == (1_000_000 - COST, 0)
