"""Requests as the adapter of Anthropic's wire writes them."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from domain.catalog import Provider
from domain.errors import RequestInvalid
from providers.anthropic.adapter import AnthropicAdapter
from providers.base import ChatCall, NativeRequest, UpstreamRequest

HELLO = [{"role": "user", "content": "Hello"}]
SENT_HELLO = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
OLD, BOTH, NEW = "claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-5-5"


def adapter(**fields: Any) -> AnthropicAdapter:
    given: dict[str, Any] = {
        "kind": "anthropic",
        "active": True,
        "base_url": "https://up.invalid/v1/",
        "api_key": SecretStr("sk-1"),
    }
    return AnthropicAdapter(Provider(name="p", **given | fields), referer="https://yout.chat")


def request_of(
    body: dict[str, Any], model: str = OLD, limit: int = 4000, native: dict[str, Any] | None = None, **fields: Any
) -> UpstreamRequest:
    own = None if native is None else NativeRequest("anthropic", native)
    return adapter().request(ChatCall(model, {"messages": HELLO} | body, limit, native=own, **fields))


def sent(body: dict[str, Any], model: str = OLD, limit: int = 4000, **fields: Any) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(request_of(body, model, limit, **fields).body)
    return written


def turns(*messages: dict[str, Any]) -> list[Any]:
    written: list[Any] = sent({"messages": list(messages)})["messages"]
    return written


def refused(body: dict[str, Any], model: str = OLD, **fields: Any) -> str | None:
    with pytest.raises(RequestInvalid) as error:
        request_of(body, model, **fields)
    return error.value.param
