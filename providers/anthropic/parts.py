"""Turns the content parts of OpenAI's messages into Anthropic's blocks: text, images, documents.

`where` is the place of a part in the request, such as `messages[0].content[1]`: an error names it.
"""

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from typing import Any

from domain.errors import RequestInvalid

_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.+=-]+)*?;base64")
_MAX_HEAD = 256
"""Characters of a `data:` URI before its data, which may be of megabytes: no pattern is tried on those."""
_IMAGE_TYPES = {
    "image/jpg": "image/jpeg",
    **{f"image/{name}": f"image/{name}" for name in ("jpeg", "png", "gif", "webp")},
}
_PDF = "application/pdf"
_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/x-yaml")
_LIFETIMES = ("5m", "1h")
TEXT_KINDS = frozenset({"text", "input_text", "output_text", "refusal"})


def invalid(where: str, why: str, code: str = "invalid_value") -> RequestInvalid:
    return RequestInvalid(f"'{where}' {why}", param=where, code=code)


def blocks(content: object, where: str, passes: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the blocks of a message's content. Empty text gives none: Anthropic refuses an empty block."""
    if isinstance(content, str):
        return [text_block(content)] if content.strip() else []
    if content is None:
        return []
    if not isinstance(content, list):
        raise invalid(where, "must be a string or an array.", "invalid_type")
    result = []
    for index, part in enumerate(content):
        if isinstance(part, Mapping) and (block := _block(part, f"{where}[{index}]", passes)) is not None:
            result.append(marked(block, part.get("cache_control")))
    return result


def text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def marked(block: dict[str, Any], control: object) -> dict[str, Any]:
    """Return the block with the mark that its caller gave it: the input up to it is written into the cache."""
    mark = cache_control(control)
    return block if mark is None else {**block, "cache_control": mark}


def cache_control(control: object) -> dict[str, Any] | None:
    if not isinstance(control, Mapping) or control.get("type") != "ephemeral":
        return None
    lifetime = control.get("ttl")
    return {"type": "ephemeral", "ttl": lifetime} if lifetime in _LIFETIMES else {"type": "ephemeral"}


def _block(part: Mapping[str, Any], where: str, passes: Collection[str]) -> dict[str, Any] | None:
    kind = part.get("type")
    if kind in TEXT_KINDS:
        text = part.get("refusal" if kind == "refusal" and "refusal" in part else "text")
        if not isinstance(text, str):
            raise invalid(f"{where}.text", "must be a string.", "invalid_type")
        return text_block(text) if text.strip() else None
    if kind == "image_url":
        return {"type": "image", "source": _image_source(_url(part.get(kind), where), where)}
    if kind == "file":
        return _document(part.get("file"), where)
    if kind == "document_url":
        return _document({"file_data": _url(part.get(kind), where), "filename": part.get("document_name")}, where)
    if kind in ("thinking", "redacted_thinking", "reasoning"):
        return None  # `reasoning.blocks` reads them
    if isinstance(kind, str) and (kind in passes or "*" in passes):
        return {name: value for name, value in part.items() if name != "cache_control"}
    raise invalid(where, "is of a type that the provider of this model does not take.")


def _url(given: object, where: str) -> str:
    url = given.get("url") if isinstance(given, Mapping) else given
    if not isinstance(url, str):
        raise invalid(where, "must have a 'url'.", "invalid_type")
    return url


def _image_source(url: str, where: str) -> dict[str, Any]:
    if url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    kind, data = _carried(url, where)
    if kind not in _IMAGE_TYPES:
        raise invalid(where, "is an image of a type that the provider of this model does not take.")
    return {"type": "base64", "media_type": _IMAGE_TYPES[kind], "data": data}


def _document(file: object, where: str) -> dict[str, Any]:
    if not isinstance(file, Mapping):
        raise invalid(f"{where}.file", "must be an object.", "invalid_type")
    data, name = file.get("file_data"), file.get("filename")
    if not isinstance(data, str):
        raise invalid(where, "must have 'file_data': the provider of this model cannot read a file by its id.")
    title = {"title": name[:500]} if isinstance(name, str) and name else {}
    return {"type": "document", "source": _document_source(data, name, where), **title}


def _document_source(data: str, name: object, where: str) -> dict[str, Any]:
    if data.startswith(("https://", "http://")):
        return {"type": "url", "url": data}
    if not data.startswith("data:"):  # base64 alone, as some clients send it
        data = (
            f"data:{_PDF if not isinstance(name, str) or name.lower().endswith('.pdf') else 'text/plain'};base64,{data}"
        )
    kind, encoded = _carried(data, where)
    if kind == _PDF:
        return {"type": "base64", "media_type": _PDF, "data": encoded}
    if not kind.startswith(_TEXT_TYPES):
        raise invalid(where, "is a file of a type that the provider of this model does not take.")
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise invalid(where, "is no text in UTF-8.") from None
    if not text.strip():
        raise invalid(where, "is an empty file.")
    return {"type": "text", "media_type": "text/plain", "data": text}


def _carried(uri: str, where: str) -> tuple[str, str]:
    """Return the media type of a `data:` URI and its base64. Raises `RequestInvalid` if it is none."""
    head, comma, data = uri[:_MAX_HEAD].partition(",")
    match = _DATA_URI.fullmatch(head)
    if match is None or not comma or not (data := uri[len(head) + 1 :]):
        raise invalid(where, "must have an https URL, or a data: URI with base64.")
    if "\n" in data or " " in data:
        data = "".join(data.split())
    return (match[1] or "text/plain").lower(), data.replace("-", "+").replace("_", "/")
