"""Translates `system` and `messages` of Anthropic's Messages into OpenAI's messages, and remembers each place."""

from collections.abc import Mapping
from typing import Any

from api.wire import anthropic_messages_content as blocks
from api.wire import anthropic_messages_reasoning as reasoning
from api.wire import values
from domain import json_text

ROLES = frozenset({"user", "assistant", "system"})
_SEARCHED = frozenset({"server_tool_use", "web_search_tool_result"})
"""Steps of Anthropic's own search, which only Anthropic reads. What came of them is in the texts after them."""
_ASSISTANT = frozenset({"text", "tool_use", "thinking", "redacted_thinking"}) | _SEARCHED
_FROM_USER = blocks.PARTS | {"tool_result"}
_ABOUT_THE_CLIENT = "x-anthropic-billing-header:"
"""How a text of Claude Code begins that tells its version and what started it, and nothing to the model."""


class Translation:
    """OpenAI's messages. `places` has the client's name of each of their parts, `beside` what they cannot express."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.places: dict[str, str] = {}
        self.beside: dict[str, Any] = {}

    def system(self, content: Any, at: str) -> None:
        listed = [each for each in blocks.listed(content, at) if not about_the_client(each[0])]
        if listed:
            parts = [part for block, where in listed for part in blocks.parts(block, where, ("text",))]
            self._add({"role": "system", "content": blocks.plain(parts)}, at, [where for _, where in listed])

    def message(self, message: Any, at: str) -> None:
        values.typed(message, at, dict)
        role = values.word(message, "role", at, ROLES)
        content, where = values.required(message, "content", at, str, list), values.place(at, "content")
        if role == "system":
            self.system(content, where)
        elif role == "assistant":
            self._assistant(content, at)
        else:
            self._user(content, at)

    def _user(self, content: Any, at: str) -> None:
        """Results of tools become messages of their own, before the rest of what the user says."""
        parts: list[dict[str, Any]] = []
        places: list[str] = []
        for block, where in blocks.listed(content, values.place(at, "content")):
            if block["type"] == "tool_result":
                attached = self._tool_result(block, where)
            else:
                attached = blocks.parts(block, where, _FROM_USER)
                self._note(block, where, ("citations",))
            parts += attached
            places += [where] * len(attached)
        if parts or isinstance(content, str):
            self._add({"role": "user", "content": blocks.plain(parts)}, at, places)
        elif not content:
            raise values.invalid(values.place(at, "content"), "must not be empty")

    def _tool_result(self, block: Mapping[str, Any], at: str) -> list[dict[str, Any]]:
        """Add the text of a result. Return what else it has: OpenAI takes images and files from users only."""
        call = values.text(block, "tool_use_id", at)
        failed = values.optional(block, "is_error", at, bool)
        content, where = values.optional(block, "content", at, str, list), values.place(at, "content")
        listed = blocks.listed("" if content is None else content, where)
        parts = [part for inner, place in listed for part in blocks.parts(inner, place)]
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        attached = [part for part in parts if part["type"] != "text"]
        if attached and not text:
            text = "The result is attached to the next message."
        result = {"type": "text", "text": f"Error: {text}" if failed else text, **blocks.cache_control(block, at)}
        self._add({"role": "tool", "tool_call_id": call, "content": blocks.plain([result])}, at, [at])
        return [{"type": "text", "text": f"Attached to the result of {call}:"}, *attached] if attached else []

    def _assistant(self, content: Any, at: str) -> None:
        parts: list[dict[str, Any]] = []
        calls: list[dict[str, Any]] = []
        details: list[dict[str, Any]] = []
        listed = list(blocks.listed(content, values.place(at, "content")))
        for block, where in listed:
            match block["type"]:
                case "text":
                    parts += blocks.parts(block, where)
                    self._note(block, where, ("citations",))
                case "tool_use":
                    calls.append(_tool_call(block, where))
                case "thinking" | "redacted_thinking":
                    details.append(reasoning.detail(block, where))
                case _:
                    self.beside[where] = _searched(block, where)
        if listed and self.messages and not (parts or calls or details):
            return  # a search alone, which says nothing to another provider
        message: dict[str, Any] = {"role": "assistant", "content": _joined(parts) if parts or not calls else None}
        if calls:
            message["tool_calls"] = calls
        if details:
            message["reasoning_details"] = details
        self._add(message, at, [])

    def _add(self, message: dict[str, Any], at: str, places: list[str]) -> None:
        index = len(self.messages)
        self.messages.append(message)
        self.places[f"messages[{index}]"] = at
        if isinstance(message["content"], list):
            self.places |= {f"messages[{index}].content[{n}]": where for n, where in enumerate(places)}

    def _note(self, block: Mapping[str, Any], at: str, names: tuple[str, ...]) -> None:
        """Remember fields of a block that only Anthropic has."""
        self.beside |= {values.place(at, name): block[name] for name in names if block.get(name) not in (None, [])}


def about_the_client(block: Mapping[str, Any]) -> bool:
    """Tell whether a text of `system` tells something of the client program: it goes to no provider."""
    text = block.get("text")
    return isinstance(text, str) and text.startswith(_ABOUT_THE_CLIENT)


def _tool_call(block: Mapping[str, Any], at: str) -> dict[str, Any]:
    call, name = values.text(block, "id", at), values.text(block, "name", at)
    given = values.required(block, "input", at, dict)
    blocks.cache_control(block, at)
    return {"id": call, "type": "function", "function": {"name": name, "arguments": json_text.dumps(given).decode()}}


def _searched(block: dict[str, Any], at: str) -> dict[str, Any]:
    """Check a step of a search. Those of Anthropic's other tools are refused, as these tools are."""
    if values.word(block, "type", at, _ASSISTANT) == "server_tool_use":
        values.text(block, "id", at)
        values.word(block, "name", at, ("web_search",))
        values.required(block, "input", at, dict)
    else:
        values.text(block, "tool_use_id", at)
        values.required(block, "content", at, list, dict)
    blocks.cache_control(block, at)
    return block


def _joined(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    if any("cache_control" in part for part in parts):
        return parts
    return "\n".join(part["text"] for part in parts)
