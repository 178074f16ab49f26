"""Writes the body of a request whose client speaks OpenAI's Responses too: its own, by lists of what may be sent."""

from collections.abc import Iterator, Mapping
from typing import Any

from providers.base import ChatCall
from providers.openai_responses import request
from providers.openai_responses.request import ENCRYPTED

WIRE = "openai_responses"
_SENT = frozenset(
    {"input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning", "include"}
    | {"temperature", "top_p", "top_logprobs", "truncation", "service_tier", "max_tool_calls", "prompt_cache_options"}
)
_PRICED = frozenset({"moderation"})
"""Fields that go if `passes` has them: then the request was not refused."""
_INCLUDED = frozenset(
    {ENCRYPTED, request.LOGPROBS, "web_search_call.results", "web_search_call.action.sources"}
    | {"message.input_image.image_url"}
)
_ITEM = frozenset(
    {"type", "role", "content", "id", "status", "call_id", "name", "namespace", "arguments", "output", "input"}
    | {"summary", "encrypted_content", "action", "operation", "environment", "max_output_length", "result"}
    | {"queries", "results", "tools", "execution", "approve", "approval_request_id", "server_label", "error"}
)
_PART = frozenset(
    {"type", "text", "refusal", "image_url", "detail", "file_data", "file_url", "filename"}
    | {"prompt_cache_breakpoint", "stdout", "stderr", "outcome"}
)
"""Fields whose tokens the hold pays for: they are in the translation too, or among what only this wire has."""
_TOOL = frozenset(
    {"type", "name", "description", "parameters", "strict", "format", "tools", "environment", "execution"}
    | {"search_context_size", "user_location", "filters", "external_web_access"}
)
_WITHIN: Mapping[str, frozenset[str]] = {
    "text": frozenset({"format", "verbosity"}),
    "reasoning": frozenset({"effort", "summary"}),
}
"""What of these objects is sent."""
_PHASES = ("commentary", "final_answer")
_CLIENT_TOOLS = ("function", "custom", "namespace", "local_shell", "apply_patch", "shell", "tool_search")
"""Tools that the client carries out. They cost nothing here."""
_WITHIN_OTHERS = ("function", "custom", "namespace")
"""The same where a tool, or the output of a search for tools, has tools: those were checked by nobody yet."""
_PACKED = "yout-reasoning-"
"""What encrypted content begins with that this server packed for another provider."""


def is_native(call: ChatCall) -> bool:
    return call.native is not None and call.native.wire == WIRE


def payload(call: ChatCall) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the body, and the names of dropped fields. Our own fields are set last."""
    assert call.native is not None  # noqa: S101  # else there is nothing to send
    dropped = tuple(name for name, value in call.native.body.items() if value is not None and not _goes(name, call))
    body = {name: value for name, value in call.native.body.items() if value is not None and _goes(name, call)}
    for name in ("input", "tools"):
        dropped += tuple(_unpaid(body.get(name), name))
    dropped += tuple(_not_included(body))
    if isinstance(body["input"], list):
        body["input"] = [_item(item) for item in body["input"] if _may_be_sent(item)]
    body |= _objects(body)
    if "tools" in body:
        body["tools"] = [_tool(tool) for tool in body["tools"] if _is_paid_for(tool, call.body)]
        if not body["tools"]:
            body = {name: value for name, value in body.items() if name not in ("tools", "tool_choice")}
    if include := _include(body):
        body["include"] = include
    return body | request.searches(body) | request.always(call), dropped


def _goes(name: str, call: ChatCall) -> bool:
    return name not in call.drops and (name in _SENT or (name in _PRICED and name in call.passes))


def _objects(body: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: body[name] for name in _WITHIN if isinstance(body.get(name), dict)}
    return {
        name: {field: value for field, value in inner.items() if field in _WITHIN[name]}
        for name, inner in given.items()
    }


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    sent = {name: value for name, value in tool.items() if name in _TOOL}
    if isinstance(inner := sent.get("tools"), list):
        sent["tools"] = [_tool(each) for each in inner if _costs_nothing(each)]
    return sent


def _costs_nothing(inner: object) -> bool:
    return isinstance(inner, dict) and inner.get("type") in _WITHIN_OTHERS


def _unpaid(listed: object, at: str) -> Iterator[str]:
    """Name the tools within items and tools that are left out: the provider would run them, and no hold pays for it."""
    for place, each in enumerate(listed if isinstance(listed, list) else ()):
        inner = each.get("tools") if isinstance(each, dict) else None
        if not isinstance(inner, list):
            continue
        within = f"{at}[{place}].tools"
        yield from (f"{within}[{number}]" for number, tool in enumerate(inner) if not _costs_nothing(tool))
        yield from _unpaid([tool if _costs_nothing(tool) else None for tool in inner], within)


def _not_included(body: Mapping[str, Any]) -> Iterator[str]:
    for place, name in enumerate(body.get("include") or ()):
        if name not in _INCLUDED:
            yield f"include[{place}]"


def _is_paid_for(tool: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Tell whether the tool costs nothing beyond tokens, or is a search that the hold pays for."""
    kind = str(tool.get("type"))
    return kind in _CLIENT_TOOLS or (kind.startswith("web_search") and body.get("web_search_options") is not None)


def _may_be_sent(item: Mapping[str, Any]) -> bool:
    """Leave out the reasoning of another provider, and such as OpenAI would look for in its store."""
    encrypted = item.get("encrypted_content")
    return item.get("type") != "reasoning" or (bool(encrypted) and not str(encrypted).startswith(_PACKED))


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    sent = {name: value for name, value in item.items() if name in _ITEM}
    if item.get("phase") in _PHASES:
        sent["phase"] = item["phase"]
    if item.get("type") == "reasoning":
        sent.pop("content", None)  # it is in the encrypted content
    if isinstance(listed := sent.get("tools"), list):
        sent["tools"] = [_tool(tool) for tool in listed if _costs_nothing(tool)]
    for name in ("content", "output", "summary"):
        if isinstance(parts := sent.get(name), list):
            sent[name] = [_part(part) if isinstance(part, dict) else part for part in parts]
    return sent


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    sent = {name: value for name, value in part.items() if name in _PART}
    return {**sent, "annotations": []} if part.get("type") == "output_text" else sent


def _include(body: Mapping[str, Any]) -> list[str]:
    """With `store: false`, reasoning comes back only if it is in the answer: it is requested where there is any."""
    include = [name for name in body.get("include") or () if isinstance(name, str) and name in _INCLUDED]
    reasoning = body.get("reasoning") or {}
    if reasoning and reasoning.get("effort") != "none" and ENCRYPTED not in include:
        include.append(ENCRYPTED)
    return include
