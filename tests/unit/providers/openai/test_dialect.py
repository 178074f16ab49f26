"""What the capabilities of a route rewrite in a request."""

import json
import re
from typing import Any

import pytest

from domain.catalog import Capability, Provider
from providers.base import ChatCall, EmbeddingCall
from providers.openai import dialect
from providers.openai.adapter import OpenAIAdapter
from providers.openai.azure import AzureAdapter, AzureEmbeddings

MESSAGES = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
STRUCTURED = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}


def provider(kind: str = "openai", **fields: Any) -> Provider:
    return Provider(name="p", kind=kind, active=True, **{"base_url": "https://up.invalid/v1", **fields})


def sent(
    body: dict[str, Any], *able: Capability, drops: tuple[str, ...] = (), **fields: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    call = ChatCall(
        "m", {"messages": MESSAGES} | body, 9, capabilities=frozenset(map(str, able)), drops=frozenset(drops)
    )
    request = OpenAIAdapter(provider(**fields)).request(call)
    return json.loads(request.body), request.dropped


@pytest.mark.parametrize(
    ("capability", "name", "on", "off"),
    [
        (Capability.ENABLE_THINKING, "enable_thinking", True, False),
        (Capability.THINKING_TYPE, "thinking", {"type": "enabled"}, {"type": "disabled"}),
        (Capability.TEMPLATE_THINKING, "chat_template_kwargs", {"enable_thinking": True}, {"enable_thinking": False}),
    ],
)
def test_reasoning_effort_is_a_switch_where_the_server_has_one(
    capability: Capability, name: str, on: Any, off: Any
) -> None:
    for effort, switch in (("low", on), ("high", on), ("none", off)):
        body, dropped = sent({"reasoning_effort": effort}, capability)
        assert (body[name], "reasoning_effort" in body, dropped) == (switch, False, ())
    assert name not in sent({}, capability)[0]
    assert sent({"reasoning_effort": "low", name: "theirs"}, capability)[0][name] == "theirs"
    body, dropped = sent({"reasoning_effort": "low"}, capability, drops=(name,))
    assert ({name, "reasoning_effort"} & body.keys(), dropped) == (set(), ("reasoning_effort",))


def test_a_schema_goes_in_words_where_only_json_is_known() -> None:
    body, dropped = sent({"response_format": STRUCTURED}, Capability.JSON_OBJECT_ONLY)
    assert body["response_format"] == {"type": "json_object"}
    assert json.dumps(SCHEMA, separators=(",", ":")) in body["messages"][0]["content"]
    assert (body["messages"][1:], dropped) == (MESSAGES, ("response_format.json_schema",))
    plain = {"response_format": {"type": "json_object"}}
    assert sent(plain, Capability.JSON_OBJECT_ONLY) == sent(plain)
    assert sent({"response_format": STRUCTURED})[0]["response_format"] == STRUCTURED


def test_ids_of_calls_are_short_and_the_same_in_the_result() -> None:
    calls = [
        {"id": id_, "type": "function", "function": {"name": "f", "arguments": "{}"}} for id_ in ("call_1", "aB3456789")
    ]
    messages = [
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": "4"},
    ]
    body, _ = sent({"messages": messages}, Capability.SHORT_TOOL_IDS)
    first, second = (call["id"] for call in body["messages"][0]["tool_calls"])
    assert re.fullmatch("[A-Za-z0-9]{9}", first)
    assert (second, body["messages"][1]["tool_call_id"]) == ("aB3456789", first)
    assert dialect.short_id("call_1") != dialect.short_id("call_2")


def test_fields_by_another_name() -> None:
    renames = {"seed": "random_seed"}
    body, dropped = sent({"seed": 7}, renames=renames)
    assert (body["random_seed"], "seed" in body, dropped) == (7, False, ())
    assert sent({"seed": 7, "random_seed": 8}, renames=renames)[0]["random_seed"] == 8


@pytest.mark.parametrize(
    ("base_url", "options", "url"),
    [
        ("https://r.invalid/openai/v1", {}, "https://r.invalid/openai/v1/chat/completions"),
        (
            "https://r.invalid/openai/v1/",
            {"api_version": "preview"},
            "https://r.invalid/openai/v1/chat/completions?api-version=preview",
        ),
        (
            "https://r.invalid",
            {},
            "https://r.invalid/openai/deployments/my%20model/chat/completions?api-version=2024-10-21",
        ),
        (
            "https://r.invalid/openai",
            {"api_version": "2025-04-01-preview"},
            "https://r.invalid/openai/deployments/my%20model/chat/completions?api-version=2025-04-01-preview",
        ),
    ],
)
def test_azure_has_its_own_address_and_header(base_url: str, options: dict[str, str], url: str) -> None:
    adapter = AzureAdapter(provider("azure", base_url=base_url, options=options, api_key="sk-1"))
    request = adapter.request(ChatCall("my model", {"messages": MESSAGES}, 9))
    assert request.url == url
    assert (request.headers["api-key"], "Authorization" in request.headers) == ("sk-1", False)
    assert json.loads(request.body)["model"] == "my model"
    embeddings = AzureEmbeddings(provider("azure", base_url=base_url, options=options, api_key="sk-1"))
    request = embeddings.request(EmbeddingCall("my model", {"input": "x", "user": "u"}, ("x",)))
    assert request.url == url.replace("chat/completions", "embeddings")
    assert (request.headers["api-key"], "Authorization" in request.headers) == ("sk-1", False)
    assert json.loads(request.body) == {"input": "x", "model": "my model"}


def test_openrouter_gets_one_way_to_reason_and_is_asked_for_its_report() -> None:
    given = {"reasoning": {"effort": "low"}, "reasoning_effort": "high", "provider": {"data_collection": "allow"}}
    call = ChatCall("m", {"messages": MESSAGES} | given, 9)
    body = json.loads(OpenAIAdapter(provider("openrouter"), openrouter=True).request(call).body)
    assert (body["reasoning"], "reasoning_effort" in body) == ({"effort": "low"}, False)
    assert (body["provider"], body["usage"]) == ({"data_collection": "deny", "zdr": True}, {"include": True})
