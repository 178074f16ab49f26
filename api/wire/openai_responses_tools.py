"""Reads the tools of OpenAI's Responses into those of OpenAI's chat.

A custom tool, which takes a text, becomes a function with one argument: each provider has functions.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from api.wire import fields
from domain.errors import RequestInvalid

INPUT = "input"
"""The one argument of a function that stands for a custom tool."""
SEARCHES = ("web_search", "web_search_preview")
MAX_NAME = 64
"""Characters of a function's name in a chat."""
_SEARCH_OPTIONS = ("search_context_size",)


@dataclass(slots=True)
class Tools:
    functions: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """In the shape of OpenAI's chat."""
    search: dict[str, Any] | None = field(default=None, repr=False)
    """`web_search_options`, if there is a tool for a web search."""
    choice: Any = field(default=None, repr=False)
    places: dict[str, str] = field(default_factory=dict, repr=False)
    """The client's names of the tools."""
    untranslated: dict[str, Any] = field(default_factory=dict, repr=False)
    """Tools that only OpenAI's own models have, and that their clients carry out, by the client's names."""
    unused: dict[str, Any] = field(default_factory=dict, repr=False)
    """Functions that the choice does not allow, by the client's names."""
    names: list[str] = field(default_factory=list, repr=False)
    """The same of each of `functions`."""


def read(body: Mapping[str, Any]) -> Tools:
    """Raises `RequestInvalid` that names the first tool, or choice, that this server does not take."""
    tools, listed = Tools(), [] if body.get("tools") is None else body["tools"]
    if not isinstance(listed, list):
        raise RequestInvalid("'tools' must be an array.", param="tools", code="invalid_type")
    for place, tool in enumerate(listed):
        _read(tools, tool, f"tools[{place}]")
    _choose(tools, body.get("tool_choice"))
    for place, name in enumerate(tools.names):
        tools.places |= {f"tools[{place}]": name, f"tools[{place}].function": name}
    return tools


@dataclass(frozen=True, slots=True)
class Called:
    """What a function of a chat stands for."""

    name: str = field(repr=False)
    namespace: str | None = field(repr=False)
    custom: bool
    """It is called with a text."""


def called(body: Mapping[str, Any]) -> Mapping[str, Called]:
    """The tools of a request whose names or calls are others in a chat, by their names there."""
    by_name: dict[str, Called] = {}
    for tool in body.get("tools") or ():
        namespace = tool["name"] if tool.get("type") == "namespace" else None
        for each in tool["tools"] if namespace else (tool,):
            custom = each.get("type") == "custom"
            if namespace or custom:
                by_name[function_name(each["name"], namespace)] = Called(each["name"], namespace, custom)
    return by_name


def function_name(name: str, namespace: object) -> str:
    """The name in a chat of a tool in a namespace. A name that is too long there ends with a hash."""
    whole = f"{namespace}__{name}" if isinstance(namespace, str) and namespace else name
    if len(whole) <= MAX_NAME or whole == name:
        return whole
    return f"{whole[: MAX_NAME - 9]}_{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _read(tools: Tools, tool: Any, at: str, namespace: str | None = None) -> None:
    if not isinstance(tool, dict):
        raise RequestInvalid(f"'{at}' must be an object.", param=at, code="invalid_type")
    kind = tool.get("type")
    if isinstance(kind, str) and kind.startswith(SEARCHES) and namespace is None:
        tools.search = _search(tool)
        tools.places["web_search_options"] = at
        return
    if namespace is None and _is_of_the_client(tool):
        tools.untranslated[at] = tool
        return
    if kind == "namespace" and namespace is None:
        _read_namespace(tools, tool, at)
        return
    if kind not in ("function", "custom"):
        raise RequestInvalid(
            f"'{at}.type' must be function, custom, namespace or web_search.",
            param=f"{at}.type",
            code="unsupported_parameter",
        )
    name = _name(tool, at)
    tools.names.append(at)
    function = _function(tool) if kind == "function" else _of_custom(tool, at)
    tools.functions.append({"type": "function", "function": {**function, "name": function_name(name, namespace)}})


def _read_namespace(tools: Tools, tool: Mapping[str, Any], at: str) -> None:
    name = _name(tool, at)
    if not isinstance(tool.get("tools"), list):
        raise RequestInvalid(f"'{at}.tools' must be an array.", param=f"{at}.tools", code="invalid_type")
    if tool.get("description"):
        tools.untranslated[f"{at}.description"] = tool["description"]
    for place, inner in enumerate(tool["tools"]):
        _read(tools, inner, f"{at}.tools[{place}]", name)


def _name(tool: Mapping[str, Any], at: str) -> str:
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        code = "missing_required_parameter" if name is None else "invalid_type"
        raise RequestInvalid(f"'{at}.name' is required: a text.", param=f"{at}.name", code=code)
    return name


def _is_of_the_client(tool: Mapping[str, Any]) -> bool:
    """Tell whether the client carries the tool out. A shell in OpenAI's containers costs extra."""
    place = tool.get("environment")
    local = isinstance(place, dict) and place.get("type") == "local"
    kind = tool.get("type")
    if kind == "tool_search":
        return tool.get("execution") == "client"
    return kind in ("local_shell", "apply_patch") or (kind == "shell" and local)


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    names = ("name", "description", "parameters", "strict")
    return {name: tool[name] for name in names if tool.get(name) is not None}


def _of_custom(tool: Mapping[str, Any], at: str) -> dict[str, Any]:
    fields.check_type(f"{at}.description", tool.get("description"), (str,))
    parts = [tool.get("description") or "", f"Give the whole text of the call in `{INPUT}`."]
    match tool.get("format"):
        case {"type": "grammar", "syntax": str() as syntax, "definition": str() as definition}:
            parts.append(f"The text follows this grammar, in the syntax {syntax}:\n{definition}")
    described = {"type": "string", "description": "The text of the call."}
    schema = {"type": "object", "properties": {INPUT: described}, "required": [INPUT], "additionalProperties": False}
    return {"name": tool["name"], "description": "\n\n".join(filter(None, parts)), "parameters": schema}


def _search(tool: Mapping[str, Any]) -> dict[str, Any]:
    options = {name: tool[name] for name in _SEARCH_OPTIONS if tool.get(name) is not None}
    location = tool.get("user_location")
    if isinstance(location, dict):
        place = {name: value for name, value in location.items() if name != "type" and value is not None}
        options["user_location"] = {"type": "approximate", "approximate": place}
    return options


def _choose(tools: Tools, choice: Any) -> None:
    match choice:
        case None:
            return
        case "none" | "auto" | "required":
            tools.choice = choice
        case {"type": "function" | "custom", "name": str() as name}:
            name = function_name(name, choice.get("namespace"))
            tools.choice = {"type": "function", "function": {"name": name}}
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": list() as allowed}:
            _allow(tools, [tool.get("name") for tool in allowed if isinstance(tool, dict)])
            tools.choice = mode
        case _:
            raise RequestInvalid(
                "'tool_choice' must be none, auto, required, or name functions or custom tools of this request.",
                param="tool_choice",
                code="invalid_value",
            )


def _allow(tools: Tools, allowed: list[Any]) -> None:
    """Leave out the other tools: not every provider can allow some of them."""
    names = {name for name in allowed if isinstance(name, str)}
    pairs = list(zip(tools.functions, tools.names, strict=True))
    allowed = [pair for pair in pairs if pair[0]["function"]["name"] in names]
    tools.unused = {name: tool for tool, name in pairs if tool["function"]["name"] not in names}
    tools.functions, tools.names = [tool for tool, _ in allowed], [name for _, name in allowed]
