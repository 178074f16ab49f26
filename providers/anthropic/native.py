"""Writes a request that its client wrote on Anthropic's wire: what is known goes on as it is, and nothing else.

The output limit is ours. Fields and tools whose cost no meter has are refused, and those about the caller left out.
"""

from collections.abc import Mapping
from typing import Any

from domain.errors import RequestInvalid
from providers.anthropic.request import VERSION
from providers.base import ChatCall

_ALLOWED = frozenset(
    {"messages", "system", "stop_sequences", "temperature", "top_p", "top_k", "tools", "tool_choice", "thinking"}
    | {"output_config", "cache_control", "context_management", "service_tier"}
)
_SET_HERE = frozenset({"model", "max_tokens", "stream", "metadata"})
_FREE: Mapping[str, tuple[Any, ...]] = {"speed": ("standard",), "service_tier": ("auto", "standard_only")}
"""Fields that may cost extra, and their values that do not."""
_COSTS_EXTRA = ("speed", "inference_geo", "container", "mcp_servers", "fallbacks")
_OF_A_MESSAGE = ("role", "content")
_FREE_EDITS = "clear_"
"""Edits of the context that only leave parts out. Another one may read the input twice."""
_CONTEXT_BETA = "context-management-2025-06-27"
BETAS = frozenset(
    {"interleaved-thinking-2025-05-14", "fine-grained-tool-streaming-2025-05-14", _CONTEXT_BETA}
    | {"token-efficient-tools-2025-02-19", "output-128k-2025-02-19", "prompt-caching-2024-07-31"}
    | {"extended-cache-ttl-2025-04-11", "structured-outputs-2025-11-13", "effort-2025-11-24", "pdfs-2024-09-25"}
)
"""Beta features without a price of their own. Another one is not passed on."""


def payload(call: ChatCall, version: str = VERSION) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the body, and the names of dropped fields. Raises `RequestInvalid` for what costs extra."""
    assert call.native is not None  # noqa: S101  # the adapter has checked it
    body = call.native.body
    _check(body)
    everything = "*" in call.passes
    made, dropped = {}, []
    for name, value in body.items():
        if name in _ALLOWED or ((everything or name in call.passes) and name not in _SET_HERE):
            made[name] = value
        elif name not in _SET_HERE and value is not None and value not in _FREE.get(name, ()):
            dropped.append(name)
    made["messages"] = [_message(each) for each in body.get("messages") or ()]
    made["model"], made["max_tokens"] = call.model, call.output_limit
    dropped += _fit_thinking(made)
    if call.stream:
        made["stream"] = True
    return made, tuple(dropped)


def betas(call: ChatCall, body: Mapping[str, Any]) -> str:
    """Return the features for the header `anthropic-beta`: those that the body needs, and those its client named."""
    assert call.native is not None  # noqa: S101
    named = {beta for beta in call.native.betas if beta in BETAS}
    if "context_management" in body:
        named.add(_CONTEXT_BETA)
    return ",".join(sorted(named))


def _check(body: Mapping[str, Any]) -> None:
    for name in _COSTS_EXTRA:
        value = body.get(name)
        if value is not None and value not in ([], *_FREE.get(name, ())):
            raise _unpriced(name)
    if body.get("service_tier") not in (None, *_FREE["service_tier"]):
        raise _unpriced("service_tier")
    for index, tool in enumerate(body.get("tools") or ()):
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        if kind not in (None, "custom"):
            _check_tool(str(kind), f"tools[{index}].type")
    _check_files(body.get("messages"), "messages")
    management = body.get("context_management")
    edits = management.get("edits") if isinstance(management, Mapping) else None
    for index, edit in enumerate(edits if isinstance(edits, list) else ()):
        if not (isinstance(edit, Mapping) and str(edit.get("type")).startswith(_FREE_EDITS)):
            raise _unpriced(f"context_management.edits[{index}].type")


_CLIENT_TOOLS = ("bash_", "text_editor_", "computer_", "memory_")
"""Tools of Anthropic's that the client runs: they cost what their tokens cost."""


def _check_tool(kind: str, where: str) -> None:
    if not kind.startswith(_CLIENT_TOOLS):
        raise _unpriced(where)


def _check_files(value: Any, where: str) -> None:
    """Refuse a file that was uploaded to the provider: those of all callers lie in one account."""
    if isinstance(value, Mapping):
        if value.get("type") in ("file", "container_upload") and "file_id" in value:
            raise RequestInvalid(f"'{where}' is a file by its id: send the file itself.", param=where)
        for name in ("content", "source"):
            _check_files(value.get(name), f"{where}.{name}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _check_files(each, f"{where}[{index}]")


def _unpriced(name: str) -> RequestInvalid:
    return RequestInvalid(f"'{name}' is not priced here.", param=name, code="unsupported_parameter")


def _message(message: Any) -> Any:
    """Leave out what a message may not have, and what may be about its writer."""
    if not isinstance(message, Mapping):
        return message
    return {name: message[name] for name in _OF_A_MESSAGE if name in message}


def _fit_thinking(made: dict[str, Any]) -> list[str]:
    """Lower the budget of thinking below the output limit. Where none is left, there is no thinking."""
    thinking = made.get("thinking")
    if not isinstance(thinking, Mapping) or thinking.get("type") != "enabled":
        return []
    budget, limit = thinking.get("budget_tokens"), made["max_tokens"]
    if not isinstance(budget, int) or budget < limit:
        return []
    if limit <= 1024:
        del made["thinking"]
        return ["thinking"]
    made["thinking"] = {**thinking, "budget_tokens": limit - 1}
    return []
