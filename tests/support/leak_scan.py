"""What is left of a stack: a search through all of its bytes, and through what Temporal was told."""

import base64
import contextlib
import os
import subprocess
import zlib
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


LITERALS = 8
"""PostgreSQL's own compression puts a byte of its own before each eight that it keeps as they are."""
GZIP = b"\x1f\x8b\x08"


def spellings(*words: str | bytes, parts: bool = True) -> Mapping[str, bytes]:
    """Every way in which a random word may lie in a file, uncompressed or as a compressed value of PostgreSQL's.

    Without `parts`, for words of hexadecimal digits: eight of them are in many places.
    """
    forms: dict[str, bytes] = {}
    for number, word in enumerate(words):
        plain = word.encode() if isinstance(word, str) else word
        forms[f"{number} plain"] = plain
        forms[f"{number} hex"] = plain.hex().encode()
        forms[f"{number} HEX"] = plain.hex().upper().encode()
        if isinstance(word, str):
            forms[f"{number} UTF-16"] = word.encode("utf-16-le")[:-1]  # of either byte order
        if parts:
            forms |= {f"{number} part {at}": plain[at : at + LITERALS] for at in range(LITERALS)}
        for shift in range(3):  # base64 writes three bytes as four: a word begins at one of three places
            coded = base64.b64encode(b"\0" * shift + plain)
            inner = coded[4 if shift else 0 : len(coded) // 4 * 4 - 4]
            forms[f"{number} base64 {shift}"] = inner
            forms[f"{number} base64url {shift}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    return forms


def of(folder: Path, needles: Mapping[str, bytes]) -> list[str]:
    """Where any of them lies, in file names too."""
    finds, suspects = [], _suspects(folder, needles.values())
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        own_name = str(path.relative_to(folder)).encode()
        finds += [f"{path}: {name} in its name" for name, needle in needles.items() if needle in own_name]
        plain = (content,) if path in suspects or path.is_symlink() else ()
        finds += [f"{path}: {find}" for part in (*plain, *_unpacked(content)) for find in within(part, needles)]
    return finds


def _suspects(folder: Path, needles: Iterable[bytes]) -> set[Path]:
    """Files that have one of the needles, or a part of one: `grep` looks for all at once, but only within lines."""
    lines = {max(needle.split(b"\n"), key=len) for needle in needles}
    command = ["grep", "--recursive", "--text", "--files-with-matches", "--null", "--fixed-strings", "--file=-"]
    search = subprocess.run(
        [*command, str(folder)], input=b"\n".join(lines), capture_output=True, env={"LC_ALL": "C"}, check=False
    )
    assert search.returncode in (0, 1), search.stderr
    return {Path(os.fsdecode(name)) for name in search.stdout.split(b"\0") if name}


def within(content: bytes, needles: Mapping[str, bytes]) -> list[str]:
    places = {name: content.find(needle) for name, needle in needles.items()}
    return [
        f"{name} in {content[max(0, at - SHOWN) : at + len(needles[name]) + SHOWN]!r}"
        for name, at in places.items()
        if at >= 0
    ]


def _unpacked(content: bytes) -> Iterator[bytes]:
    """What lies in it compressed by gzip."""
    at = content.find(GZIP)
    while at >= 0:
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(content[at:])
        at = content.find(GZIP, at + 1)


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
