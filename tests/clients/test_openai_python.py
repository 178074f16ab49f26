"""The official OpenAI SDK, unchanged, against a server with real credits."""

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.clients.conftest import OpenAccount
from tests.support import balances
from tests.support.doubles.openai_server import ANSWER, OpenAIServer
from tests.support.stack import Stack

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is 2+2?"}]
COST = 600  # 1,000 tokens in at 300, 200 out at 1,500


def test_a_chat_call(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="test-plain", messages=MESSAGES)
    assert answer.choices[0].message.content == ANSWER
    assert answer.model == "test-plain"
    assert answer.id.startswith("chatcmpl-")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1000, 200)
    assert answer.to_dict()["yout"] == {"credits_charged": COST, "balance": 1_000_000 - COST}
    assert balances.by_sdk(client) == (1_000_000 - COST, 0)


async def test_an_asynchronous_call(stack: Stack, key: str) -> None:
    async with AsyncOpenAI(api_key=key, base_url=f"{stack.url}/v1") as client:
        answer = await client.chat.completions.create(model="test-plain", messages=MESSAGES, n=2)
        assert len(answer.choices) == 2


def test_headers_tell_the_charge_and_the_request(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="test-plain", messages=MESSAGES)
    assert raw.headers["x-yout-credits-charged"] == str(COST)
    assert raw.headers["x-yout-balance"] == str(1_000_000 - COST)
    assert raw.headers["x-request-id"].startswith("req_")


