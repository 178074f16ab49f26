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
    found: dict[str, bytes] = {}
    for number, word in enumerate(words):
        plain = word.encode()
        found[f"{number} plain"] = plain
        found[f"{number} hex"] = plain.hex().encode()
        found[f"{number} HEX"] = plain.hex().upper().encode()
        found[f"{number} UTF-16"] = word.encode("utf-16-le")
        for shift in range(3):  # base64 writes three bytes as four: a word begins at one of three places
            coded = base64.b64encode(b"\0" * shift + plain)
            inner = coded[4 if shift else 0 : len(coded) // 4 * 4 - 4]
            found[f"{number} base64 {shift}"] = inner
            found[f"{number} base64url {shift}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    return found


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


def payloads(found: Any) -> Iterator[Payload]:
    """Every payload in a message or several, but for what is in the open on purpose."""
    if _in_the_open(found):
        return
    if isinstance(found, Payload):
        yield found
    elif isinstance(found, Message):
        for _, value in found.ListFields():
            yield from payloads(value)
    elif isinstance(found, Mapping):
        yield from payloads(found.values())
    elif isinstance(found, Iterable) and not isinstance(found, str | bytes):
        for value in found:
            yield from payloads(value)


def _in_the_open(found: Any) -> bool:
    """Search attributes, which operators filter by, and patches."""
    if isinstance(found, MarkerRecordedEventAttributes):
        return found.marker_name == PATCH
    return isinstance(found, SearchAttributes)
