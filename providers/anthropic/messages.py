"""Turns OpenAI's messages into Anthropic's turns: roles alternate, results of tools come first, thinking does too.

Only what is known is written: a message's `name` and `metadata`, and other fields of its caller, go nowhere.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.errors import RequestInvalid
from providers.anthropic import parts, reasoning, tools
from providers.anthropic.parts import blocks, invalid, marked

_SYSTEM = ("system", "developer")
_RESULT = "tool_result"


@dataclass(slots=True)
class Conversation:
    system: list[dict[str, Any]] = field(default_factory=list, repr=False)
    turns: list[dict[str, Any]] = field(default_factory=list, repr=False)

    @property
    def may_think(self) -> bool:
        """Tell whether the next turn may think by a budget.

        It may not if it goes on with a turn that did not: an answer that was begun, or results of its tools.
        """
        last = self.turns[-1]
        if last["role"] == "assistant":
            return False
        if not any(block["type"] == _RESULT for block in last["content"]) or len(self.turns) < 2:
            return True
        return self.turns[-2]["content"][0]["type"] in ("thinking", "redacted_thinking")


def conversation(messages: list[Any], passes: Collection[str] = ()) -> Conversation:
    """Raises `RequestInvalid` that names what Anthropic has no form for, or that there is nothing to answer."""
    talk = Conversation()
    names: dict[str, str] = {}
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        role = message.get("role")
        if role in _SYSTEM and not talk.turns:
            talk.system += marked_last(_texts(message, where), message)
        elif role == "assistant":
            _add(talk.turns, "assistant", marked_last(_assistant(message, where, names, passes), message))
        elif role in ("tool", "function"):
            _add(talk.turns, "user", [_result(message, where, names, passes)])
        else:
            content = _texts(message, where) if role in _SYSTEM else _content(message, where, passes)
            _add(talk.turns, "user", marked_last(content, message))
    if not talk.turns and talk.system:
        talk.turns.append({"role": "user", "content": [talk.system.pop()]})
    if not talk.turns:
        raise RequestInvalid("'messages' must have a message with content.", param="messages")
    _tidy(talk.turns)
    return talk


def _add(turns: list[dict[str, Any]], role: str, content: list[dict[str, Any]]) -> None:
    if not content:
        return
    if not turns or turns[-1]["role"] != role:
        turns.append({"role": role, "content": []})
    turns[-1]["content"] += content


def _tidy(turns: list[dict[str, Any]]) -> None:
    """Move results of tools to the front of their turn, and cut white space at the end of an answer that was begun."""
    for turn in turns:
        if turn["role"] == "user" and len(turn["content"]) > 1:
            turn["content"].sort(key=lambda block: block["type"] != _RESULT)
    last = turns[-1]
    block = last["content"][-1]
    if last["role"] == "assistant" and block["type"] == "text":
        last["content"][-1] = {**block, "text": block["text"].rstrip()}


def marked_last(content: list[dict[str, Any]], message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Mark the last block for the cache, if the message as a whole is marked."""
    if content and message.get("cache_control") is not None and "cache_control" not in content[-1]:
        content[-1] = marked(content[-1], message["cache_control"])
    return content


def _content(message: Mapping[str, Any], where: str, passes: Collection[str]) -> list[dict[str, Any]]:
    return blocks(message.get("content"), f"{where}.content", passes)


def _texts(message: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    texts = blocks(message.get("content"), f"{where}.content")
    if any(block["type"] != "text" for block in texts):
        raise invalid(f"{where}.content", "must be text in a message of this role.")
    return texts


def _assistant(
    message: Mapping[str, Any], where: str, names: dict[str, str], passes: Collection[str]
) -> list[dict[str, Any]]:
    content_blocks = reasoning.blocks(message)
    content = _content(message, where, passes)
    if any(block["type"] in ("image", "document") for block in content):
        raise invalid(f"{where}.content", "must be text in a message of this role.")
    content_blocks += content
    if not content and isinstance(refusal := message.get("refusal"), str) and refusal.strip():
        content_blocks.append(parts.text_block(refusal))
    for index, call in enumerate(message.get("tool_calls") or ()):
        content_blocks.append(tools.use(call, f"{where}.tool_calls[{index}]"))
    old = message.get("function_call")
    if isinstance(old, Mapping):
        own = names[str(old.get("name"))] = f"call_{where.strip(']').partition('[')[2]}"
        content_blocks.append(tools.use({"id": own, "function": old}, where))
    return content_blocks


def _result(
    message: Mapping[str, Any], where: str, names: Mapping[str, str], passes: Collection[str]
) -> dict[str, Any]:
    own = message.get("tool_call_id")
    if message.get("role") == "function":
        own = names.get(str(message.get("name")))
    block: dict[str, Any] = {"type": _RESULT, "tool_use_id": tools.call_id(own, f"{where}.tool_call_id")}
    content = _content(message, where, passes)
    if content:
        plain = len(content) == 1 and content[0].keys() == {"type", "text"}
        block["content"] = content[0]["text"] if plain else content
    if message.get("is_error") is True:
        block["is_error"] = True
    return marked(block, message.get("cache_control"))
