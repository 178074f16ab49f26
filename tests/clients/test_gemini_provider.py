"""Gemini behind the server: a double that Google's own SDK takes for Google, and what its answers cost here."""

import json
from collections.abc import Iterator
from typing import Any, cast

import openai
import pytest
from anthropic import Anthropic
from google import genai
from google.genai import errors, types
from google.oauth2 import service_account
from openai import OpenAI

from bench.chaos.receipts import faults
from dev.postgres import EmbeddedPostgres
from tests.support.account_client import AccountClient
from tests.support.doubles.gemini_server import ANSWER, ANSWERS, BREAKS, FAULTS, KEY, LARGE, SIGNATURE, GeminiServer
from tests.support.key_files import key_file
from tests.support.own_stack import own_stack
from tests.support.stack import Stack

QUESTION: list[Any] = [{"role": "user", "content": "What is 2+2?"}]
WEATHER: Any = {
    "name": "f",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "$schema": "x"},
}
TOOLS: list[Any] = [{"type": "function", "function": WEATHER}]
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
PLAIN = 300 + 300
"""1,000 tokens in; 150 and 50 of thoughts out."""


def entry(name: str, route: str) -> str:
    provider, model = route.split("/")
    return f"""
[models.{name}]
context_window = 100000
max_output_tokens = 4000
input_modalities = ["text", "image", "audio", "video", "file"]
credits_per_1k_input = 300
credits_per_1k_output = 1500
credits_per_1k_cached_input = 30
credits_per_1k_audio_input = 3200
credits_per_1k_image_input = 600
credits_per_1k_image_output = 6000
credits_per_1k_web_search = 1000000
service_tiers.flex = {{ credits_per_1k_input = 150, credits_per_1k_output = 750 }}
routes = [ {{ provider = "{provider}", model = "{model}" }} ]
"""


def catalog(url: str) -> str:
    providers = f"""
[providers.studio]
kind = "gemini"
base_url = "{url}/v1beta"
api_key = "{KEY}"
capabilities = ["store"]

[providers.cloud]
kind = "vertex"
base_url = "{url}/v1beta1"
api_key = '''{json.dumps(key_file(url), indent=2)}'''
options = {{ location = "europe-west4" }}
"""
    names = [*ANSWERS, *FAULTS, *BREAKS]
    models = [entry(f"google-{name}", f"studio/gemini-3.8-flash--{name}") for name in names]
    models += [entry(f"google-old-{name}", f"studio/gemini-2.5-flash--{name}") for name in ("search", "tool")]
    return providers + "".join(models) + entry("google-cloud", "cloud/gemini-3.8-flash--plain")


@pytest.fixture(scope="module")
def google() -> Iterator[GeminiServer]:
    with GeminiServer() as server:
        yield server


@pytest.fixture(scope="module")
def stack(
    postgres: EmbeddedPostgres, google: GeminiServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    started = own_stack(postgres, tmp_path_factory, "gemini", catalog(google.url))
    with started.running("api"):
        yield started


@pytest.fixture
def direct(google: GeminiServer) -> Iterator[genai.Client]:
    with genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=google.url)) as client:
        yield client


@pytest.fixture
def client(stack: Stack, owner: AccountClient) -> Iterator[OpenAI]:
    with OpenAI(api_key=owner.customer.token, base_url=f"{stack.url}/v1", max_retries=0) as sdk:
        yield sdk


def named(behaviour: str) -> str:
    return f"gemini-3.8-flash--{behaviour}"


def parts(answer: types.GenerateContentResponse) -> list[types.Part]:
    content = answer.candidates[0].content if answer.candidates else None
    return list(content.parts or []) if content else []


