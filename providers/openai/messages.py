"""An allow-list of the fields of single messages, parts, tool calls and tools on OpenAI's wire.

Clients add fields of their own: ids, names of users, times. None of them is sent, unless `passes` of the catalog has
`*`; what is about the caller is not sent even then.
"""

from collections.abc import Collection
from typing import Any

from domain.request_fields import NEVER_SENT

_MESSAGE = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio", "annotations"}
    | {"reasoning", "reasoning_content", "reasoning_details", "thinking_blocks", "cache_control", "prefix", "partial"}
    | {"images", "extra_content"}
)
"""Fields that OpenAI documents, and those that carry reasoning, caching and prefixes at other vendors."""
_PART = frozenset(
    {"type", "text", "refusal", "image_url", "input_audio", "file", "video_url", "audio_url", "image", "audio", "video"}
    | {"document", "document_url", "image_embeds", "audio_embeds", "image_pil", "input_image", "input_file"}
    | {"input_video", "thinking", "signature", "data", "reasoning", "summary", "closed", "cache_control", "detail"}
    | {"min_pixels", "max_pixels", "total_pixels", "fps", "max_frames", "format", "extra_content", "source", "title"}
    | {"context", "citations", "url", "file_data", "filename", "file_url", "content"}
)
_IN_PART = frozenset(
    {"url", "detail", "data", "format", "file_data", "filename", "type", "media_type", "mime_type", "content", "title"}
    | {"ttl", "enabled", "fps", "max_frames", "text", "google"}
)
"""Fields of the objects in a part, such as `image_url`."""
_CALL = frozenset({"id", "type", "index", "function", "custom", "extra_content", "cache_control"})
_IN_CALL = frozenset({"name", "arguments", "input", "google", "type", "ttl"})
_TOOL = frozenset({"type", "function", "custom", "cache_control"})
_IN_TOOL = frozenset({"name", "description", "parameters", "strict", "format", "type", "ttl"})


class AllowList:
    """Reads the messages and tools of one request. `dropped` names the fields that it left out."""

    def __init__(self, passes: Collection[str]) -> None:
        self._everything = "*" in passes
        self.dropped: list[str] = []

    def messages(self, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [self._message(message, f"messages[{index}]") for index, message in enumerate(given)]

    def tools(self, given: Any) -> Any:
        return self._elements(given, "tools", _TOOL, _IN_TOOL)

    def _message(self, given: dict[str, Any], where: str) -> dict[str, Any]:
        message = self._object(given, where, _MESSAGE)
        parts, calls = message.get("content"), message.get("tool_calls")
        if not isinstance(parts, list) and calls is None:
            return message
        message = dict(message)
        if isinstance(parts, list):
            message["content"] = self._elements(parts, f"{where}.content", _PART, _IN_PART)
        if calls is not None:
            message["tool_calls"] = self._elements(calls, f"{where}.tool_calls", _CALL, _IN_CALL)
        return message

    def _elements(self, given: Any, where: str, allowed: frozenset[str], inner: frozenset[str]) -> Any:
        """Filter each object of a list, and the objects in it. What is deeper is for the model."""
        if not isinstance(given, list):
            return given
        return [self._element(each, f"{where}[{index}]", allowed, inner) for index, each in enumerate(given)]

    def _element(self, given: Any, where: str, allowed: frozenset[str], inner: frozenset[str]) -> Any:
        if not isinstance(given, dict):
            return given
        sent = self._object(given, where, allowed)
        nested = [name for name, value in sent.items() if isinstance(value, dict)]
        if not nested:
            return sent
        return {**sent, **{name: self._object(sent[name], f"{where}.{name}", inner) for name in nested}}

    def _object(self, given: dict[str, Any], where: str, allowed: frozenset[str]) -> dict[str, Any]:
        if given.keys() <= allowed:
            return given
        sent = {}
        for name, value in given.items():
            if name in allowed or (self._everything and name not in NEVER_SENT):
                sent[name] = value
            elif value is not None:
                self.dropped.append(f"{where}.{name}")
        return sent
