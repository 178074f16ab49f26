"""Reads requests in the form of OpenAI's chat completions. `openai_chat_stream` writes the answers.

Fields that the gateway does not use are kept unchanged. `gateway.request_meters` checks fields that affect the price.
"""

from collections.abc import Mapping
from typing import Any

from api import openapi_chat
from api.wire import fields, openai_chat_stream
from api.wire.base import Quoted
from api.wire.json_wire import JsonWire
from domain.errors import RequestInvalid
from domain.money import MAX_AMOUNT
from domain.pricing import MAX_TOKENS
from domain.request_fields import RANGES
from gateway.wire import Bill, CompletedAnswer, Head, ModelCall, StreamWriter

ROLES = frozenset({"developer", "system", "user", "assistant", "tool", "function"})
MAX_CHOICES = 128
_TOOLS = ("function", "custom")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "stream": (bool,),
    "strict": (bool,),
    "temperature": (int, float),
    "top_p": (int, float),
    "presence_penalty": (int, float),
    "frequency_penalty": (int, float),
    "stop": (str, list),
    "seed": (int,),
    "tools": (list,),
    "functions": (list,),
    "tool_choice": (str, dict),
    "response_format": (dict,),
    "stream_options": (dict,),
    "logprobs": (bool,),
    "top_logprobs": (int,),
    "parallel_tool_calls": (bool,),
    "reasoning_effort": (str,),
}


class OpenAIChat(JsonWire):
    """Implements `api.wire.base.ClientWire`."""

    path = "/v1/chat/completions"
    endpoint = "chat"
    operation = openapi_chat.CHAT

    def parse(self, body: dict[str, Any]) -> ModelCall:
        return parse(body)

    def takes(self, quoted: Quoted) -> bool:
        return True  # the last one in the table of wires

    def whole(self, answer: CompletedAnswer, bill: Bill) -> bytes:
        return openai_chat_stream.whole(answer, bill)

    def writer(self, head: Head) -> StreamWriter:
        return openai_chat_stream.ChatCompletionStream(head)


def parse(body: dict[str, Any]) -> ModelCall:
    """Read a request. Raises `RequestInvalid` that names the first wrong field."""
    model = fields.required(body, "model", str)
    if not model:
        raise RequestInvalid("'model' must not be empty.", param="model")
    check_messages(fields.required(body, "messages", list))
    for name, value in body.items():
        if name in _TYPES:
            fields.check_type(name, value, _TYPES[name])
            _check_range(name, value)
    _check_tools(body)
    limit = fields.count(body, "max_completion_tokens", MAX_TOKENS) or fields.count(body, "max_tokens", MAX_TOKENS)
    return ModelCall(
        model=model,
        body=body,
        stream=bool(body.get("stream")),
        choices=fields.count(body, "n", MAX_CHOICES) or 1,
        output_limit=limit,
        max_credits=fields.count(body, "max_credits", MAX_AMOUNT),
        strict=body.get("strict") is True,
    )


def _check_range(name: str, value: Any) -> None:
    if name in RANGES and value is not None:
        low, high = RANGES[name]
        if not low <= value <= high:
            raise RequestInvalid(f"'{name}' must be between {low} and {high}.", param=name)


def check_messages(messages: list[Any]) -> None:
    """Raises `RequestInvalid` for the first message that is none of OpenAI's."""
    if not messages:
        raise RequestInvalid("'messages' must have at least one message.", param="messages")
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        if not isinstance(message, dict):
            raise RequestInvalid(f"'{at}' must be an object.", param=at, code="invalid_type")
        role = message.get("role")
        if role is None:
            raise RequestInvalid(f"'{at}.role' is required.", param=f"{at}.role", code="missing_required_parameter")
        if not isinstance(role, str) or role not in ROLES:
            raise RequestInvalid(f"'{at}.role' must be one of {', '.join(sorted(ROLES))}.", param=f"{at}.role")
        _check_tool_calls(message, at)
        _check_content(message, role, at)


def _check_tool_calls(message: Mapping[str, Any], at: str) -> None:
    calls = message.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(isinstance(call, dict) for call in calls)):
        where = f"{at}.tool_calls"
        raise RequestInvalid(f"'{where}' must be an array of objects.", param=where, code="invalid_type")


def _check_content(message: Mapping[str, Any], role: str, at: str) -> None:
    content = message.get("content")
    if content is None:
        if role != "assistant":
            raise RequestInvalid(
                f"'{at}.content' is required.", param=f"{at}.content", code="missing_required_parameter"
            )
        return
    fields.check_type(f"{at}.content", content, (str, list))
    for index, part in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            where = f"{at}.content[{index}]"
            raise RequestInvalid(f"'{where}' must be an object with a 'type'.", param=where, code="invalid_type")


def _check_tools(body: Mapping[str, Any]) -> None:
    """Refuse a provider's own tools, such as a web search: no meter of the catalog prices them."""
    for index, tool in enumerate(body.get("tools") or ()):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in _TOOLS:
            at = f"tools[{index}].type"
            raise RequestInvalid(f"'{at}' must be function or custom.", param=at, code="unsupported_parameter")
