"""What goes to Anthropic, and what never does."""

import json
from typing import Any

import pytest

from domain.request_fields import ABOUT_THE_CALLER, OURS
from providers.base import ChatCall
from tests.support.anthropic_requests import BOTH, HELLO, NEW, OLD, SENT_HELLO, adapter, refused, request_of, sent

SCHEMA = {"type": "object", "properties": {"a": {"type": "object", "properties": {}}}, "required": ["a"]}
CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "object", "properties": {}, "additionalProperties": False}},
    "required": ["a"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
USE = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}}


def test_a_request() -> None:
    request = request_of({"model": "ours"}, stream=True)
    assert (request.method, request.url) == ("POST", "https://up.invalid/v1/messages")
    assert json.loads(request.body) == {"messages": SENT_HELLO, "model": OLD, "max_tokens": 4000, "stream": True}
    assert request.headers == {
        "x-api-key": "sk-1",
        "anthropic-version": "2023-06-01",
        "HTTP-Referer": "https://yout.chat",
        "Content-Type": "application/json",
        "Accept": "text/event-stream",
    }
    assert not {"sk-1", "Hello"} & set(repr(request).split("'"))


@pytest.mark.parametrize("passes", [frozenset[str](), frozenset({"*"}), ABOUT_THE_CALLER | OURS])
def test_nothing_about_the_caller_and_nothing_of_ours(passes: frozenset[str]) -> None:
    given: dict[str, Any] = dict.fromkeys((ABOUT_THE_CALLER | OURS) - {"model"}, "SECRET")
    message = {"role": "user", "content": "Hello", "name": "SECRET", "metadata": {"a": "SECRET"}, "id": "SECRET"}
    assert sent(given | {"messages": [message]}, passes=passes) == {
        "messages": SENT_HELLO,
        "model": OLD,
        "max_tokens": 4000,
    }


def test_what_it_lacks_is_dropped_and_named_unless_it_asks_for_nothing() -> None:
    lacking = {"seed": 1, "logit_bias": {"a": 1}, "presence_penalty": 1, "verbosity": "low", "logprobs": True}
    request = request_of({**lacking, "prediction": {}, "min_p": 0.5, "frequency_penalty": 0, "n": 1, "top_logprobs": 0})
    assert request.dropped == (*lacking, "prediction", "min_p")
    assert not set(json.loads(request.body)) & set(lacking)


def test_unknown_fields_within_are_named_and_those_of_this_wire_are_not() -> None:
    result = {"role": "tool", "tool_call_id": "t", "content": "x", "is_error": True, "novel": 1}
    assert request_of({"messages": [*HELLO, result]}).dropped == ("messages.novel",)


def test_what_a_route_does_not_take_is_dropped() -> None:
    request = request_of(
        {"cache_control": {"type": "ephemeral"}, "top_k": 5}, drops=frozenset({"cache_control", "top_k"})
    )
    assert (set(json.loads(request.body)), request.dropped) == (
        {"messages", "model", "max_tokens"},
        ("cache_control", "top_k"),
    )


def test_what_the_catalog_passes_is_sent_but_replaces_nothing() -> None:
    body = sent(
        {"vendor": 1, "inference_geo": "us", "stop_sequences": ["x"]}, passes=frozenset({"vendor", "max_tokens"})
    )
    assert (body["vendor"], body["max_tokens"], "inference_geo" in body) == (1, 4000, False)


@pytest.mark.parametrize(
    ("model", "given", "sent", "dropped"),
    [
        (OLD, {"temperature": 1.5}, {"temperature": 1}, ()),
        (OLD, {"temperature": 0.5, "top_p": 0.5, "top_k": 5}, {"temperature": 0.5, "top_k": 5}, ("top_p",)),
        (BOTH, {"top_p": 0.5}, {"top_p": 0.5}, ()),
        (NEW, {"temperature": 0.5, "top_p": 0.5}, {}, ("temperature", "top_p")),
        (OLD, {"temperature": 0.5, "reasoning_effort": "low"}, {}, ("temperature",)),
        ("kimi", {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5, "top_p": 0.5}, ()),
    ],
)
def test_sampling(model: str, given: dict[str, Any], sent: dict[str, Any], dropped: tuple[str, ...]) -> None:
    request = request_of(given, model)
    body = json.loads(request.body)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == sent
    assert request.dropped == dropped


