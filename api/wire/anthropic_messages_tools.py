"""Translates `tools`, `tool_choice`, `thinking` and `output_config` of Anthropic's Messages into OpenAI's fields."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from api.wire import anthropic_messages_content as blocks
from api.wire import values

CHOICES = {"auto": "auto", "any": "required", "none": "none"}
EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "xhigh"}
THINKING = frozenset({"enabled", "adaptive", "disabled", "between_tools"})
DISPLAYS = frozenset({"summarized", "omitted"})
MIN_BUDGET = 1024
MAX_USES = 1_000_000
_BUDGETS = ((4096, "low"), (16_384, "medium"))
"""The effort that a budget of thinking tokens comes to, up to so many; above them it is `high`."""
_ONLY_NATIVE = ("input_examples", "eager_input_streaming", "defer_loading", "allowed_callers")
"""Fields of a tool that only Anthropic has."""
_RUN_BY_CLIENTS = ("bash_", "text_editor_", "computer_", "memory_")
"""How the types of Anthropic's own tools begin that cost what their tokens cost."""
_SCHEMA_NAME = "answer"
SEARCH = "web_search_20250305"
"""Anthropic's own search, which has a price. Later versions of it run code too, which has none."""
_OF_A_SEARCH = ("allowed_domains", "blocked_domains", "user_location")
"""Fields of a search that only Anthropic has."""


@dataclass(slots=True)
class Search:
    at: str = field(repr=False)
    """Its place in the request."""
    max_uses: int | None


def search(body: Mapping[str, Any], beside: dict[str, Any]) -> Search | None:
    """Return the provider's own search among the tools. What only Anthropic has is added to `beside`."""
    for index, tool in enumerate(values.optional(body, "tools", "", list) or ()):
        if isinstance(tool, dict) and tool.get("type") == SEARCH:
            at = f"tools.{index}"
            beside |= {f"{at}.{name}": tool[name] for name in _OF_A_SEARCH if tool.get(name) is not None}
            return Search(at, values.whole_number(tool, "max_uses", 1, MAX_USES, at))
    return None


def tools(body: Mapping[str, Any], beside: dict[str, Any]) -> list[dict[str, Any]]:
    """Translate the tools. What only Anthropic has is added to `beside`, also its own tools that the client runs."""
    listed = values.optional(body, "tools", "", list) or []
    translated = []
    for index, tool in enumerate(listed):
        at = f"tools.{index}"
        kind = values.optional(values.typed(tool, at, dict), "type", at, str) or "custom"
        if kind == SEARCH:
            values.word(tool, "name", at, ("web_search",))
        elif kind.startswith(_RUN_BY_CLIENTS):
            values.text(tool, "name", at)
            beside[at] = tool
        else:
            translated.append(_tool(tool, at, beside))
    return translated


def _tool(tool: Any, at: str, beside: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") not in (None, "custom"):
        raise values.invalid(
            f"{at}.type", f"must be custom or {SEARCH}: no other tool is priced here", "unsupported_parameter"
        )
    function: dict[str, Any] = {"name": values.text(tool, "name", at)}
    if (description := values.optional(tool, "description", at, str)) is not None:
        function["description"] = description
    function["parameters"] = values.required(tool, "input_schema", at, dict)
    if values.optional(tool, "strict", at, bool) is not None:
        function["strict"] = tool["strict"]
    beside |= {f"{at}.{name}": tool[name] for name in _ONLY_NATIVE if tool.get(name) is not None}
    return {"type": "function", "function": function, **blocks.cache_control(tool, at)}


def tool_choice(body: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """Return OpenAI's fields for `tool_choice`. Without tools there are none."""
    choice = values.optional(body, "tool_choice", "", dict)
    if choice is None:
        return {}
    kind = values.word(choice, "type", "tool_choice", (*CHOICES, "tool"))
    alone = values.optional(choice, "disable_parallel_tool_use", "tool_choice", bool)
    name = values.text(choice, "name", "tool_choice") if kind == "tool" else ""
    if not names and kind in ("any", "tool"):
        raise values.invalid("tool_choice", "may only be given with 'tools'")
    if name and name not in names:
        raise values.invalid("tool_choice.name", "must be the name of one of the tools")
    if not names:
        return {}
    chosen: Any = {"type": "function", "function": {"name": name}} if name else CHOICES[kind]
    return {"tool_choice": chosen, **({"parallel_tool_calls": False} if alone else {})}


def thinking(body: Mapping[str, Any]) -> str | None:
    """Return the kind of thinking that the request asks for. None: it says nothing about it."""
    wanted = values.optional(body, "thinking", "", dict)
    if wanted is None:
        return None
    kind = values.word(wanted, "type", "thinking", THINKING)
    if kind == "enabled" and values.required(wanted, "budget_tokens", "thinking", int) < MIN_BUDGET:
        raise values.invalid("thinking.budget_tokens", f"must be at least {MIN_BUDGET}")
    if wanted.get("display") is not None:
        values.word(wanted, "display", "thinking", DISPLAYS)
    return kind


def output(body: Mapping[str, Any], kind: str | None) -> Iterator[tuple[str, Any]]:
    """Yield OpenAI's fields for the effort and the format of the answer."""
    config = values.optional(body, "output_config", "", dict) or {}
    if config.get("effort") is not None:
        yield "reasoning_effort", EFFORTS[values.word(config, "effort", "output_config", EFFORTS)]
    elif kind == "enabled":
        budget = body["thinking"]["budget_tokens"]
        yield "reasoning_effort", next((effort for limit, effort in _BUDGETS if budget <= limit), "high")
    for within, name in ((config, "output_config.format"), (body, "output_format")):
        if (wanted := values.optional(within, name.rpartition(".")[2], name.rpartition(".")[0], dict)) is not None:
            values.word(wanted, "type", name, ("json_schema",))
            schema = values.required(wanted, "schema", name, dict)
            strict = {"strict": True} if _is_strict(schema) else {}
            yield (
                "response_format",
                {"type": "json_schema", "json_schema": {"name": _SCHEMA_NAME, "schema": schema, **strict}},
            )


def _is_strict(schema: Any) -> bool:
    """Tell whether OpenAI takes the schema as a strict one: its objects are closed and require all that they have."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        names = set(properties) if isinstance(properties, dict) else set()
        if schema.get("additionalProperties") is not False or set(schema.get("required") or ()) != names:
            return False
    return all(map(_is_strict, schema.values()))
