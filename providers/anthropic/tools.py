"""Turns OpenAI's tools, the choice among them and calls of them into Anthropic's."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import orjson

from providers.anthropic.models import ModelRules
from providers.anthropic.parts import invalid, marked

_ID = re.compile(r"[a-zA-Z0-9_-]+")
_MODES = {"none": "none", "auto": "auto", "required": "any"}
_NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}


def tools(body: Mapping[str, Any], rules: ModelRules) -> list[dict[str, Any]]:
    """Return Anthropic's tools. Raises `RequestInvalid` for one that it has no form for."""
    result = [_tool(tool, f"tools[{index}]", rules) for index, tool in enumerate(body.get("tools") or ())]
    old = body.get("functions")
    if not result and isinstance(old, list):
        result = [_function(each, f"functions[{index}]", rules) for index, each in enumerate(old)]
    allowed = _allowed(body.get("tool_choice"))
    return result if allowed is None else [tool for tool in result if tool["name"] in allowed]


def _tool(tool: object, where: str, rules: ModelRules) -> dict[str, Any]:
    if not isinstance(tool, Mapping) or tool.get("type") != "function":
        raise invalid(f"{where}.type", "must be function for the provider of this model.", "unsupported_parameter")
    function = tool.get("function")
    control = tool.get("cache_control") or (function.get("cache_control") if isinstance(function, Mapping) else None)
    return marked(_function(function, f"{where}.function", rules), control)


def _function(function: object, where: str, rules: ModelRules) -> dict[str, Any]:
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise invalid(f"{where}.name", "is required.", "missing_required_parameter")
    parameters, description = function.get("parameters"), function.get("description")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise invalid(f"{where}.parameters", "must be an object.", "invalid_type")
    schema = {**_NO_ARGUMENTS, **parameters} if parameters else dict(_NO_ARGUMENTS)
    tool: dict[str, Any] = {"name": function["name"], "input_schema": schema}
    if isinstance(description, str) and description:
        tool["description"] = description
    if function.get("strict") is True and rules.strict_tools:
        tool["strict"] = True
    return tool


def choice(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return Anthropic's `tool_choice`, or None if nothing is said of it."""
    chosen = _choice(body.get("tool_choice"), body.get("function_call"))
    if body.get("parallel_tool_calls") is False or not body.get("tools"):  # the older form has one call
        chosen = chosen or {"type": "auto"}
        if chosen["type"] != "none":
            chosen["disable_parallel_tool_use"] = True
    return chosen


def _choice(given: object, old: object) -> dict[str, Any] | None:
    if given is None and old is not None:
        given = {"type": "function", "function": old} if isinstance(old, Mapping) else old
    match given:
        case None:
            return None
        case str() if given in _MODES:
            return {"type": _MODES[given]}
        case {"type": "function", "function": {"name": str(name)}}:
            return {"type": "tool", "name": name}
        case {"type": "allowed_tools", "allowed_tools": {"mode": str(mode)}} if mode in _MODES:
            return {"type": _MODES[mode]}
    raise invalid("tool_choice", "must be none, auto, required, a function or allowed tools.")


def _allowed(given: object) -> set[str] | None:
    """Return the names of the tools that may be called. None: all."""
    if not isinstance(given, Mapping) or given.get("type") != "allowed_tools":
        return None
    within = given.get("allowed_tools")
    listed = within.get("tools") if isinstance(within, Mapping) else None
    if not isinstance(listed, list):
        raise invalid("tool_choice.allowed_tools.tools", "must be an array.", "invalid_type")
    functions = [each.get("function", each) for each in listed if isinstance(each, Mapping)]
    return {str(function.get("name")) for function in functions if isinstance(function, Mapping)}


def use(call: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the block of one of an assistant's `tool_calls`."""
    function = call.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise invalid(f"{where}.function", "must be an object with a 'name'.", "invalid_type")
    given = _arguments(function.get("arguments"), f"{where}.function.arguments")
    return {"type": "tool_use", "id": call_id(call.get("id"), f"{where}.id"), "name": function["name"], "input": given}


def _arguments(text: object, where: str) -> dict[str, Any]:
    if isinstance(text, Mapping):
        return dict(text)
    if text is None or (isinstance(text, str) and not text.strip()):
        return {}
    try:
        value = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise invalid(where, "must be a JSON object for the provider of this model.")
    return value


def call_id(own: object, where: str) -> str:
    """Return an id that Anthropic takes, the same for the same id. Other vendors' ids may have other characters."""
    if not isinstance(own, str) or not own:
        raise invalid(where, "is required.", "missing_required_parameter")
    if _ID.fullmatch(own):
        return own
    return "call_" + hashlib.sha256(own.encode("utf-8", "replace")).hexdigest()[:24]
