"""Reasoning in an item of Responses, and the same in `reasoning_details` of a message, in OpenRouter's words.

An item has one opaque text, `encrypted_content`. OpenAI's own is passed as it is. What other providers need back, such
as signatures, is packed into one.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

OPENAI = "openai-responses-v1"
"""The format of OpenAI's own encrypted content."""
PACKED = "yout-reasoning-1."
_GROWS = ("text", "summary", "data", "signature")


def merged(details: Iterable[Any]) -> list[dict[str, Any]]:
    """Join the parts of details that came in a stream: those of one type and one index that follow each other."""
    whole: list[dict[str, Any]] = []
    for part in details:
        if not isinstance(part, dict):
            continue
        last = whole[-1] if whole else {}
        if (last.get("type"), last.get("index")) == (part.get("type"), part.get("index")) and "type" in part:
            _grow(last, part)
        else:
            whole.append(dict(part))
    return whole


def _grow(last: dict[str, Any], part: Mapping[str, Any]) -> None:
    for name, value in part.items():
        known = last.get(name)
        if name in _GROWS and isinstance(known, str) and isinstance(value, str):
            last[name] = known + value
        elif value is not None:
            last[name] = value


def encrypted_content(details: list[dict[str, Any]]) -> str | None:
    """Return what a client has to send back so that the details come back. None if nothing has to."""
    secret = [each for each in details if each.get("data") or each.get("signature")]
    if not secret:
        return None
    if len(secret) == 1 and secret[0].get("format") == OPENAI and isinstance(data := secret[0].get("data"), str):
        return data
    return PACKED + base64.b64encode(orjson.dumps(details)).decode()


def details_of(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the details of a reasoning item that a client sent back."""
    encrypted = item.get("encrypted_content")
    if isinstance(encrypted, str) and encrypted.startswith(PACKED):
        return _unpacked(encrypted.removeprefix(PACKED))
    beside = {"id": item["id"]} if isinstance(item.get("id"), str) else {}
    summaries = [
        {"type": "reasoning.summary", "summary": text, "format": OPENAI, "index": index, **beside}
        for index, text in enumerate(_texts(item.get("summary")))
    ]
    if not encrypted:
        return []
    secret = {"type": "reasoning.encrypted", "data": encrypted, "format": OPENAI, "index": len(summaries)}
    return [*summaries, {**secret, **beside}]


def text_of(item: Mapping[str, Any]) -> str:
    """Return what was thought, of an item without encrypted content: some providers read it in a chain of calls."""
    return "" if item.get("encrypted_content") else "".join(_texts(item.get("content")) or _texts(item.get("summary")))


def _texts(parts: Any) -> list[str]:
    texts = [part.get("text") for part in parts or () if isinstance(part, dict)]
    return [text for text in texts if isinstance(text, str)]


def _unpacked(packed: str) -> list[dict[str, Any]]:
    try:
        details = orjson.loads(base64.b64decode(packed, validate=True))
    except (binascii.Error, orjson.JSONDecodeError):
        return []
    return [each for each in details if isinstance(each, dict)] if isinstance(details, list) else []
