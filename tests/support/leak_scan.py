"""What is left of a stack: a search through all of its bytes, and through what Temporal was told."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, SearchAttributes
from temporalio.api.history.v1 import MarkerRecordedEventAttributes

PATCH = "core_patch"
"""The marker in which the SDK notes, itself and in plain JSON, which of our `workflow.patched` ids it has passed."""
SHOWN = 40
"""Bytes around a find that are told, so that one sees what it is."""


def spellings(*words: str) -> Mapping[str, bytes]:
    """Every way in which a word may lie in a file, compressed ones excepted: random words do not compress."""
    forms: dict[str, bytes] = {}
    for number, word in enumerate(words):
        plain = word.encode()
        forms[f"{number} plain"] = plain
        forms[f"{number} hex"] = plain.hex().encode()
        forms[f"{number} HEX"] = plain.hex().upper().encode()
        forms[f"{number} UTF-16"] = word.encode("utf-16-le")
        for shift in range(3):  # base64 writes three bytes as four: a word begins at one of three places
            coded = base64.b64encode(b"\0" * shift + plain)
            inner = coded[4 if shift else 0 : len(coded) // 4 * 4 - 4]
            forms[f"{number} base64 {shift}"] = inner
            forms[f"{number} base64url {shift}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    return forms


def of(folder: Path, needles: Mapping[str, bytes]) -> list[str]:
    """Where any of them lies, in file names too."""
    finds = []
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        for name, needle in needles.items():
            if needle in str(path.relative_to(folder)).encode():
                finds.append(f"{path}: {name} in its name")
            if (at := content.find(needle)) >= 0:
                finds.append(f"{path}: {name} in {content[max(0, at - SHOWN) : at + len(needle) + SHOWN]!r}")
    return finds


def payloads(part: Any) -> Iterator[Payload]:
    """Every payload in a message or several, but for what is in the open on purpose."""
    if _in_the_open(part):
        return
    if isinstance(part, Payload):
        yield part
    elif isinstance(part, Message):
        for _, value in part.ListFields():
            yield from payloads(value)
    elif isinstance(part, Mapping):
        yield from payloads(part.values())
    elif isinstance(part, Iterable) and not isinstance(part, str | bytes):
        for value in part:
            yield from payloads(value)


def _in_the_open(part: Any) -> bool:
    """Search attributes, which operators filter by, and patches."""
    if isinstance(part, MarkerRecordedEventAttributes):
        return part.marker_name == PATCH
    return isinstance(part, SearchAttributes)
