"""What goes upstream, and what never does."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from domain.catalog import Provider
from domain.errors import RequestInvalid
from domain.request_fields import ABOUT_THE_CALLER, OURS
from providers.base import ChatCall
from providers.openai.adapter import OpenAIAdapter
from providers.openai.request import DOCUMENTED, OPEN_SERVERS

MESSAGES = [{"role": "user", "content": "Hello"}]
ALL = frozenset({"*"})


def provider(**fields: Any) -> Provider:
    given = {"kind": "openai", "active": True, "base_url": "https://up.invalid/v1/", **fields}
    return Provider(name="p", **given)


def sent(body: dict[str, Any], *, openrouter: bool = False, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    call = ChatCall("theirs", {"model": "ours", "messages": MESSAGES} | body, 100, **fields)
    request = OpenAIAdapter(provider(), openrouter=openrouter).request(call)
    return json.loads(request.body), request.dropped


def test_a_request() -> None:
    adapter = OpenAIAdapter(provider(api_key=SecretStr("sk-1")), referer="https://yout.chat")
    request = adapter.request(ChatCall("theirs", {"model": "ours", "messages": MESSAGES, "temperature": 0}, 100))
    assert (request.method, request.url) == ("POST", "https://up.invalid/v1/chat/completions")
    assert json.loads(request.body) == {"messages": MESSAGES, "temperature": 0, "model": "theirs", "max_tokens": 100}
    assert (request.headers["Authorization"], request.headers["HTTP-Referer"]) == ("Bearer sk-1", "https://yout.chat")
    assert "sk-1" not in repr(request)
    assert "Hello" not in repr(request)


@pytest.mark.parametrize("passes", [frozenset[str](), ALL, ABOUT_THE_CALLER | OURS])
def test_nothing_about_the_caller_and_nothing_of_ours(passes: frozenset[str]) -> None:
    given: dict[str, Any] = dict.fromkeys((ABOUT_THE_CALLER | OURS) - {"model"}, "SECRET")
    body, _ = sent(given, passes=passes)
    assert set(body) == {"messages", "model", "max_tokens"}
    assert body["max_tokens"] == 100


def test_only_what_is_known_goes_upstream_and_the_rest_is_named() -> None:
    others: dict[str, Any] = {
        "fallbacks": ["x"],
        "mock_response": "y",
        "kv_transfer_params": {},
        "end_user": "e",
        "nothing": None,
    }
    body, dropped = sent({"top_k": 5, "guided_json": {"type": "object"}, "user": "u", "seed": 1, **others})
    assert set(body) == {"messages", "model", "max_tokens", "top_k", "guided_json", "seed"}
    assert dropped == ("fallbacks", "mock_response", "kv_transfer_params", "end_user")


def test_what_the_catalog_lets_through() -> None:
    given = {"logits_processors": ["a"], "truncate": 5}
    assert sent(given, passes=frozenset({"truncate"}))[0].keys() & given.keys() == {"truncate"}
    assert sent(given, passes=frozenset({"truncate"}))[1] == ("logits_processors",)
    assert sent(given, passes=ALL)[0].keys() & given.keys() == given.keys()
    assert sent(given, passes=ALL)[1] == ()


def test_documented_and_common_fields_arrive_as_they_are() -> None:
    given: dict[str, Any] = dict.fromkeys((DOCUMENTED | OPEN_SERVERS) - {"messages"}, 1)
    body, dropped = sent(given)
    assert body.keys() >= given.keys()
    assert dropped == ()


def test_large_integers_keep_their_digits() -> None:
    call = ChatCall("m", {"messages": MESSAGES, "seed": 12345678901234567890123}, 100)
    assert b'"seed":12345678901234567890123' in OpenAIAdapter(provider()).request(call).body


def test_what_a_provider_can_do_shapes_the_request() -> None:
    developer = {"messages": [{"role": "developer", "content": "Be brief."}]}
    assert sent(developer)[0]["messages"] == [{"role": "system", "content": "Be brief."}]
    able = frozenset({"developer_role", "max_completion_tokens", "store"})
    body, _ = sent({**developer, "store": True}, capabilities=able)
    assert body["messages"] == developer["messages"]
    assert (body["max_completion_tokens"], body["store"], "max_tokens" in body) == (100, False, False)
    of_the_caller = {"stream_options": {"include_usage": False, "include_obfuscation": True}}
    body, _ = sent(of_the_caller, stream=True)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert "stream_options" not in sent(of_the_caller, stream=True, drops=frozenset({"stream_options"}))[0]


def test_what_a_route_does_not_take_is_left_out_and_named() -> None:
    given = {"temperature": 0.5, "seed": 1, "n": 1, "response_format": {"type": "text"}, "tool_choice": None}
    drops = frozenset({*given, "stream_options", "developer_role"})
    body, dropped = sent(given, drops=drops, stream=True, capabilities=frozenset({"developer_role"}))
    assert set(body) == {"messages", "model", "max_tokens", "stream", "tool_choice"}
    assert dropped == ("temperature", "seed", "n", "response_format")
    developer = {"messages": [{"role": "developer", "content": "Be brief."}]}
    able = frozenset({"developer_role"})
    assert sent(developer, capabilities=able, drops=able)[0]["messages"][0]["role"] == "system"


@pytest.mark.parametrize("name", ["tools", "n", "response_format", "tool_choice", "stop", "service_tier"])
def test_what_must_not_be_lost_is_an_error_that_names_it(name: str) -> None:
    with pytest.raises(RequestInvalid) as failure:
        sent({name: 2}, drops=frozenset({name}))
    assert (failure.value.param, failure.value.code) == (name, "unsupported_parameter")


@pytest.mark.parametrize(
    ("drops", "able", "limit"),
    [
        ((), (), "max_tokens"),
        (("max_tokens",), (), "max_completion_tokens"),
        (("max_completion_tokens",), ("max_completion_tokens",), "max_tokens"),
        (("max_tokens", "max_completion_tokens"), (), "max_tokens"),
    ],
)
def test_the_output_limit_is_always_sent(drops: tuple[str, ...], able: tuple[str, ...], limit: str) -> None:
    body, dropped = sent({"max_tokens": 7}, drops=frozenset(drops), capabilities=frozenset(able))
    assert {name: body[name] for name in body if name.startswith("max_")} == {limit: 100}
    assert dropped == ()
