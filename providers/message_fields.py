"""The fields of messages, of their parts and of tools that may be sent. What else is in them is left out, and named."""

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from operator import is_not
from typing import Any

from domain.request_fields import ABOUT_THE_CALLER

_CACHING = frozenset({"cache_control", "prompt_cache_breakpoint"})
_SIGNED = frozenset({"extra_content", "thought_signature", "provider_specific_fields"})
"""What vendors sign their reasoning with, to be sent back unchanged."""
_MEDIA = frozenset(
    {"image_url", "input_image", "image", "image_embeds", "image_pil", "input_audio", "audio_url", "audio"}
    | {"audio_embeds", "file", "input_file", "document", "document_url", "video_url", "input_video", "video"}
)
"""Fields of parts with media. A provider gets them if the model reads that kind of input."""
MESSAGE = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio", "function_call", "images"}
    | {"reasoning", "reasoning_content", "reasoning_details", "annotations", "prefix", "partial", "is_error"}
    | _CACHING
    | _SIGNED
)
PART = frozenset(
    {"type", "text", "refusal", "thinking", "reasoning", "signature", "data", "encrypted_content", "summary", "closed"}
    | {"source", "title", "context", "citations", "detail", "filename", "file_id", "file_data", "uuid"}
    | _MEDIA
    | _CACHING
    | _SIGNED
)
_OF_MEDIA = frozenset(
    {"url", "detail", "format", "data", "file_data", "file_id", "file_url", "filename", "media_type", "mime_type"}
    | {"type", "id", "fps", "max_frames", "min_pixels", "max_pixels", "start_offset", "end_offset"}
)
_CALL = frozenset({"id", "type", "index", "function", "custom"}) | _SIGNED
_CALLED = frozenset({"name", "arguments", "input"}) | _SIGNED
_TOOL = frozenset({"type", "function", "custom"}) | _CACHING
_DEFINED = frozenset({"name", "description", "parameters", "strict", "format"}) | _CACHING

Rules = tuple[frozenset[str], Mapping[str, Any]]
"""The fields of an object, and the rules of the objects within some of them."""
_MEDIUM: Rules = (_OF_MEDIA, {})
_PART: Rules = (PART, dict.fromkeys(_MEDIA, _MEDIUM))
_FUNCTION_CALLED: Rules = (_CALLED, {})
_MESSAGE: Rules = (
    MESSAGE,
    {
        "content": _PART,
        "tool_calls": (_CALL, {"function": _FUNCTION_CALLED, "custom": _FUNCTION_CALLED}),
        "function_call": _FUNCTION_CALLED,
        "audio": _MEDIUM,
    },
)
_DEFINITION: Rules = (_DEFINED, {})
_TOOLS: Rules = (_TOOL, {"function": _DEFINITION, "custom": _DEFINITION})


@lru_cache(maxsize=256)
def _within(passes: frozenset[str], drops: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The names inside messages and tools that a route passes and drops: for most calls the same as before."""
    passed = frozenset(name.rpartition(".")[2] for name in passes) - ABOUT_THE_CALLER
    return passed, frozenset(name.partition(".")[2] for name in drops if "." in name)


class _Cleaner:
    """Copies only what changes: most requests have nothing to leave out."""

    def __init__(self, passes: Collection[str], drops: Collection[str]) -> None:
        self._everything = "*" in passes
        self._passes, self._drops = _within(frozenset(passes), frozenset(drops))
        self.lost: dict[str, None] = {}

    def all(self, values: list[Any], rules: Rules) -> list[Any]:
        cleaned = [self.one(value, rules) for value in values]
        return cleaned if any(map(is_not, cleaned, values)) else values

    def one(self, value: Any, rules: Rules) -> Any:
        if not isinstance(value, dict):
            return value
        allowed, inner = rules
        if not value.keys() <= allowed or not self._drops.isdisjoint(value):
            value = {name: each for name, each in value.items() if self._may_be_sent(name, each, allowed)}
        for name in inner.keys() & value.keys():
            given = value[name]
            if isinstance(given, list):
                fresh: Any = self.all(given, inner[name])
            elif isinstance(given, dict):
                fresh = self.one(given, inner[name])
            else:
                continue
            if fresh is not given:
                value = {**value, name: fresh}
        return value

    def _may_be_sent(self, name: str, value: Any, allowed: frozenset[str]) -> bool:
        sent = name in allowed or name in self._passes or (self._everything and name not in ABOUT_THE_CALLER)
        if sent and name not in self._drops:
            return True
        if value is not None:
            self.lost[name] = None
        return False


def _cleaned(rules: Rules) -> Callable[..., tuple[list[Any], tuple[str, ...]]]:
    def cleaned(
        values: list[Any], passes: Collection[str], drops: Collection[str]
    ) -> tuple[list[Any], tuple[str, ...]]:
        cleaner = _Cleaner(passes, drops)
        return cleaner.all(values, rules), tuple(cleaner.lost)

    return cleaned


CLEANED: Mapping[str, Callable[..., tuple[list[Any], tuple[str, ...]]]] = {
    "messages": _cleaned(_MESSAGE),
    "tools": _cleaned(_TOOLS),
    "functions": _cleaned(_DEFINITION),
}
"""By field of the body: returns the list with known fields only, and the names of the fields that were left out."""
