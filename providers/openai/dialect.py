"""Rewrites a request for servers whose dialect differs, as the capabilities of the route say: a small table."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from domain.catalog import Capability

_NO_THOUGHT = ("none",)
_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SCHEMA = "Answer with JSON alone that is valid against this JSON schema:\n"


def write(body: dict[str, Any], capabilities: frozenset[str], drops: frozenset[str]) -> tuple[str, ...]:
    """Rewrite a body in place. Returns the names of fields that mean less than they said.

    What a rewrite would write and the route does not take is left out again.
    """
    less: list[str] = []
    given = set(body)
    for capability, rewrite in REWRITES.items():
        if capability in capabilities:
            less += rewrite(body)
    for name in drops & body.keys() - given:
        del body[name]
        less.append("reasoning_effort")
    return tuple(less)


def _effort(body: dict[str, Any], name: str, switch: Callable[[bool], Any]) -> tuple[str, ...]:
    """Turn `reasoning_effort` into a switch. A switch of the caller's own wins."""
    effort = body.pop("reasoning_effort", None)
    if effort is not None:
        body.setdefault(name, switch(effort not in _NO_THOUGHT))
    return ()


def _enable_thinking(body: dict[str, Any]) -> tuple[str, ...]:
    return _effort(body, "enable_thinking", bool)


def _thinking_type(body: dict[str, Any]) -> tuple[str, ...]:
    return _effort(body, "thinking", lambda on: {"type": "enabled" if on else "disabled"})


def _template_thinking(body: dict[str, Any]) -> tuple[str, ...]:
    return _effort(body, "chat_template_kwargs", lambda on: {"enable_thinking": on})


def _json_object_only(body: dict[str, Any]) -> tuple[str, ...]:
    """Ask for some JSON object, and for the schema in words: the server does not enforce one."""
    wanted = body.get("response_format")
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return ()
    described = wanted.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    body["response_format"] = {"type": "json_object"}
    system = {"role": "system", "content": _SCHEMA + orjson.dumps(schema or {}).decode()}
    body["messages"] = [system, *body["messages"]]
    return ("response_format.json_schema",)


def _short_tool_ids(body: dict[str, Any]) -> tuple[str, ...]:
    """Give each call of a tool an id of nine letters and digits: the same one in the call and in its result."""
    body["messages"] = [_with_short_ids(message) for message in body["messages"]]
    return ()


def _with_short_ids(message: dict[str, Any]) -> dict[str, Any]:
    if isinstance(given := message.get("tool_call_id"), str):
        message = {**message, "tool_call_id": short_id(given)}
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        renamed = [{**call, "id": short_id(call["id"])} if isinstance(call.get("id"), str) else call for call in calls]
        message = {**message, "tool_calls": renamed}
    return message


def short_id(given: str) -> str:
    if _SHORT_ID.fullmatch(given):
        return given
    number = int.from_bytes(hashlib.sha256(given.encode("utf-8", "replace")).digest()[:8], "big")
    return "".join(_LETTERS[number // len(_LETTERS) ** place % len(_LETTERS)] for place in range(9))


REWRITES: Mapping[str, Callable[[dict[str, Any]], tuple[str, ...]]] = {
    Capability.ENABLE_THINKING.value: _enable_thinking,
    Capability.THINKING_TYPE.value: _thinking_type,
    Capability.TEMPLATE_THINKING.value: _template_thinking,
    Capability.JSON_OBJECT_ONLY.value: _json_object_only,
    Capability.SHORT_TOOL_IDS.value: _short_tool_ids,
}
