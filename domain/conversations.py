"""Saved conversations: what a message and a title are before they are sealed, and how much is saved.

A saved message is a JSON object: OpenAI's message under `message`, beside it what is known of the call that made it.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from domain import json_text
from domain.errors import RequestInvalid
from domain.records import record

MAX_TITLE = 200
"""Characters."""
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Of a message that a caller sends, as JSON. Answers are saved whole."""
MAX_MESSAGES = 2000
MAX_CONVERSATION_BYTES = 16 * 1024 * 1024
MAX_CONVERSATIONS = 10_000
"""Of an account."""
UNTITLED = "New conversation"
_FOR_THE_MODEL = ("role", "content", "name", "tool_calls", "tool_call_id", "refusal", "function_call", "audio")
"""Fields of a saved message that the model sees again. Its earlier reasoning is not among them."""
_INSTRUCTIONS = ("system", "developer")
_REASONING = ("reasoning", "reasoning_content")


@record
class Conversation:
    """A conversation without its messages."""

    id: UUID
    title: str = field(repr=False)
    messages: int
    size: int
    created_at: datetime
    updated_at: datetime


@record
class SavedMessage:
    position: int
    created_at: datetime
    message: Mapping[str, Any] = field(repr=False)
    """OpenAI's message."""
    about: Mapping[str, Any] = field(repr=False)
    """Of an answer: `model`, `finish_reason`, `usage`, `charge`, `credits_charged`; `partial` if it broke off."""

    @property
    def role(self) -> str:
        return str(self.message.get("role"))


@record
class ConversationState:
    """What the ledger knows of a conversation when a turn is appended: no content."""

    account_id: UUID
    epoch: int
    messages: int


def title_aad(account_id: UUID, conversation_id: UUID) -> str:
    return f"conversations|{account_id}|{conversation_id}|title"


def message_aad(account_id: UUID, conversation_id: UUID, position: int) -> str:
    return f"messages|{account_id}|{conversation_id}|{position}"


def written(message: Mapping[str, Any], about: Mapping[str, Any] | None = None) -> bytes:
    """Write a message with the fields that are saved. Vendors' names of its reasoning become `reasoning`."""
    fields = {name: message[name] for name in _FOR_THE_MODEL if name in message}
    reasoning = next((text for name in _REASONING if isinstance(text := message.get(name), str) and text), None)
    if reasoning is not None:
        fields["reasoning"] = reasoning
    return json_text.dumps({"message": fields, **(about or {})})


def read(position: int, created_at: datetime, plain: bytes) -> SavedMessage:
    about: dict[str, Any] = orjson.loads(plain)
    return SavedMessage(position, created_at, about.pop("message"), about)


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message, without its images and files."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def title_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the title of a conversation that begins with these messages: the first words of its first question."""
    questions = [message for message in messages if message.get("role") == "user"]
    words = " ".join(text_of(questions[0])[: 4 * MAX_TITLE].split()) if questions else ""
    words = "".join(character for character in words if character.isprintable())
    title = words if len(words) <= 80 else f"{words[:79].rsplit(' ', 1)[0]}…"
    return normalized(title) or UNTITLED


def normalized(title: str) -> str:
    return unicodedata.normalize("NFC", title).strip()


def searched(text: str) -> str:
    """Return a text as titles are compared: without case, and in one form of each letter."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def for_the_model(saved: Sequence[SavedMessage]) -> list[dict[str, Any]]:
    """Return the saved messages as the model sees them again.

    Of an answer that broke off, only the text counts: half a tool call is none. What has neither is left out.
    """
    seen = []
    for one in saved:
        fields = {name: one.message[name] for name in _FOR_THE_MODEL if one.message.get(name) is not None}
        if one.about.get("partial"):
            fields.pop("tool_calls", None)
        if one.role == "assistant" and _is_empty(fields) and not (fields.get("tool_calls") or fields.get("refusal")):
            continue
        if calls := fields.get("tool_calls"):
            fields["tool_calls"] = [{name: call[name] for name in call if name != "index"} for call in calls]
        seen.append(fields)
    return seen


def continued(saved: Sequence[SavedMessage], new: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return what the model reads of a conversation that goes on: the instructions in force first, then all else.

    The newest instructions that stand together take the place of all before them. Empty ones end them.
    """
    messages: list[Mapping[str, Any]] = [*for_the_model(saved), *new]
    in_force: list[Mapping[str, Any]] = []
    before = None
    for one in messages:
        role = one.get("role")
        if role in _INSTRUCTIONS:
            together = in_force if before in _INSTRUCTIONS and not _is_empty(one) else []
            in_force = [*together, one]
        before = role
    others = [one for one in messages if one.get("role") not in _INSTRUCTIONS]
    return [one for one in in_force if not _is_empty(one)] + others


def _is_empty(message: Mapping[str, Any]) -> bool:
    """Tell whether a message has no content: no text, no parts, or parts that are empty texts."""
    content = message.get("content")
    if isinstance(content, list):
        return all(isinstance(part, dict) and part.get("text") == "" for part in content)
    return not content


def require_bounded(messages: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Return the messages as they are sealed. Raises `RequestInvalid` for one that is too large to be saved."""
    plain = [written(message) for message in messages]
    for index, one in enumerate(plain):
        if len(one) > MAX_MESSAGE_BYTES:
            raise RequestInvalid(
                f"'messages[{index}]' is larger than the {MAX_MESSAGE_BYTES // 1024**2} MiB of a saved message. "
                "Make it smaller, or send it without saving.",
                param=f"messages[{index}]",
            )
    return plain


def require_room(messages: int, size: int, more: Sequence[bytes]) -> None:
    """Raises `RequestInvalid` if a conversation has no room for more messages. An answer always has room."""
    if messages + len(more) > MAX_MESSAGES or size + sum(map(len, more)) > MAX_CONVERSATION_BYTES:
        raise RequestInvalid(
            f"This conversation is full: {MAX_MESSAGES:,} messages and {MAX_CONVERSATION_BYTES // 1024**2} MiB are the "
            "most. Begin a new one.",
            param="conversation_id",
        )