@pytest.mark.parametrize("behaviour", ANSWERS)
def test_the_sdk_takes_the_double_for_google(direct: genai.Client, behaviour: str) -> None:
    """Whole and streamed, it reads the same in an answer."""
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_level=types.ThinkingLevel.LOW)
    )
    whole = direct.models.generate_content(model=named(behaviour), contents="What is 2+2?", config=config)
    stream = list(direct.models.generate_content_stream(model=named(behaviour), contents="Hi", config=config))
    texts = ["".join(part.text or "" for answer in answers for part in parts(answer)) for answers in ([whole], stream)]
    assert texts[0] == texts[1]
    assert stream[-1].usage_metadata == whole.usage_metadata
    calls = [part.function_call for answer in stream for part in parts(answer) if part.function_call]
    assert calls == (whole.function_calls or [])
    if behaviour == "blocked":
        assert whole.prompt_feedback is not None
        assert whole.prompt_feedback.block_reason is types.BlockedReason.SAFETY
    else:
        assert [each.finish_reason for each in whole.candidates or []] == [
            each.finish_reason for each in stream[-1].candidates or []
        ]


def test_the_sdk_calls_its_tools(direct: genai.Client) -> None:
    def f(city: str) -> str:
        return f"15 degrees in {city}"

    config = types.GenerateContentConfig(tools=[f])
    assert direct.models.generate_content(model=named("tool"), contents="Weather?", config=config).text == ANSWER


@pytest.mark.parametrize(("fault", "status"), [(name, status) for name, (status, _) in FAULTS.items()])
def test_the_sdk_takes_its_errors_for_googles(direct: genai.Client, fault: str, status: int) -> None:
    with pytest.raises(errors.APIError) as error:
        direct.models.generate_content(model=named(fault), contents="Hi")
    assert error.value.code == status


def test_the_sdk_takes_the_double_for_vertex(google: GeminiServer) -> None:
    read = cast(Any, service_account.Credentials.from_service_account_info)
    credentials = read(key_file(google.url), scopes=["https://www.googleapis.com/auth/cloud-platform"])
    with genai.Client(
        vertexai=True,
        project="p",
        location="europe-west4",
        credentials=credentials,
        http_options=types.HttpOptions(base_url=google.url),
    ) as client:
        assert client.models.generate_content(model=named("plain"), contents="Hi").text == ANSWER


@pytest.mark.parametrize(
    ("model", "fields", "credits", "meters"),
    [
        ("plain", {}, PLAIN, {"input": 1000, "output": 200}),
        ("cached", {}, 180 + 12 + 300, {"input": 600, "cached_input": 400, "output": 200}),
        ("audio", {"messages": [{"role": "user", "content": [AUDIO]}]}, 210 + 960 + 300, {"audio_input": 300}),
        ("picture", {"messages": [{"role": "user", "content": [PICTURE]}]}, 678, {"image_input": 258}),
        ("image", {"modalities": ["text", "image"]}, 300 + 780 + 105, {"image_output": 130}),
        ("search", {"web_search_options": {}}, 2636, {"input": 1119, "web_search": 2}),
        ("old-search", {"web_search_options": {}}, 1636, {"input": 1119, "web_search": 1}),
        ("flex", {"service_tier": "flex"}, PLAIN / 2, {"input": 1000}),
        ("thoughts", {"reasoning_effort": "high"}, PLAIN, {"output": 200}),
        ("tool", {"tools": TOOLS}, PLAIN, {"output": 200}),
        ("limit", {}, 300 + 75, {"output": 50}),
        ("blocked", {}, 10, None),
        ("safety", {}, 10, {"input": 9}),
    ],
)
async def test_what_google_bills_is_what_is_charged(
    owner: AccountClient, model: str, fields: dict[str, Any], credits: float, meters: dict[str, int] | None
) -> None:
    receipt = await owner.charged(f"google-{model}", max_tokens=500, **fields)
    streamed = await owner.closed(await owner.streamed(f"google-{model}", max_tokens=500, **fields))
    for each in (receipt, streamed):
        assert faults(each) == []
        assert each["credits"]["charged"] == credits
        assert (meters or {}).items() <= each["usage"]["meters"].items()


async def test_an_answer_without_usage_is_counted(owner: AccountClient) -> None:
    receipt = await owner.charged("google-silent", max_tokens=500)
    streamed = await owner.closed(await owner.streamed("google-silent", max_tokens=500))
    assert receipt["usage"]["output_tokens"] == streamed["usage"]["output_tokens"] == 5
    assert receipt["credits"]["charged"] == streamed["credits"]["charged"] >= 10


