"""How many tokens a chat request has: the plain count, and a bound that other vendors' tokenizers do not exceed.

The count of one text is handed in (`CountText`); what is added per message, tool and image is vendors' published
overhead.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

CountText = Callable[[str], int]

PER_MESSAGE = 3
PER_ROLE = 1
"""Every role's name is one token."""
PER_NAME = 1
REPLY_PRIMER = 3
PER_TOOL = 8
ANY_TOOL = 12
PER_IMAGE = 1500
PER_FILE = 5000
LONG_TEXT = 200_000
"""Above this many characters the head is counted and the rest is scaled: counting must not become an attack."""

_FAMILIES: Mapping[str, float] = {
    "openai": 1.05,
    "anthropic": 1.4,
    "google": 1.2,
}
_OTHER_FAMILY = 1.3
_SLACK = 64


@dataclass(frozen=True, slots=True)
class InputTokens:
    count: int
    """What is billed when the provider reports nothing."""
    bound: int
    """What is held."""


def of_request(body: Mapping[str, Any], count: CountText, *, family: str) -> InputTokens:
    """`family` is the vendor that a model's id begins with: its tokenizer is bounded by a factor on the o200k count."""
    total = REPLY_PRIMER
    for message in body.get("messages") or ():
        total += PER_MESSAGE + PER_ROLE
        content = message.get("content")
        if isinstance(content, str):
            total += text_tokens(content, count)
        elif content is not None:
            total += sum(_of_part(part, count) for part in content)
        total += sum(text_tokens(_flat(call), count) for call in message.get("tool_calls") or ())
        if message.get("function_call"):
            total += text_tokens(_flat(message["function_call"]), count)
        total += PER_NAME if message.get("name") else 0
    tools = list(body.get("tools") or ()) + list(body.get("functions") or ())
    total += sum(PER_TOOL + text_tokens(_flat(tool), count) for tool in tools) + (ANY_TOOL if tools else 0)
    if body.get("response_format"):
        total += text_tokens(_flat(body["response_format"]), count)
    factor = _FAMILIES.get(family, _OTHER_FAMILY)
    return InputTokens(total, math.ceil(total * factor) + _SLACK)


def text_tokens(text: str, count: CountText) -> int:
    if len(text) <= LONG_TEXT:
        return count(text)
    return math.ceil(count(text[:LONG_TEXT]) * len(text) / LONG_TEXT)


def _of_part(part: Any, count: CountText) -> int:
    if isinstance(part, str):
        return text_tokens(part, count)
    if not isinstance(part, Mapping):
        return 0
    match part.get("type"):
        case "image_url":
            return PER_IMAGE
        case "file" | "input_audio":
            return PER_FILE
    return text_tokens(_flat(part), count)


def _flat(value: Any) -> str:
    """The text in a JSON value, keys included."""
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_flat(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(_flat(inner) for inner in value)
    return "" if value is None else str(value)