def test_a_stream(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="test-plain", messages=MESSAGES, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == ANSWER
    assert {c.id for c in chunks} == {chunks[0].id}
    assert {c.model for c in chunks} == {"test-plain"}
    assert [c.choices[0].finish_reason for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    last = chunks[-1]
    assert last.choices[0].finish_reason == "stop"
    assert last.to_dict()["yout"] == {"credits_charged": COST, "balance": 1_000_000 - COST}
    assert all("yout" not in c.to_dict() for c in chunks[:-1])


def test_a_stream_with_usage(client: OpenAI) -> None:
    events = client.chat.completions.create(
        model="test-plain", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(events)
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 1200
    assert chunks[-1].to_dict()["yout"] == {"credits_charged": COST, "balance": 1_000_000 - COST}
    assert all(c.usage is None for c in chunks[:-1])


def test_the_demo_model_streams_through_the_helper(client: OpenAI) -> None:
    with client.chat.completions.stream(model="demo-chat", messages=MESSAGES) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content
    assert final.choices[0].finish_reason == "stop"


def test_models(client: OpenAI) -> None:
    ids = [model.id for model in client.models.list()]
    assert "demo-chat" in ids
    assert "test-plain" in ids
    assert "anthropic-claude-sonnet-46" not in ids  # no key for a provider of it is set
    model = client.models.retrieve("test-plain").to_dict()
    assert model["credits_per_1k_input"] == 300
    assert model["context_window"] == model["context_length"] == 100_000
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nobody/knows-it")
    assert caught.value.code == "model_not_found"


def test_a_wrong_key_is_an_authentication_error(stack: Stack, key: str) -> None:
    for wrong in ("sk-nonsense", key[:-1] + ("a" if key[-1] != "a" else "b")):
        with (
            OpenAI(api_key=wrong, base_url=f"{stack.url}/v1") as stranger,
            pytest.raises(openai.AuthenticationError) as caught,
        ):
            stranger.chat.completions.create(model="x", messages=MESSAGES)
        assert caught.value.code == "invalid_api_key"
        assert wrong not in str(caught.value.body)


def test_an_unknown_model(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="nobody-knows-it", messages=MESSAGES)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_an_empty_account_is_told_before_anything_is_sent(
    stack: Stack, account: OpenAccount, upstream: OpenAIServer
) -> None:
    before = len(upstream.seen)
    with OpenAI(api_key=await account(100), base_url=f"{stack.url}/v1") as poor:
        with pytest.raises(openai.APIStatusError) as caught:
            poor.chat.completions.create(model="test-plain", messages=MESSAGES, max_tokens=1000)
        assert balances.by_sdk(poor) == (100, 0)
    error = caught.value
    assert error.status_code == 402
    assert (error.code, error.type) == ("insufficient_credits", "insufficient_quota")
    assert isinstance(error.body, dict)
    assert error.body["available"] == 100
    assert error.body["required"] > 1500
    assert error.response.headers["x-should-retry"] == "false"
    assert len(upstream.seen) == before


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": "hello"}, "messages", "invalid_type"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"role": "nobody", "content": "x"}]}, "messages[0].role", "invalid_value"),
        ({"max_tokens": -1}, "max_tokens", "invalid_value"),
        ({"max_tokens": True}, "max_tokens", "invalid_type"),
        ({"max_tokens": "10"}, "max_tokens", "invalid_type"),
        ({"max_completion_tokens": 2**63}, "max_completion_tokens", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"service_tier": "priority"}, "service_tier", "unsupported_parameter"),
        ({"web_search_options": {}}, "web_search_options", "unsupported_parameter"),
        ({"model": "demo-image"}, "model", "invalid_value"),
    ],
)
def test_bad_requests_name_the_field(client: OpenAI, changes: dict[str, object], param: str, code: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", cast_to=object, body={"model": "test-plain", "messages": MESSAGES, **changes})
    assert (caught.value.param, caught.value.code) == (param, code)
    assert balances.by_sdk(client) == (1_000_000, 0)


@pytest.mark.parametrize(
    ("model", "error", "code"),
    [
        ("test-busy", openai.RateLimitError, "rate_limit_exceeded"),
        ("test-overloaded", openai.InternalServerError, "upstream_error"),
        ("test-broken", openai.InternalServerError, "upstream_error"),
        ("test-forbidden", openai.InternalServerError, "upstream_error"),
        ("test-lost", openai.InternalServerError, "upstream_error"),
        ("test-html", openai.InternalServerError, "upstream_error"),
        ("test-unreachable", openai.InternalServerError, "upstream_error"),
        ("test-picky", openai.BadRequestError, "unsupported_parameter"),
        ("test-too-long", openai.BadRequestError, "context_length_exceeded"),
        ("demo-chat-fail", openai.InternalServerError, "upstream_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_fails_before_any_output_costs_nothing(
    client: OpenAI, model: str, error: type[openai.APIStatusError], code: str, stream: bool
) -> None:
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=model, messages=MESSAGES, stream=stream)
    assert caught.value.code == code
    assert "SECRET" not in str(caught.value)
    assert balances.by_sdk(client) == (1_000_000, 0)


def test_the_second_route_answers_when_the_first_cannot(client: OpenAI) -> None:
    assert client.chat.completions.create(model="test-second", messages=MESSAGES).choices[0].message.content == ANSWER
    streamed = client.chat.completions.create(model="test-second", messages=MESSAGES, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in streamed) == ANSWER
    assert balances.by_sdk(client) == (1_000_000 - 2 * COST, 0)


@pytest.mark.parametrize("model", ["test-cut", "test-error-inside", "test-garbage", "demo-chat-broken"])
def test_a_stream_that_breaks_is_billed_for_what_came(client: OpenAI, model: str) -> None:
    got: list[str] = []
    chunks = client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    with pytest.raises(openai.APIError) as caught:
        got.extend(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "".join(got)
    assert caught.value.code == "upstream_error"
    assert "SECRET" not in str(caught.value)
    left, held = balances.by_sdk(client)
    assert held == 0
    assert 1_000_000 - 100 < left < 1_000_000


@pytest.mark.parametrize(
    ("model", "charged"),
    [
        ("test-usage-zero", 10),
        ("test-usage-missing", 14),
        ("test-usage-negative", 14),
        ("test-usage-absurd", 14),
        ("test-usage-text", 14),
        ("test-usage-fraction", 14),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_usage_is_trusted_within_bounds_and_counted_otherwise(
    client: OpenAI, model: str, charged: int, stream: bool
) -> None:
    """Counted: 14 tokens of prompt at 300 and 5 or 6 of answer at 1,500 per 1,000."""
    answered = client.chat.completions.create(model=model, messages=MESSAGES, stream=stream)
    if stream:
        assert list(answered)
    spent = 1_000_000 - balances.by_sdk(client)[0]
    assert charged - 2 <= spent <= charged + 2
    assert balances.by_sdk(client)[1] == 0


def test_the_upstream_learns_nothing_about_the_caller(client: OpenAI, upstream: OpenAIServer) -> None:
    client.chat.completions.create(
        model="test-plain",
        messages=[{"role": "developer", "content": "Be brief."}, *MESSAGES],
        user="ann@example.test",
        metadata={"who": "ann"},
        safety_identifier="ann",
        store=True,
        max_tokens=77,
        extra_body={"vendor_field": {"kept": True}, "provider": {"data_collection": "allow"}, "fallbacks": ["x"]},
    )
    seen = upstream.seen[-1]
    assert seen.body["model"] == "plain"
    assert seen.body["max_tokens"] == 77
    assert seen.body["vendor_field"] == {"kept": True}
    assert seen.body["messages"][0]["role"] == "system"
    assert not {"user", "metadata", "safety_identifier", "store", "provider", "fallbacks"} & set(seen.body)
    headers = {name.lower(): value for name, value in seen.headers.items()}
    assert headers["authorization"] == "Bearer sk-foreign"
    assert headers["http-referer"] == "https://yout.chat"
    allowed = {"host", "http-referer", "user-agent", "authorization", "content-type", "content-length", "accept"}
    assert set(headers) <= allowed | {"accept-encoding"}
    assert headers["user-agent"] == "yout"


def test_an_unset_limit_is_held_and_injected(client: OpenAI, upstream: OpenAIServer) -> None:
    client.chat.completions.create(model="test-plain", messages=MESSAGES)
    assert upstream.seen[-1].body["max_tokens"] == 40_000  # the model's maximum: an eighth of a million buys it


def test_a_client_that_leaves_is_billed_for_what_was_produced(client: OpenAI, upstream: OpenAIServer) -> None:
    upstream.aborted.clear()
    stream = client.chat.completions.create(model="test-endless", messages=MESSAGES, stream=True, max_tokens=2000)
    for number, _ in enumerate(stream):
        if number == 30:
            break
    stream.close()
    assert upstream.aborted.wait(10), "the provider was not told to stop"
    left, held = balances.by_sdk(client)
    for _ in range(100):
        if held == 0:
            break
        left, held = balances.by_sdk(client)
    assert held == 0
    assert 1_000_000 - 2000 < left < 1_000_000 - 30


def test_both_spellings_of_a_path_and_x_api_key(stack: Stack, key: str) -> None:
    headers = {"x-api-key": key}
    with OpenAI(api_key="ignored", base_url=stack.url, default_headers={"Authorization": ""}) as client:
        for path in ("/v1/models", "/v1/models/", "/api/chat/limit", "/api/chat/limit/"):
            assert client.get(path, cast_to=object, options={"headers": headers})
