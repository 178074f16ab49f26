"""Counts tokens in a way that can be checked by hand: a token is up to four characters of one word."""

import json
import re
from typing import Any

_TOKEN = re.compile(r"\s*\S{1,4}|\s+")
_PER_MESSAGE = 4
_PER_PART = 85


def split(text: str) -> list[str]:
    """Return the tokens of a text. Joined, they are the text again."""
    return _TOKEN.findall(text)


def words(tokens: list[str]) -> list[str]:
    """Join tokens to whole words, which are what a stream sends."""
    joined: list[str] = []
    for token in tokens:
        if joined and not token[0].isspace():
            joined[-1] += token
        else:
            joined.append(token)
    return joined


def of_request(body: dict[str, Any]) -> int:
    """Count the tokens of the input: texts by their length, each picture or file by a fixed number."""
    messages = [message for message in body.get("messages") or [] if isinstance(message, dict)]
    counted = sum(_PER_MESSAGE + _of_content(message.get("content")) for message in messages)
    called = [message["tool_calls"] for message in messages if message.get("tool_calls")]
    extra = [part for part in (called, body.get("tools"), body.get("response_format")) if part]
    return counted + sum(_quarter(json.dumps(part)) for part in extra)


def _of_content(content: object) -> int:
    if isinstance(content, str):
        return _quarter(content)
    if isinstance(content, list):
        return sum(
            _quarter(part["text"]) if isinstance(part, dict) and isinstance(part.get("text"), str) else _PER_PART
            for part in content
        )
    return 0


def _quarter(text: str) -> int:
    return -(-len(text) // 4)