def message(client: OpenAI, model: str, stream: bool, **fields: Any) -> tuple[dict[str, Any], str | None]:
    """The message of an answer, and why it ended; of a stream, put together as clients do."""
    answer = cast(Any, client.chat.completions.create)(
        model=f"google-{model}", stream=stream, **{"messages": QUESTION, "max_tokens": 500} | fields
    )
    if not stream:
        return answer.choices[0].message.to_dict(), answer.choices[0].finish_reason
    whole: dict[str, Any] = {}
    finish = None
    for chunk in answer:
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            for name, value in choice.delta.to_dict().items():
                whole[name] = whole[name] + value if isinstance(value, str | list) and whole.get(name) else value
    for call in whole.get("tool_calls", []):
        call.pop("index")
    return whole, finish


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["tool", "old-tool"])
@pytest.mark.parametrize(
    "fields", [("role", "content", "tool_calls", "reasoning_details"), ("role", "content", "tool_calls")]
)
def test_tools_and_signatures_go_round(
    client: OpenAI, google: GeminiServer, stream: bool, model: str, fields: tuple[str, ...]
) -> None:
    first, finish = message(client, model, stream, tools=TOOLS, user="PRIVATE-USER")
    assert finish == "tool_calls"
    assert [call["function"] for call in first["tool_calls"]] == [
        {"name": "f", "arguments": '{"city":"Paris"}'},
        {"name": "f", "arguments": '{"city":"Rome"}'},
    ]
    assistant = {name: value for name, value in first.items() if name in fields}
    if "reasoning_details" not in fields:  # as a client that knows OpenAI's fields alone
        assistant["tool_calls"] = [
            {name: value for name, value in call.items() if name != "extra_content"} for call in assistant["tool_calls"]
        ]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "15"} for call in first["tool_calls"]]
    assert (
        message(client, model, stream, tools=TOOLS, messages=[*QUESTION, assistant, *results])[0]["content"] == ANSWER
    )
    *_, calls, returned = google.seen[-1].body["contents"]
    signatures = [part.get("thoughtSignature") for part in calls["parts"]]
    mark = None if model == "old-tool" else "skip_thought_signature_validator"
    assert signatures == [SIGNATURE if "reasoning_details" in fields else mark, None]
    assert [part["functionResponse"]["id"] for part in returned["parts"]] == [
        call["id"] for call in first["tool_calls"]
    ]
    assert "PRIVATE" not in json.dumps(google.seen[-2].body)


@pytest.mark.parametrize("model", ["tool", "old-tool"])
def test_signatures_go_round_through_anthropics_wire(
    stack: Stack, owner: AccountClient, google: GeminiServer, model: str
) -> None:
    tool: Any = {"name": "f", "input_schema": WEATHER["parameters"]}
    with Anthropic(api_key=owner.customer.token, base_url=stack.url, max_retries=0) as claude:
        create = cast(Any, claude.messages.create)
        fields = {"model": f"google-{model}", "max_tokens": 500, "tools": [tool]}
        first = create(messages=QUESTION, **fields)
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "15"}
            for block in first.content
            if block.type == "tool_use"
        ]
        turns = [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        last = create(messages=[*QUESTION, *turns], **fields)
    assert (len(results), last.content[0].text) == (2, ANSWER)
    calls = google.seen[-1].body["contents"][-2]["parts"]
    assert [part.get("thoughtSignature") for part in calls] == [SIGNATURE, None]


@pytest.mark.parametrize("model", ["tool", "old-tool"])
def test_signatures_go_round_through_openais_responses(client: OpenAI, google: GeminiServer, model: str) -> None:
    create = cast(Any, client.responses.create)
    fields = {"model": f"google-{model}", "store": False, "include": ["reasoning.encrypted_content"]}
    fields |= {"tools": [{"type": "function", **WEATHER}], "max_output_tokens": 500}
    first = create(input=QUESTION, **fields)
    calls = [item for item in first.output if item.type == "function_call"]
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "15"} for call in calls]
    last = create(input=[*QUESTION, *first.output, *results], **fields)
    assert (len(calls), last.output_text) == (2, ANSWER)
    sent = google.seen[-1].body["contents"][-2]["parts"]
    assert [part.get("thoughtSignature") for part in sent] == [SIGNATURE, None]


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_in_an_answer(client: OpenAI, stream: bool) -> None:
    thoughts, _ = message(client, "thoughts", stream, reasoning_effort="low")
    assert (thoughts["reasoning_content"], thoughts["content"]) == ("Two and two.", ANSWER)
    assert [each["data"] for each in thoughts["reasoning_details"]] == [SIGNATURE]
    image, _ = message(client, "image", stream, modalities=["text", "image"])
    assert image["images"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    (source,) = message(client, "search", stream, web_search_options={})[0]["annotations"]
    assert source["url_citation"] == {"url": "https://sums.test/4", "title": "Sums", "start_index": 0, "end_index": 19}
    assert message(client, "limit", stream)[1] == "length"
    blocked, finish = message(client, "blocked", stream)
    assert (finish, bool(blocked["refusal"])) == ("content_filter", True)
    assert message(client, "safety", stream)[1] == "content_filter"


@pytest.mark.parametrize("stream", [False, True])
def test_a_large_image(client: OpenAI, stream: bool) -> None:
    image, _ = message(client, "large", stream, modalities=["text", "image"])
    assert len(image["images"][0]["image_url"]["url"]) == len("data:image/png;base64,") + LARGE


def test_candidates_are_choices(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="google-plain", messages=QUESTION, n=2, max_tokens=500)
    assert [choice.message.content for choice in answer.choices] == [ANSWER, ANSWER]
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model="google-plain", messages=QUESTION, n=9, max_tokens=50)
    assert error.value.param == "n"


