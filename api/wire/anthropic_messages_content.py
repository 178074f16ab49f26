"""Translates content blocks of Anthropic's Messages into parts of OpenAI's messages."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from api.wire import values

IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
PARTS = frozenset({"text", "image", "document", "search_result"})
"""Blocks that become parts: of a message of the user, or of the result of a tool."""
_TTL = frozenset({"5m", "1h"})
_SOURCES = {
    "image": frozenset({"base64", "url"}),
    "document": frozenset({"base64", "url", "text", "content"}),
}


def listed(content: Any, at: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each block with its place. A text is one block, whose place is that of the text."""
    if isinstance(content, str):
        yield {"type": "text", "text": content}, at
        return
    for index, block in enumerate(values.typed(content, at, str, list)):
        where = values.place(at, index)
        values.required(values.typed(block, where, dict), "type", where, str)
        yield block, where


def parts(block: Mapping[str, Any], at: str, taken: Collection[str] = PARTS) -> list[dict[str, Any]]:
    """Translate a block. Raises `RequestInvalid` for one of another type than those that are taken here."""
    kind = block["type"]
    if kind not in taken:
        raise values.invalid(values.place(at, "type"), f"must be {values.one_of(taken)}")
    return _TRANSLATIONS[kind](block, at)


def plain(translated: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Return content as text where it is a single text: some servers take no parts."""
    match translated:
        case []:
            return ""
        case [{"type": "text", "text": str() as text, **rest}] if not rest:
            return text
    return translated


def cache_control(block: Mapping[str, Any], at: str) -> dict[str, Any]:
    """Return the cache marker of a block, as a field to add."""
    marker = values.optional(block, "cache_control", at, dict)
    if marker is None:
        return {}
    where = values.place(at, "cache_control")
    values.word(marker, "type", where, ("ephemeral",))
    if marker.get("ttl") is not None:
        values.word(marker, "ttl", where, _TTL)
    return {"cache_control": marker}


def _text(block: Mapping[str, Any], at: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": values.required(block, "text", at, str), **cache_control(block, at)}]


def _image(block: Mapping[str, Any], at: str) -> list[dict[str, Any]]:
    kind, source, where = _source(block, at)
    if kind == "url":
        url = values.text(source, "url", where)
    else:
        url = _data_url(values.word(source, "media_type", where, IMAGES), source, where)
    return [{"type": "image_url", "image_url": {"url": url}, **cache_control(block, at)}]


def _document(block: Mapping[str, Any], at: str) -> list[dict[str, Any]]:
    kind, source, where = _source(block, at)
    title, context = values.optional(block, "title", at, str), values.optional(block, "context", at, str)
    marker = cache_control(block, at)
    heading = [text for text in (title, context) if text]
    if kind == "text":
        return [
            {"type": "text", "text": "\n\n".join([*heading, values.required(source, "data", where, str)]), **marker}
        ]
    if kind == "content":
        inner = values.place(where, "content")
        blocks = listed(source.get("content"), inner)
        within = [part for block, place in blocks for part in parts(block, place, ("text", "image"))]
        return [*({"type": "text", "text": text} for text in heading), *within]
    before: list[dict[str, Any]] = [{"type": "text", "text": context}] if context else []
    if kind == "url":
        return [*before, {"type": "document_url", "document_url": values.text(source, "url", where), **marker}]
    data = _data_url(values.word(source, "media_type", where, ("application/pdf",)), source, where)
    return [*before, {"type": "file", "file": {"filename": title or "document.pdf", "file_data": data}, **marker}]


def _search_result(block: Mapping[str, Any], at: str) -> list[dict[str, Any]]:
    heading = [values.required(block, name, at, str) for name in ("title", "source")]
    content, where = values.required(block, "content", at, list), values.place(at, "content")
    texts = [part["text"] for inner, place in listed(content, where) for part in parts(inner, place, ("text",))]
    return [{"type": "text", "text": "\n\n".join([*heading, *texts]), **cache_control(block, at)}]


_TRANSLATIONS = {"text": _text, "image": _image, "document": _document, "search_result": _search_result}


def _source(block: Mapping[str, Any], at: str) -> tuple[str, dict[str, Any], str]:
    """Return the kind of a source, the source and its place. A file of the Files API is not here."""
    source, where = values.required(block, "source", at, dict), values.place(at, "source")
    if source.get("type") == "file":
        raise values.invalid(where, "must be inline or a URL: this server keeps no files", "unsupported_parameter")
    return values.word(source, "type", where, _SOURCES[block["type"]]), source, where


def _data_url(media_type: str, source: Mapping[str, Any], at: str) -> str:
    return f"data:{media_type};base64,{values.text(source, 'data', at)}"
