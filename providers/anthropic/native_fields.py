"""The fields of messages, content blocks and tools on Anthropic's wire that may be sent. Others are left out.

Clients put ids and names of users there. What a model reads (a tool's schema, its input) is not looked into.
"""

from collections.abc import Collection
from typing import Any

from domain.request_fields import ABOUT_THE_CALLER
from providers.message_fields import Rules, cleaned

_SOURCE: Rules = (frozenset({"type", "media_type", "data", "url", "content"}), {})
_INNER: dict[str, Any] = {"source": _SOURCE}
_BLOCK: Rules = (
    frozenset({"type", "text", "cache_control", "citations", "source", "title", "context", "id", "name", "input"})
    | frozenset({"tool_use_id", "tool_name", "content", "is_error", "thinking", "signature", "data", "caller"})
    | frozenset({"encrypted_content", "encrypted_stdout", "stdout", "stderr", "return_code", "error_code"})
    | frozenset({"url", "page_age", "retrieved_at", "tool_references"}),
    _INNER,
)
_INNER["content"] = _BLOCK
"""A tool's result has blocks of its own."""
_MESSAGE: Rules = (frozenset({"role", "content"}), {"content": _BLOCK})
_TOOL: Rules = (
    frozenset({"type", "name", "description", "input_schema", "cache_control", "strict", "input_examples"})
    | frozenset({"display_width_px", "display_height_px", "display_number", "enable_zoom", "max_characters"})
    | frozenset({"eager_input_streaming", "defer_loading", "allowed_callers"}),
    {},
)
_CLEANED = {"messages": cleaned(_MESSAGE), "system": cleaned(_BLOCK), "tools": cleaned(_TOOL)}


def clean(body: dict[str, Any], passes: Collection[str], drops: Collection[str]) -> list[str]:
    """Leave out of a body what may not be sent, in place. Returns the names, but for those about the caller."""
    dropped: list[str] = []
    for name, of in _CLEANED.items():
        if isinstance(given := body.get(name), list):
            body[name], lost = of(given, passes, drops)
            dropped += [f"{name}.{each}" for each in lost if each not in ABOUT_THE_CALLER]
    return dropped
