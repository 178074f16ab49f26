"""What goes to Gemini, and what never does."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from domain.catalog import Provider
from domain.errors import RequestInvalid
from domain.request_fields import ABOUT_THE_CALLER, OURS
from providers.base import ChatCall
from providers.gemini.adapter import GeminiAdapter

HELLO = [{"role": "user", "content": "Hello"}]
FUNCTION = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
OTHER = {"type": "function", "function": {"name": "g"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "properties": {}}}}
DECLARED = {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}}


def adapter(**fields: Any) -> GeminiAdapter:
    provider = Provider(name="p", kind="gemini", active=True, base_url="https://g.invalid/v1beta", **fields)
    return GeminiAdapter(provider, models="models")


def sent(
    body: dict[str, Any], model: str = "gemini-3.8-flash", **fields: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    call = ChatCall(model, {"model": "ours", "messages": HELLO} | body, 100, choices=body.get("n") or 1, **fields)
    request = adapter().request(call)
    return json.loads(request.body), request.dropped


def config(body: dict[str, Any], model: str = "gemini-3.8-flash") -> dict[str, Any]:
    written = sent(body, model)[0]["generationConfig"]
    assert (written.pop("maxOutputTokens"), written.pop("responseModalities")) == (100, ["TEXT"])
    return dict(written)


def refused(body: dict[str, Any], model: str = "gemini-3.8-flash") -> str | None:
    with pytest.raises(RequestInvalid) as error:
        sent(body, model)
    return error.value.param


def test_a_request() -> None:
    gemini = adapter(api_key=SecretStr("key-1"))
    body = {"messages": HELLO, "temperature": 0}
    whole, streamed = (gemini.request(ChatCall("gemini-x", body, 100, stream=stream)) for stream in (False, True))
    assert whole.url == "https://g.invalid/v1beta/models/gemini-x:generateContent"
    assert streamed.url == "https://g.invalid/v1beta/models/gemini-x:streamGenerateContent?alt=sse"
    assert whole.headers["x-goog-api-key"] == "key-1"
    assert json.loads(whole.body) == {
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "generationConfig": {"temperature": 0, "responseModalities": ["TEXT"], "maxOutputTokens": 100},
        "store": False,
    }
    assert "key-1" not in repr(whole) + whole.url
    assert "Hello" not in repr(whole)


def test_nothing_about_the_caller_is_sent_whatever_passes_allows() -> None:
    private: dict[str, Any] = dict.fromkeys(ABOUT_THE_CALLER | OURS - {"model"}, "PRIVATE")
    private |= {"labels": {"user": "PRIVATE"}, "cachedContent": "PRIVATE", "continuationToken": "PRIVATE"}
    messages = [{"role": "user", "name": "PRIVATE", "user": "PRIVATE", "content": "Hello"}]
    search = {"web_search_options": {"user_location": {"city": "PRIVATE"}}}
    body, dropped = sent({**private, **search, "messages": messages}, passes=frozenset({"*"}))
    assert "PRIVATE" not in json.dumps(body)
    assert {"labels", "cachedContent", "continuationToken"} <= set(dropped)
    assert body["tools"] == [{"googleSearch": {}}]


def test_store_is_false_where_the_provider_takes_it() -> None:
    assert sent({"store": True}, passes=frozenset({"*"}))[0]["store"] is False
    vertex = GeminiAdapter(Provider(name="p", kind="vertex", active=True, base_url="https://v.invalid"), models="m")
    call = ChatCall("gemini-x", {"messages": HELLO, "store": True}, 100, passes=frozenset({"*"}))
    assert "store" not in json.loads(vertex.request(call).body)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"top_p": 0.5, "top_k": 7}, {"topP": 0.5, "topK": 7}),
        ({"presence_penalty": 1, "frequency_penalty": None}, {"presencePenalty": 1}),
        ({"stop": "x"}, {"stopSequences": ["x"]}),
        ({"stop": ["x", "", "y"]}, {"stopSequences": ["x", "y"]}),
        ({"n": 2}, {"candidateCount": 2}),
        ({"n": 1}, {}),
        ({"seed": 7}, {"seed": 7}),
        ({"seed": 2**40 + 7}, {"seed": 7}),
        ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
        ({"logprobs": True, "top_logprobs": 0}, {"responseLogprobs": True}),
        ({"logprobs": False, "top_logprobs": 3}, {}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {"response_format": SCHEMA},
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object", "properties": {}}},
        ),
        ({"image_config": {"aspect_ratio": "16:9", "x": 1}}, {"imageConfig": {"aspectRatio": "16:9"}}),
    ],
)
def test_generation(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert config(fields) == expected


def test_images_are_made_only_when_they_are_requested() -> None:
    body, _ = sent({"modalities": ["image"]})
    assert body["generationConfig"]["responseModalities"] == ["TEXT", "IMAGE"]


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("gemini-3.8-flash", {"reasoning_effort": "none"}, {"includeThoughts": False, "thinkingLevel": "MINIMAL"}),
        ("gemini-3.8-flash", {"reasoning_effort": "low"}, {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-3.8-flash", {"reasoning": {"effort": "max"}}, {"includeThoughts": True, "thinkingLevel": "XHIGH"}),
        ("gemini-3.1-pro-preview", {"reasoning_effort": "minimal"}, {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-3.8-flash", {"reasoning": {"max_tokens": 500}}, {"includeThoughts": True, "thinkingBudget": 500}),
        ("gemini-2.5-flash", {"reasoning_effort": "none"}, {"includeThoughts": False, "thinkingBudget": 0}),
        ("gemini-2.5-pro", {"reasoning_effort": "none"}, {"includeThoughts": False, "thinkingBudget": 128}),
        ("gemini-2.5-flash", {"reasoning_effort": "medium"}, {"includeThoughts": True, "thinkingBudget": 8192}),
        ("gemini-2.5-flash", {"reasoning": {"enabled": False}}, {"includeThoughts": False, "thinkingBudget": 0}),
        (
            "gemini-2.5-flash",
            {"reasoning": {"effort": "high", "exclude": True}},
            {"includeThoughts": False, "thinkingBudget": 24576},
        ),
        ("gemini-flash-latest", {"include_reasoning": True}, {"includeThoughts": True}),
    ],
)
def test_thinking_is_a_budget_of_2_5_and_a_level_since_3(
    model: str, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert config(fields, model) == {"thinkingConfig": expected}


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-1.5-pro", "gemini-2.5-flash-image", "gemma-4-31b-it"])
def test_a_model_that_does_not_think_is_not_told_how(model: str) -> None:
    body, dropped = sent({"reasoning_effort": "high", "reasoning": {"effort": "high"}}, model)
    assert "thinkingConfig" not in body["generationConfig"]
    assert set(dropped) == {"reasoning_effort", "reasoning"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", None),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "f"}}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [OTHER]}},
            {"mode": "ANY", "allowedFunctionNames": ["g"]},
        ),
    ],
)
def test_the_choice_among_tools(choice: Any, expected: dict[str, Any] | None) -> None:
    body, _ = sent({"tools": [FUNCTION, OTHER], "tool_choice": choice})
    assert body["tools"] == [{"functionDeclarations": [DECLARED, {"name": "g"}]}]
    assert body.get("toolConfig") == (None if expected is None else {"functionCallingConfig": expected})


def test_of_some_tools_the_model_may_choose_by_itself() -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [OTHER]}}
    body, _ = sent({"tools": [FUNCTION, OTHER], "tool_choice": choice})
    assert (body["tools"], body.get("toolConfig")) == ([{"functionDeclarations": [{"name": "g"}]}], None)


def test_safety_settings_and_service_tier() -> None:
    settings = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]
    body, _ = sent({"safety_settings": settings, "service_tier": "flex"})
    assert (body["safetySettings"], body["serviceTier"]) == (settings, "flex")
    assert "serviceTier" not in sent({"service_tier": "default"})[0]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 9}, "n"),
        ({"stop": ["a"] * 6}, "stop"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"reasoning": {"effort": 7}}, "reasoning.effort"),
        ({"reasoning": {"max_tokens": -1}}, "reasoning.max_tokens"),
        ({"reasoning": "high"}, "reasoning"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0].type"),
        ({"tools": [FUNCTION, {"type": "function", "function": {"name": "1 f"}}]}, "tools[1].function.name"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function"}}, "tool_choice"),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice.function.name",
        ),
        ({"tools": [FUNCTION], "web_search_options": {}}, "web_search_options"),
        ({"safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "x"}]}, "safety_settings[0]"),
        ({"safety_settings": {}}, "safety_settings"),
        ({"image_config": {"image_size": 4}}, "image_config.image_size"),
    ],
)
def test_what_gemini_cannot_take_is_named(fields: dict[str, Any], param: str) -> None:
    assert refused(fields) == param


def test_what_models_before_gemini_3_cannot_take() -> None:
    assert refused({"tools": [FUNCTION], "response_format": SCHEMA}, "gemini-2.5-flash") == "response_format"
    search = {"web_search_options": {}, "response_format": {"type": "json_object"}}
    assert refused(search, "gemini-2.5-flash") == "web_search_options"
    assert "tools" in sent({"tools": [FUNCTION], "response_format": SCHEMA})[0]


def test_parallel_calls_are_what_gemini_makes_anyway() -> None:
    assert sent({"parallel_tool_calls": True})[1] == ()
    assert sent({"parallel_tool_calls": False})[1] == ("parallel_tool_calls",)
