"""Writes a request that its client wrote on Anthropic's wire: what is known goes on as it is, and nothing else.

The output limit is ours. Fields and tools whose cost no meter has are refused, and those about the caller left out.
Errors name fields as Anthropic does: `messages.0.content.1`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.errors import RequestInvalid
from domain.request_fields import NEVER_SENT
from providers.anthropic.models import Thinking, rules
from providers.anthropic.reasoning import MIN_BUDGET
from providers.anthropic.request import SEARCH
from providers.base import ChatCall

_ALLOWED = frozenset(
    {"messages", "system", "stop_sequences", "temperature", "top_p", "top_k", "tools", "tool_choice", "thinking"}
    | {"output_config", "cache_control", "context_management", "service_tier"}
)
_SET_HERE = frozenset({"model", "max_tokens", "stream", "metadata", "output_format"})
_FREE: Mapping[str, tuple[Any, ...]] = {
    "speed": ("standard",),
    "inference_geo": ("global", "not_available"),
    "mcp_servers": ([],),
    "container": (),
    "fallbacks": ([],),
    "service_tier": ("auto", "standard_only"),
}
"""Fields that may cost extra, and their values that do not."""
_FREE_EDITS = "clear_"
"""Edits of the context that only leave parts out. Another one may read the input twice."""
_OF_A_MESSAGE = frozenset({"role", "content"})
_OF_A_BLOCK = frozenset(
    {"type", "text", "source", "media_type", "data", "url", "title", "context", "citations", "content", "id", "name"}
    | {"input", "tool_use_id", "is_error", "thinking", "signature", "cache_control", "caller", "file_id"}
    | {"encrypted_content", "encrypted_index", "encrypted_stdout", "page_age", "error_code", "retrieved_at"}
    | {"stdout", "stderr", "return_code", "tool_name", "tool_references"}
)
"""Fields of blocks, of what lies in them, and of sources."""
_OF_A_CITATION = frozenset(
    {"type", "cited_text", "title", "url", "source", "encrypted_index", "enabled", "document_index", "document_title"}
    | {"start_char_index", "end_char_index", "start_page_number", "end_page_number", "search_result_index"}
    | {"start_block_index", "end_block_index"}
)
_OF_A_TOOL = frozenset(
    {"type", "name", "description", "input_schema", "strict", "cache_control", "eager_input_streaming"}
    | {"input_examples", "allowed_callers", "display_width_px", "display_height_px", "display_number"}
    | {"max_characters", "enable_zoom", "max_uses", "allowed_domains", "blocked_domains"}
)
_WITHIN_A_BLOCK = {"content": _OF_A_BLOCK, "source": _OF_A_BLOCK, "citations": _OF_A_CITATION}
_WITHIN = {"messages": _OF_A_MESSAGE, "system": _OF_A_BLOCK, "tools": _OF_A_TOOL}
_CLIENT_TOOLS = ("bash_", "text_editor_", "computer_", "memory_")
"""Tools of Anthropic's that the client runs: they cost what their tokens cost."""
_CONTEXT = "context-management-2025-06-27"