def test_a_newer_version_takes_no_sampling() -> None:
    newer = adapter(options={"version": "2026-10-21"})
    request = newer.request(ChatCall(OLD, {"messages": HELLO, "temperature": 0.5}, 10))
    assert request.headers["anthropic-version"] == "2026-10-21"
    assert (request.dropped, "temperature" in json.loads(request.body)) == (("temperature",), False)


@pytest.mark.parametrize(
    ("given", "field", "expected"),
    [
        ({"stop": "x"}, "stop_sequences", ["x"]),
        ({"stop": ["x", " \n", "y"]}, "stop_sequences", ["x", "y"]),
        ({"stop": "\n"}, "stop_sequences", None),
        ({"service_tier": "default"}, "service_tier", "standard_only"),
        ({"service_tier": "auto"}, "service_tier", None),
        (
            {"cache_control": {"type": "ephemeral", "ttl": "1h", "x": 1}},
            "cache_control",
            {"type": "ephemeral", "ttl": "1h"},
        ),
        ({"response_format": {"type": "text"}}, "output_config", None),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
            "output_config",
            {"format": {"type": "json_schema", "schema": CLOSED}},
        ),
        ({"tools": [TOOL]}, "tools", [USE]),
        ({"functions": [TOOL["function"]]}, "tools", [USE]),
        (
            {"functions": [TOOL["function"]]},
            "tool_choice",
            {"type": "auto", "disable_parallel_tool_use": True},
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            "tools",
            [{k: USE[k] for k in ("name", "input_schema")}],
        ),
        (
            {"tools": [TOOL | {"cache_control": {"type": "ephemeral"}}]},
            "tools",
            [USE | {"cache_control": {"type": "ephemeral"}}],
        ),
        ({"tools": []}, "tools", None),
        ({"tool_choice": "required"}, "tool_choice", None),
        ({"tools": [TOOL], "tool_choice": "none"}, "tool_choice", {"type": "none"}),
        ({"tools": [TOOL], "tool_choice": "auto"}, "tool_choice", {"type": "auto"}),
        ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice", {"type": "any"}),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
            "tool_choice",
            {"type": "tool", "name": "f"},
        ),
        (
            {"tools": [TOOL], "parallel_tool_calls": False},
            "tool_choice",
            {"type": "auto", "disable_parallel_tool_use": True},
        ),
        ({"tools": [TOOL], "parallel_tool_calls": False, "tool_choice": "none"}, "tool_choice", {"type": "none"}),
        (
            {"functions": [TOOL["function"]], "function_call": {"name": "f"}},
            "tool_choice",
            {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_fields(given: dict[str, Any], field: str, expected: Any) -> None:
    assert sent(given).get(field) == expected
    assert request_of(given).dropped == ()


@pytest.mark.parametrize(("model", "strict"), [(OLD, True), ("claude-sonnet-4-20250514", None), ("kimi", None)])
def test_strict_tools(model: str, strict: bool | None) -> None:
    function = TOOL["function"] | {"strict": True}  # type: ignore[operator]  # a dict, of mixed values
    assert sent({"tools": [{"type": "function", "function": function}]}, model)["tools"][0].get("strict") is strict


def test_only_the_tools_that_are_allowed() -> None:
    tools = [TOOL, {"type": "function", "function": {"name": "g"}}]
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    body = sent({"tools": tools, "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed}})
    assert ([tool["name"] for tool in body["tools"]], body["tool_choice"]) == (["g"], {"type": "any"})


def test_any_json_is_asked_for_in_words() -> None:
    messages = [{"role": "system", "content": "Be brief."}, *HELLO]
    body = sent({"messages": messages, "response_format": {"type": "json_object"}})
    assert body["system"][0]["text"] == "Be brief."
    assert "JSON" in body["system"][1]["text"]
    assert "output_config" not in body


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        ({"tools": [TOOL], "tool_choice": "some"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "custom", "custom": {"name": "f"}}}, "tool_choice"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"reasoning_effort": "much"}, "reasoning_effort"),
        ({"reasoning": {"max_tokens": "x"}}, "reasoning.max_tokens"),
    ],
)
def test_what_it_has_no_form_for_is_named(given: dict[str, Any], param: str) -> None:
    assert refused(given) == param


def test_a_search_is_a_tool_with_a_limit() -> None:
    options = {"web_search_options": {"search_context_size": "low"}}
    tool = {"type": "function", "function": {"name": "f"}}
    request = request_of({**options, "tools": [tool]}, max_searches=3)
    names = [(each["name"], each.get("max_uses")) for each in json.loads(request.body)["tools"]]
    assert names == [("f", None), ("web_search", 3)]
    assert request.dropped == ("web_search_options.search_context_size",)
