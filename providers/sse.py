"""Decodes server-sent events as model providers send them: `data:`, `event: error`, comments, any line end, a BOM.

Comments and lines without data are bounded too: they cost time, and a provider that sends nothing else is broken.
"""

from collections.abc import Iterator
from dataclasses import field

from domain.errors import UpstreamError
from domain.records import record

MAX_EVENT = 1024 * 1024
MAX_SILENT_LINES = 50_000
"""Lines since `spoken` was last called."""
MAX_SILENT_BYTES = 4 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


@record
class Failure:
    """The data of an `event: error`."""

    data: bytes = field(repr=False)


class Decoder:
    """Takes bytes and gives the data of complete events.

    Raises `UpstreamError` for an event that is too large, and for too many bytes or lines without `spoken`. An event
    with blank data is dropped. Data at the end of the stream is an event, even without an empty line after it.
    """

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        """`max_event` is the most bytes of one event, for answers with images in them."""
        self._max = max_event
        self._parts: list[bytes] = []
        """The parts of a line that has not ended."""
        self._pending = 0
        self._data: list[bytes] = []
        self._size = 0
        self._is_error = False
        self._begun = False
        self._ends_with_cr = False
        self._between = True
        """True while nothing of the next event has been read."""
        self._silent_lines = 0
        self._silent_bytes = 0

    def whole(self, part: bytes) -> bytes | None:
        """Return the data if the part is exactly one event of one line, as most are. Otherwise None: call `feed`."""
        end = len(part) - 2
        if not self._between or part[:7] != b"data: {" or part[end:] != b"\n\n" or end > self._max:
            return None
        if part.find(b"\n") != end or b"\r" in part:
            return None
        self._begun = True
        return part[6:end]

    def feed(self, part: bytes) -> Iterator[bytes | Failure]:
        if self._ends_with_cr or b"\r" in part:
            part = self._with_newlines(part)
        self._between = False
        if b"\n" in part:
            yield from self._lines(part)
        else:
            self._keep(part)
        self._between = not (self._pending or self._data or self._is_error or self._ends_with_cr)

    def _lines(self, part: bytes) -> Iterator[bytes | Failure]:
        if self._parts:
            self._parts.append(part)
            part = b"".join(self._parts)
            self._parts.clear()
        *lines, rest = part.split(b"\n")
        self._pending = 0
        for line in lines:
            if line[:5] == b"data:":
                self._add(line)
            elif line or not (self._data or self._is_error):
                self._other(line)
            else:
                yield from self._event()
        if rest:
            self._keep(rest)

    def end(self) -> Iterator[bytes | Failure]:
        """Give the event that the stream left unfinished, if there is one."""
        yield from self.feed(b"\n\n")

    def spoken(self) -> None:
        """Reset the bounds: the last event had content."""
        self._silent_lines = self._silent_bytes = 0

    def _with_newlines(self, part: bytes) -> bytes:
        """Make every line end one newline, also when a CRLF is cut in two."""
        if not part:
            return part
        if self._ends_with_cr and part[:1] == b"\n":
            part = part[1:]
        self._ends_with_cr = part[-1:] == b"\r"
        return part.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _keep(self, part: bytes) -> None:
        self._parts.append(part)
        self._pending += len(part)
        if self._size + self._pending > self._max:
            raise UpstreamError

    def _add(self, line: bytes) -> None:
        data = line[6:] if line[5:6] == b" " else line[5:]
        self._begun = True
        self._size += len(line)
        if self._size > self._max:
            raise UpstreamError
        self._data.append(data)
        self.silent(len(line))

    def _event(self) -> Iterator[bytes | Failure]:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        is_error = self._is_error
        self._data, self._size, self._is_error = [], 0, False
        if data and not data.isspace():
            yield Failure(data) if is_error else data

    def _other(self, line: bytes) -> None:
        """Read a line that is not data: a comment or another field. Raises `UpstreamError` for plain JSON."""
        if not self._begun:
            self._begun = True
            if line.startswith(_BOM):
                line = line[3:]
                if line[:5] == b"data:":
                    self._add(line)
                    return
        if line[:1] in (b"{", b"["):  # a failure that is written as plain JSON after the events
            raise UpstreamError
        if line[:6] == b"event:":
            self._is_error = line[6:].strip() == b"error"
        self.silent(len(line))

    def silent(self, size: int) -> None:
        """Count a line of `size` bytes that is not known to have content. Raises `UpstreamError` above the bounds."""
        self._silent_lines += 1
        self._silent_bytes += size
        if self._silent_lines > MAX_SILENT_LINES or self._silent_bytes > max(MAX_SILENT_BYTES, self._max):
            raise UpstreamError