@pytest.mark.parametrize(
    ("fault", "kind", "param"),
    [
        ("busy", openai.RateLimitError, None),
        ("picky", openai.BadRequestError, "temperature"),
        ("too-long", openai.BadRequestError, "messages"),
        ("lost", openai.InternalServerError, None),
        ("broken", openai.InternalServerError, None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors(client: OpenAI, fault: str, kind: type[openai.APIStatusError], param: str | None, stream: bool) -> None:
    with pytest.raises(kind) as error:
        message(client, fault, stream, temperature=1)
    assert error.value.param == param
    assert "SECRET" not in str(error.value)
    if fault == "busy":
        assert error.value.response.headers["retry-after"] == "35"


@pytest.mark.parametrize("fault", BREAKS)
async def test_what_breaks_in_the_middle_is_charged_as_far_as_it_came(
    client: OpenAI, owner: AccountClient, fault: str
) -> None:
    with pytest.raises(openai.APIError):
        message(client, fault, stream=True)
    receipt = (await owner.get("/charges/"))["data"][0]
    counted = 3 + 9  # what was asked, and five tokens that came
    assert receipt["credits"]["charged"] == (PLAIN if fault == "malformed" else counted)


def test_what_google_gets(client: OpenAI, google: GeminiServer, owner: AccountClient) -> None:
    """The key in a header; nothing of the caller's; no logging."""
    private: list[Any] = [{"role": "user", "name": "PRIVATE-NAME", "content": "Hello"}]
    fields: Any = {"user": "PRIVATE-USER", "safety_identifier": "PRIVATE-ID", "metadata": {"a": "PRIVATE-META"}}
    client.chat.completions.create(model="google-plain", messages=private, max_tokens=70, store=True, **fields)
    sent = google.seen[-1]
    assert sent.path == "/v1beta/models/gemini-3.8-flash--plain:generateContent"
    assert sent.headers["x-goog-api-key"] == KEY
    assert "PRIVATE" not in json.dumps([sent.body, sent.headers])
    assert owner.customer.token not in json.dumps(sent.headers)
    assert sent.body["store"] is False
    assert sent.body["generationConfig"] == {"maxOutputTokens": 70, "responseModalities": ["TEXT"]}


def test_vertex_has_one_token_for_all_calls(client: OpenAI, google: GeminiServer) -> None:
    minted = len(google.minted)
    for stream in (False, True):
        assert message(client, "cloud", stream)[0]["content"] == ANSWER
    assert len(google.minted) == minted + 1
    sent = google.seen[-1]
    assert sent.path == (
        "/v1beta1/projects/of-the-key/locations/europe-west4/publishers/google/models/"
        "gemini-3.8-flash--plain:streamGenerateContent?alt=sse"
    )
    assert "store" not in sent.body
