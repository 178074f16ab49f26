"""Writes the body of a request on OpenAI's Responses: from OpenAI's chat, with an allow-list of its fields."""

from collections.abc import Mapping
from typing import Any

from domain.errors import RequestInvalid
from domain.meters import MAX_PER_CALL, Meter
from providers import fields
from providers.base import ChatCall
from providers.older_functions import FIELDS
from providers.openai_responses import items

SAME = frozenset({"temperature", "top_p", "parallel_tool_calls", "service_tier", "prompt_cache_options", "moderation"})
"""Fields that a chat and a response have in common."""
_TRANSLATED = frozenset(
    {"messages", "tools", "tool_choice", "response_format", "reasoning_effort", "reasoning", "include_reasoning"}
    | {"verbosity", "logprobs", "top_logprobs", "web_search_options", "n", "modalities", *FIELDS}
)
_NO_PARAMETERS = frozenset({"messages", "moderation", "n", "modalities"})
PARAMETERS = (SAME | _TRANSLATED) - _NO_PARAMETERS | {"max_tokens", "max_completion_tokens"}
"""The supported parameters of a model whose catalog entry does not list any."""
MIN_OUTPUT_TOKENS = 16
"""OpenAI takes no lower limit. What is above the call's own is not charged."""
ENCRYPTED = "reasoning.encrypted_content"
HELD_SEARCHES = MAX_PER_CALL[Meter.WEB_SEARCH]
LOGPROBS = "message.output_text.logprobs"
_HARMLESS: Mapping[str, tuple[Any, ...]] = {"n": (1,), "modalities": (["text"],), "functions": ([],)}
"""Fields that have no counterpart, and their values that need none. Others are refused."""


def payload(call: ChatCall) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the body, and the names of dropped fields. Raises `RequestInvalid` for what cannot be expressed."""
    given, dropped = fields.split(call.body, SAME | _TRANSLATED, call.passes, call.drops)
    for name, values in _HARMLESS.items():
        if given.get(name) is not None and given[name] not in values:
            raise RequestInvalid(
                f"'{name}' is not a parameter that this model takes here.", param=name, code="unsupported_parameter"
            )
    body = {name: value for name, value in given.items() if name not in _TRANSLATED and value is not None}
    body["input"] = items.of_messages(given["messages"])
    body |= _tools(given) | _text(given) | _reasoning(given)
    if include := _include(given):
        body["include"] = include
    if given.get("logprobs") and given.get("top_logprobs") is not None:
        body["top_logprobs"] = given["top_logprobs"]
    return body | searches(body) | always(call), dropped


def always(call: ChatCall) -> dict[str, Any]:
    """Our own fields. They are set last: no caller's field replaces one."""
    limit = max(call.output_limit, MIN_OUTPUT_TOKENS)
    streams = {"stream": True} if call.stream else {}
    return {"model": call.model, "max_output_tokens": limit, **streams}


def searches(body: Mapping[str, Any]) -> dict[str, Any]:
    """Bound the calls of a request that may search to those that the hold pays for."""
    if not any(str(tool.get("type")).startswith("web_search") for tool in body.get("tools") or ()):
        return {}
    max_calls = body.get("max_tool_calls")
    return {"max_tool_calls": HELD_SEARCHES if max_calls is None else min(max_calls, HELD_SEARCHES)}


def _tools(given: Mapping[str, Any]) -> dict[str, Any]:
    tools = [_tool(tool, f"tools[{place}]") for place, tool in enumerate(given.get("tools") or ())]
    if (search := given.get("web_search_options")) is not None:
        tools.append(_search(search))
    if not tools:
        return {}
    choice = given.get("tool_choice")
    return {"tools": tools} | ({} if choice is None else {"tool_choice": _choice(choice)})


def _tool(tool: Mapping[str, Any], at: str) -> dict[str, Any]:
    if isinstance(custom := tool.get("custom"), dict):
        form = custom.get("format")
        if isinstance(form, dict) and isinstance(form.get("grammar"), dict):
            form = {"type": "grammar", **form["grammar"]}
        described = {name: custom[name] for name in ("name", "description") if custom.get(name) is not None}
        return {"type": "custom", **described} | ({} if form is None else {"format": form})
    function = tool.get("function") or {}
    if not isinstance(function, dict):
        raise RequestInvalid(f"'{at}.function' must be an object.", param=f"{at}.function", code="invalid_type")
    described = {name: function[name] for name in ("name", "description") if function.get(name) is not None}
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    # here a function is strict unless it says otherwise, in a chat it is not
    return {"type": "function", **described, "parameters": parameters, "strict": function.get("strict") is True}


def _search(options: Mapping[str, Any]) -> dict[str, Any]:
    tool: dict[str, Any] = {"type": "web_search"}
    if options.get("search_context_size") is not None:
        tool["search_context_size"] = options["search_context_size"]
    location = options.get("user_location")
    if isinstance(location, dict) and isinstance(place := location.get("approximate"), dict):
        tool["user_location"] = {"type": "approximate", **place}
    return tool


def _choice(choice: Any) -> Any:
    match choice:
        case {"type": "function", "function": {"name": name}}:
            return {"type": "function", "name": name}
        case {"type": "custom", "custom": {"name": name}}:
            return {"type": "custom", "name": name}
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list() as tools}}:
            return {"type": "allowed_tools", "mode": mode, "tools": [_choice(tool) for tool in tools]}
    return choice


def _text(given: Mapping[str, Any]) -> dict[str, Any]:
    text: dict[str, Any] = {}
    match given.get("response_format"):
        case {"type": "json_schema", "json_schema": dict() as schema}:
            text["format"] = {"type": "json_schema", **schema}
        case {"type": str()} as form:
            text["format"] = form
    if given.get("verbosity") is not None:
        text["verbosity"] = given["verbosity"]
    return {"text": text} if text else {}


def _reasoning(given: Mapping[str, Any]) -> dict[str, Any]:
    """A summary is requested where the client asks for reasoning in OpenRouter's words."""
    form = given.get("reasoning")
    form = form if isinstance(form, dict) else {}
    reasoning: dict[str, Any] = {}
    effort = given.get("reasoning_effort") or form.get("effort")
    if effort is not None:
        reasoning["effort"] = effort
    if form.get("summary") is not None:
        reasoning["summary"] = form["summary"]
    elif given.get("include_reasoning") or (form and not form.get("exclude") and form.get("enabled") is not False):
        reasoning["summary"] = "auto"
    return {"reasoning": reasoning} if reasoning else {}


def _include(given: Mapping[str, Any]) -> list[str]:
    include = [LOGPROBS] if given.get("logprobs") else []
    reasons = _reasoning(given) and given.get("reasoning_effort") != "none"
    thought = any(message.get("reasoning_details") for message in given["messages"])
    return [*include, ENCRYPTED] if reasons or thought else include
