"""Thinking blocks of Anthropic's Messages, and `reasoning_details` of the gateway's own shape.

A client keeps `signature` and `data` as they are. What another provider than Anthropic needs back is packed into them.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson

from api.wire import values

FORMAT = "anthropic-claude-v1"
_PACKED = "yout1."


def detail(block: Mapping[str, Any], at: str) -> dict[str, Any]:
    """Translate a `thinking` or `redacted_thinking` block of a request."""
    if block["type"] == "redacted_thinking":
        data = values.required(block, "data", at, str)
        return _unpacked(data) or {"type": "reasoning.encrypted", "data": data, "format": FORMAT}
    thinking = values.required(block, "thinking", at, str)
    signature = values.optional(block, "signature", at, str) or ""
    text = {"type": "reasoning.text", "text": thinking}
    if signature.startswith(_PACKED):
        return {**text, **(_unpacked(signature) or {})}
    return {**text, "signature": signature, "format": FORMAT} if signature else text


def text_of(detail: Mapping[str, Any]) -> str:
    """Return the readable text of a detail."""
    text = detail.get("text") or detail.get("summary")
    return text if isinstance(text, str) else ""


def signature_of(detail: Mapping[str, Any]) -> str:
    """Return the signature of a readable detail, for a `thinking` block. Empty if it has none."""
    signature = detail.get("signature")
    if not isinstance(signature, str) or not signature:
        return ""
    return signature if _is_anthropic(detail) else _packed(detail, ("text", "summary", "index"))


def data_of(detail: Mapping[str, Any]) -> str:
    """Return the data of a detail that cannot be read, for a `redacted_thinking` block. Empty if it has none."""
    data = detail.get("data")
    if not isinstance(data, str) or not data:
        return ""
    return data if _is_anthropic(detail) else _packed(detail, ("index",))


def _is_anthropic(detail: Mapping[str, Any]) -> bool:
    return str(detail.get("format") or FORMAT).startswith("anthropic")


def _packed(detail: Mapping[str, Any], left_out: tuple[str, ...]) -> str:
    fields = {name: value for name, value in detail.items() if name not in left_out and value is not None}
    return _PACKED + base64.b64encode(orjson.dumps(fields)).decode()


def _unpacked(text: str) -> dict[str, Any] | None:
    """Return the fields that were packed. None for what we did not pack."""
    if not text.startswith(_PACKED):
        return None
    try:
        fields = orjson.loads(base64.b64decode(text.removeprefix(_PACKED), validate=True))
    except (binascii.Error, ValueError):
        return None
    return fields if isinstance(fields, dict) else None
