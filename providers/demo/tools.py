"""The demo model's tool calls and their arguments."""

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from providers.demo import sample

_COMMON = frozenset({"get", "set", "fetch", "find", "make", "call", "tool", "function", "the", "current", "my"})
"""Words of a tool's name that do not tell its subject."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a function with JSON arguments, or of a custom tool with a text."""

    id: str
    name: str = field(repr=False)
    given: str = field(repr=False)
    custom: bool = False
    legacy: bool = False
    """True for a call of one of `functions`, which came before `tools`: a `function_call` without an id."""

    def shape(self) -> dict[str, Any]:
        """Return the call in OpenAI's shape, as in a message."""
        if self.custom:
            return {"id": self.id, "type": "custom", "custom": {"name": self.name, "input": self.given}}
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.given}}


def calls(body: dict[str, Any], sentence: str, fresh: bool) -> list[ToolCall]:
    """Return the calls that the request requires, else, if `fresh`, calls of the tools that the user names."""
    if body.get("functions"):
        return _legacy_calls(body, sentence, fresh)
    tools = {name: tool for tool in body.get("tools") or [] if (name := _name(tool))}
    forced = _forced(body.get("tool_choice"), tools)
    if forced is None:
        forced = [name for name in tools if fresh and _is_named(name, sentence)]
    if body.get("parallel_tool_calls") is False:
        forced = forced[:1]
    return [_call(tools[name], name, sentence) for name in forced if name in tools]


def _legacy_calls(body: dict[str, Any], sentence: str, fresh: bool) -> list[ToolCall]:
    """Return one call of a function at most: only `tools` allow more."""
    choice = body.get("function_call")
    body = {
        "tools": [{"type": "function", "function": function} for function in body["functions"]],
        "tool_choice": {"type": "function", "function": choice} if isinstance(choice, dict) else choice,
        "parallel_tool_calls": False,
    }
    return [replace(call, legacy=True) for call in calls(body, sentence, fresh)]


def _forced(choice: object, tools: dict[str, Any]) -> list[str] | None:
    """Return the tools that must be called: an empty list for "none", and None when the model may choose."""
    match choice:
        case "none":
            return []
        case "required":
            return list(tools)[:1]
        case {"type": "function" | "custom", **named}:
            return [_name(choice) or ""] if named else None
        case {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [first, *_]}}:
            return [_name(first) or ""]
        case _:
            return None


def _is_named(name: str, sentence: str) -> bool:
    """Tell whether the sentence has the tool's name, or the words of it that tell its subject ("weather")."""
    words = set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))
    about = {word for word in words - _COMMON if len(word) > 2}
    sentence_words = set(re.findall(r"[a-z]+", sentence.lower()))
    return name in sentence or (bool(about) and about <= sentence_words)


def _name(tool: object) -> str | None:
    match tool:
        case {"type": "function", "function": {"name": str() as name}}:
            return name
        case {"type": "custom", "custom": {"name": str() as name}}:
            return name
        case _:
            return None


def _call(tool: dict[str, Any], name: str, sentence: str) -> ToolCall:
    call_id = f"call_{uuid4().hex[:24]}"
    if tool["type"] == "custom":
        return ToolCall(call_id, name, sentence, custom=True)
    schema = tool["function"].get("parameters")
    arguments = sample.of(schema, sentence, sentence, param="tools") if isinstance(schema, dict) else {}
    return ToolCall(call_id, name, json.dumps(arguments, ensure_ascii=False))
