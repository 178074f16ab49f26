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
PIECE = 10_000
"""Characters that are counted at once: what a tokenizer does with one word grows faster than the word."""
LONG_TEXT = 200_000
"""Above this many characters of output the head is counted and the rest is scaled."""
_OF_THE_PROMPT = ("response_format", "prediction")
_NO_PROMPT = frozenset(
    {"model", "messages", "tools", "functions", "stop", "logit_bias", "metadata", "user", "stream_options", "store"}
    | {"tool_choice", "function_call", "reasoning_effort", "service_tier", *_OF_THE_PROMPT}
)

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
        total += PER_MESSAGE + PER_ROLE + _of_message(message, count)
    tools = list(body.get("tools") or ()) + list(body.get("functions") or ())
    total += sum(PER_TOOL + _all_tokens(_flat(tool), count) for tool in tools) + (ANY_TOOL if tools else 0)
    for name in _OF_THE_PROMPT:
        if body.get(name):
            total += _all_tokens(_flat(body[name]), count)
    most = total + sum(_all_tokens(_flat(value), count) for name, value in body.items() if _may_be_read(name, value))
    factor = _FAMILIES.get(family, _OTHER_FAMILY)
    return InputTokens(total, math.ceil(most * factor) + _SLACK)


def text_tokens(text: str, count: CountText) -> int:
    """Of output: as exact as it is worth."""
    if len(text) <= LONG_TEXT:
        return _all_tokens(text, count)
    return math.ceil(_all_tokens(text[:LONG_TEXT], count) * len(text) / LONG_TEXT)


def _all_tokens(text: str, count: CountText) -> int:
    """Of input: all of it, since who writes it could hide what is dear behind a cheap head."""
    if len(text) <= PIECE:
        return count(text)
    return sum(count(text[at : at + PIECE]) for at in range(0, len(text), PIECE))


def _may_be_read(name: str, value: Any) -> bool:
    """Whether a field that is passed on unknown may be a part of the prompt: it is held for then."""
    return name not in _NO_PROMPT and isinstance(value, str | list | Mapping)


def _of_message(message: Mapping[str, Any], count: CountText) -> int:
    content = message.get("content")
    if isinstance(content, str):
        total = _all_tokens(content, count)
    else:
        total = sum(_of_part(part, count) for part in content or ())
    if len(message) > 2:
        rest = {name: value for name, value in message.items() if name not in ("role", "content")}
        total += _all_tokens(_flat(list(rest.values())), count) + (PER_NAME if rest.get("name") else 0)
    return total


def _of_part(part: Any, count: CountText) -> int:
    if isinstance(part, str):
        return _all_tokens(part, count)
    if not isinstance(part, Mapping):
        return 0
    match part.get("type"):
        case "image_url":
            return PER_IMAGE
        case "file" | "input_audio":
            return PER_FILE
    return _all_tokens(_flat(part), count)


def _flat(value: Any) -> str:
    """The text in a JSON value, keys included."""
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_flat(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(_flat(inner) for inner in value)
    return "" if value is None else str(value)