def payload(call: ChatCall) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the body, and the names of dropped fields. Raises `RequestInvalid` for what costs extra."""
    assert call.native is not None  # noqa: S101  # the adapter has checked it
    body = call.native.body
    searches = call.body.get("web_search_options") is not None
    _check(body, searches=searches)
    given = {name: value for name, value in body.items() if name not in _SET_HERE and value is not None}
    fields = {name: value for name, value in given.items() if name not in call.drops and _is_sent(call, name)}
    dropped = [name for name in given if name not in fields and given[name] not in _FREE.get(name, ())]
    for name in _WITHIN.keys() & fields.keys():
        cleaner = _Cleaner()
        fields[name] = cleaner.all(fields[name], _WITHIN[name])
        dropped += [f"{name}.{lost}" for lost in cleaner.lost]
    if searches and "tools" in fields:
        fields["tools"] = [_bounded(tool, call.max_searches) for tool in fields["tools"]]
    if body.get("output_format") is not None:  # the older place of it
        fields["output_config"] = {"format": body["output_format"], **fields.get("output_config", {})}
    fields["model"], fields["max_tokens"] = call.model, call.output_limit
    if rules(call.model).thinking is not Thinking.ADAPTIVE:
        fields["messages"] = [_without_system(message) for message in fields["messages"]]
    dropped += _fit_thinking(fields)
    if call.stream:
        fields["stream"] = True
    return fields, tuple(dropped)


def _bounded(tool: Any, max_searches: int) -> Any:
    """Return a search with the limit that the hold pays for. Any other tool is returned as it is."""
    return {**tool, "max_uses": max_searches} if tool.get("type") == SEARCH["type"] else tool


def _without_system(message: Any) -> Any:
    """Return a message of the system as one of the user: within a conversation, the older models take none."""
    is_system = isinstance(message, Mapping) and message.get("role") == "system"
    return {**message, "role": "user"} if is_system else message


def _is_sent(call: ChatCall, name: str) -> bool:
    return name in _ALLOWED or name in call.passes or ("*" in call.passes and name not in NEVER_SENT)


def features(body: Mapping[str, Any]) -> str:
    """Return the value of the header `anthropic-beta`: the features that the fields of this body need."""
    named = {_CONTEXT} if "context_management" in body else set()
    for tool in body.get("tools") or ():
        kind = str(tool.get("type")) if isinstance(tool, Mapping) else ""
        if kind.startswith("memory_"):
            named.add(_CONTEXT)
        elif kind.startswith("computer_") and len(date := kind.removeprefix("computer_")) == 8 and date.isdigit():
            named.add(f"computer-use-{date[:4]}-{date[4:6]}-{date[6:]}")
    return ",".join(sorted(named))


def bounded_lifetimes(value: Any) -> Any:
    """Return the value with cache marks for an hour made ones for the usual time: nothing is held for an hour."""
    if isinstance(value, list):
        return [bounded_lifetimes(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: {"type": "ephemeral"} if name == "cache_control" and _is_an_hour(inner) else bounded_lifetimes(inner)
        for name, inner in value.items()
    }


def _is_an_hour(mark: object) -> bool:
    return isinstance(mark, Mapping) and mark.get("ttl") == "1h"


def _check(body: Mapping[str, Any], *, searches: bool) -> None:
    for place in _unpriced(body, SEARCH["type"] if searches else None):
        raise RequestInvalid(f"'{place}' is not priced here.", param=place, code="unsupported_parameter")
    for place in _stored_files(body.get("messages"), "messages"):
        raise RequestInvalid(f"'{place}' is a file by its id: send the file itself.", param=place)


def _unpriced(body: Mapping[str, Any], priced: str | None) -> Iterator[str]:
    for name, free in _FREE.items():
        if body.get(name) is not None and body[name] not in free:
            yield name
    for index, tool in enumerate(body.get("tools") or ()):
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        if kind not in (None, "custom", priced) and not str(kind).startswith(_CLIENT_TOOLS):
            yield f"tools.{index}.type"
    management = body.get("context_management")
    edits = management.get("edits") if isinstance(management, Mapping) else None
    for index, edit in enumerate(edits if isinstance(edits, list) else ()):
        if not (isinstance(edit, Mapping) and str(edit.get("type")).startswith(_FREE_EDITS)):
            yield f"context_management.edits.{index}.type"


def _stored_files(value: Any, where: str) -> Iterator[str]:
    """Yield the places of files that were uploaded to the provider: those of all callers lie in one account there."""
    if isinstance(value, Mapping):
        if value.get("file_id") is not None:
            yield where
        for name in ("content", "source"):
            yield from _stored_files(value.get(name), f"{where}.{name}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _stored_files(each, f"{where}.{index}")


class _Cleaner:
    """Copies messages, blocks and tools with their known fields. What a tool takes is its own, and copied whole."""

    def __init__(self) -> None:
        self.lost: dict[str, None] = {}
        """The names of the fields that were left out, below the field of the body."""

    def all(self, values: object, allowed: frozenset[str]) -> Any:
        return [self.one(each, allowed) for each in values] if isinstance(values, list) else values

    def one(self, value: Any, allowed: frozenset[str]) -> Any:
        if not isinstance(value, Mapping):
            return value
        self.lost |= {name: None for name, inner in value.items() if name not in allowed and inner is not None}
        known = {name: inner for name, inner in value.items() if name in allowed}
        if allowed is not _OF_A_TOOL:
            within = {name: inner for name, inner in _WITHIN_A_BLOCK.items() if name in known}
            known |= {name: self._within(known[name], inner) for name, inner in within.items()}
        return known

    def _within(self, value: object, allowed: frozenset[str]) -> Any:
        return self.one(value, allowed) if isinstance(value, Mapping) else self.all(value, allowed)


def _fit_thinking(fields: dict[str, Any]) -> list[str]:
    """Lower the budget of thinking below the output limit. Where none is left, there is no thinking."""
    thinking = fields.get("thinking")
    if not isinstance(thinking, Mapping) or thinking.get("type") != "enabled":
        return []
    budget, limit = thinking.get("budget_tokens"), fields["max_tokens"]
    if not isinstance(budget, int) or budget < limit:
        return []
    if limit <= MIN_BUDGET:
        del fields["thinking"]
        return ["thinking"]
    fields["thinking"] = {**thinking, "budget_tokens": limit - 1}
    return []
