"""Thought signatures: how an answer hands them to a client, and how they come back with the conversation.

Gemini signs parts of an answer, and wants each signature back on the same part. `reasoning_details` carries them, in
OpenRouter's form; a signature of a tool call names its id. A tool call also has its signature in `extra_content`,
as at Google's OpenAI-compatible endpoint: clients that drop `reasoning_details` keep that.
"""

from collections.abc import Mapping
from typing import Any

FORMAT = "google-gemini-v1"
ENCRYPTED = "reasoning.encrypted"
UNSIGNED = "skip_thought_signature_validator"
"""What Google documents for a call that comes without its signature. Gemini 3 and later refuse an unsigned one."""


def detail(signature: str, index: int, call_id: str | None = None) -> dict[str, Any]:
    """Return an element of `reasoning_details`. Without `call_id`, it signs the text of the message."""
    written = {"type": ENCRYPTED, "data": signature, "format": FORMAT, "index": index}
    return written if call_id is None else {**written, "id": call_id}


def extra_content(signature: str) -> dict[str, Any]:
    return {"google": {"thought_signature": signature}}


def of_message(message: Mapping[str, Any]) -> dict[str | None, str]:
    """Return the signatures of an assistant's message by the id of their tool call; None for that of its text."""
    signatures: dict[str | None, str] = {}
    details = message.get("reasoning_details")
    for each in details if isinstance(details, list) else ():
        if not isinstance(each, dict) or each.get("type") != ENCRYPTED or each.get("format", FORMAT) != FORMAT:
            continue
        data, call_id = each.get("data"), each.get("id")
        if isinstance(data, str) and data:
            signatures[call_id if isinstance(call_id, str) else None] = data
    if None not in signatures and (signature := _extra(message)):
        signatures[None] = signature
    return signatures


def of_call(call: Mapping[str, Any], signatures: Mapping[str | None, str]) -> str | None:
    call_id = call.get("id")
    known = signatures.get(call_id) if isinstance(call_id, str) else None
    return known or _extra(call)


def _extra(value: Mapping[str, Any]) -> str | None:
    match value.get("extra_content"):
        case {"google": {"thought_signature": str(signature)}} if signature:
            return signature
    return None
