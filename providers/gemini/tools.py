"""Translates functions, the choice among them, and the request for a web search."""

import re
from collections.abc import Mapping
from typing import Any

from domain.errors import RequestInvalid
from providers.gemini import models, schema

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_MODES: Mapping[str, str] = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def fields(given: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return `tools` and `toolConfig` for the fields of a request that are not null."""
    declarations = [_declaration(tool, f"tools[{index}]") for index, tool in enumerate(given.get("tools", ()))]
    mode, allowed = _choice(given.get("tool_choice", "auto"), [each["name"] for each in declarations])
    if mode == "AUTO" and allowed is not None:
        declarations = [each for each in declarations if each["name"] in allowed]
    if "web_search_options" in given:
        return {"tools": [_search(given, declarations, model)]}
    if not declarations:
        return {}
    result: dict[str, Any] = {"tools": [{"functionDeclarations": declarations}]}
    if mode != "AUTO":
        calling = {"mode": mode} if allowed is None else {"mode": mode, "allowedFunctionNames": allowed}
        result["toolConfig"] = {"functionCallingConfig": calling}
    return result


def _search(given: Mapping[str, Any], declarations: list[dict[str, Any]], model: str) -> dict[str, Any]:
    """Where the caller is, and other options of a search, are not sent."""
    if declarations:
        raise _unsupported("web_search_options", "together with 'tools'")
    formatted = given.get("response_format", {}).get("type", "text") != "text"
    if formatted and models.generation(model) < models.THREE:
        raise _unsupported("web_search_options", "together with this 'response_format'")
    return {"googleSearch": {}}


def _declaration(tool: Any, where: str) -> dict[str, Any]:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        raise _unsupported(f"{where}.type", "other than function")
    function = tool.get("function")
    if not isinstance(function, dict):
        raise RequestInvalid(f"'{where}.function' must be an object.", param=f"{where}.function", code="invalid_type")
    name = function.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RequestInvalid(
            f"'{where}.function.name' must begin with a letter or _, and have letters, digits and _ . : - alone.",
            param=f"{where}.function.name",
        )
    declaration: dict[str, Any] = {"name": name}
    if isinstance(description := function.get("description"), str) and description:
        declaration["description"] = description
    if function.get("parameters") is not None:
        declaration["parametersJsonSchema"] = schema.of_object(function["parameters"])
    return declaration


def _choice(choice: Any, names: list[str]) -> tuple[str, list[str] | None]:
    """Return Gemini's mode, and the functions that may be called when not all may."""
    if isinstance(choice, str):
        mode = _MODES.get(choice)
        if mode is None or (mode == "ANY" and not names):
            raise RequestInvalid("'tool_choice' must be none, auto, required or a function.", param="tool_choice")
        return mode, None
    match choice:
        case {"type": "function", "function": {"name": str(name)}}:
            return "ANY", [_declared(name, names, "tool_choice.function.name")]
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}:
            where = "tool_choice.allowed_tools"
            if mode not in ("auto", "required"):
                raise RequestInvalid(f"'{where}.mode' must be auto or required.", param=f"{where}.mode")
            return _MODES[mode], [_declared(_name_of(tool), names, f"{where}.tools") for tool in tools]
    raise RequestInvalid("'tool_choice' must be none, auto, required or a function.", param="tool_choice")


def _name_of(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, dict) else None
    return str(function.get("name")) if isinstance(function, dict) else ""


def _declared(name: str, names: list[str], where: str) -> str:
    if name not in names:
        raise RequestInvalid(f"'{where}' must name a function of 'tools'.", param=where)
    return name


def _unsupported(param: str, how: str) -> RequestInvalid:
    return RequestInvalid(f"The provider takes no '{param}' {how}.", param=param, code="unsupported_parameter")
