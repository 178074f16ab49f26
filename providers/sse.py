"""Server-sent events, as far as model providers use them: `data:` lines, comments, CRLF, a BOM."""

from collections.abc import AsyncIterator, Iterator

from domain.errors import UpstreamError

LARGEST_EVENT = 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class Decoder:
    """Bytes in, the data of whole events out. Raises `UpstreamError` on an event above 1 MiB."""

    def __init__(self) -> None:
        self._pending = b""
        self._data: list[bytes] = []
        self._size = 0
        self._begun = False

    def feed(self, part: bytes) -> Iterator[bytes]:
        self._pending += part
        if not self._begun and len(self._pending) >= len(_BOM):
            self._pending, self._begun = self._pending.removeprefix(_BOM), True
        *lines, self._pending = self._pending.split(b"\n")
        for line in lines:
            yield from self._line(line.rstrip(b"\r"))
        if self._size + len(self._pending) > LARGEST_EVENT:
            raise UpstreamError

    def end(self) -> Iterator[bytes]:
        """The event that the stream left unfinished, if any."""
        yield from self._line(self._pending.rstrip(b"\r"))
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[bytes]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._size += len(line)
        elif not line and self._data:
            data, self._data, self._size = self._data, [], 0
            yield b"\n".join(data)


async def events(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    decoder = Decoder()
    async for part in parts:
        for data in decoder.feed(part):
            yield data
    for data in decoder.end():
        yield data
