"""Files of which a provider gives the address: found in its output, whatever the shape of that is."""

import mimetypes
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from domain.errors import UpstreamError, UpstreamGone
from domain.records import record
from providers.base import OutputFile
from providers.media_http import MediaHttp

MAX_FILES = 64
"""Of one output. What is behind them is not looked at."""
MAX_DEPTH = 4
OCTETS = "application/octet-stream"
GONE = (404, 410)


@record
class RemoteFile:
    url: str = field(repr=False)
    content_type: str = OCTETS
    width: int | None = None
    height: int | None = None

    @property
    def extension(self) -> str:
        """Return what a file of its type is called, or what its address ends in."""
        guessed = mimetypes.guess_extension(self.content_type) if self.content_type != OCTETS else None
        return (guessed or PurePosixPath(urlsplit(self.url).path).suffix.lower() or ".bin")[1:9]


async def opened(http: MediaHttp, files: Sequence[RemoteFile]) -> AsyncIterator[OutputFile]:
    """Open the files one by one. One that is gone is left out. Raises `UpstreamGone` if none can be had."""
    count = 0
    for file in files:
        try:
            download = await http.download(file.url)
        except UpstreamError as error:
            if error.status in GONE:
                continue
            if error.not_accepted and not error.unreached:  # not an address where we read files
                raise UpstreamGone from None
            raise
        count += 1
        yield OutputFile(file.content_type, file.extension, download.chunks, file.width, file.height)
    if not count:
        raise UpstreamGone


def of(value: Any) -> list[RemoteFile]:
    """Return the files of an address, of an object with `url`, or of lists and objects of them, in their order."""
    files: list[RemoteFile] = []
    for file in _walked(value, MAX_DEPTH):
        if len(files) == MAX_FILES:
            break
        files.append(file)
    return files


def _walked(value: Any, depth: int) -> Iterator[RemoteFile]:
    if isinstance(value, str):
        if value.startswith(("https://", "http://")):
            yield RemoteFile(value, mimetypes.guess_type(urlsplit(value).path)[0] or OCTETS)
    elif isinstance(value, Mapping) and isinstance(value.get("url"), str):
        yield from _described(value)
    elif depth and isinstance(value, Mapping):
        yield from (file for part in value.values() for file in _walked(part, depth - 1))
    elif depth and isinstance(value, Sequence):
        yield from (file for part in value for file in _walked(part, depth - 1))


def _described(value: Mapping[str, Any]) -> Iterator[RemoteFile]:
    for plain in _walked(value["url"], 0):
        content_type = value.get("content_type")
        yield RemoteFile(
            plain.url,
            content_type if isinstance(content_type, str) else plain.content_type,
            _pixels(value.get("width")),
            _pixels(value.get("height")),
        )


def _pixels(value: Any) -> int | None:
    return value if isinstance(value, int) and 0 < value < 100_000 else None
