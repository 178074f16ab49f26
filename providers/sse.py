"""Server-sent events, as far as model providers use them: `data:` lines, `event: error`, comments, any line end, a BOM.

What is between the events is bounded too: comments and lines that say nothing cost time, and a provider that sends
nothing else is broken.
"""

from collections.abc import Iterator

from domain.errors import UpstreamError
from domain.records import record

MAX_EVENT = 1024 * 1024
MAX_SILENT_LINES = 50_000
"""Lines without data since `spoken` was last called."""
MAX_SILENT_BYTES = 4 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


@record
class Failure:
    """The data of an `event: error`."""

    data: bytes


class Decoder:
    """Bytes in, the data of whole events out. Raises `UpstreamError` for too large an event, and too much of nothing.

    Empty data is no event. Data that nothing follows is an event all the same.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        """Of a line that has not ended."""
        self._pending = 0
        self._data: list[bytes] = []
        self._size = 0
        self._is_error = False
        self._begun = False
        self._ends_with_cr = False
        self._between = True
        """Nothing has been read of the next event."""
        self._silent_lines = 0
        self._silent_bytes = 0

    def whole(self, part: bytes) -> bytes | None:
        """The data of an event that is one line and the whole part, as most are. None: `feed` has to look."""
        end = len(part) - 2
        if not self._between or part[:7] != b"data: {" or part[end:] != b"\n\n" or end > MAX_EVENT:
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
        """The event that the stream left unfinished, if any."""
        yield from self.feed(b"\n\n")

    def spoken(self) -> None:
        """What was read last said something: more silence is borne."""
        self._silent_lines = self._silent_bytes = 0

    def _with_newlines(self, part: bytes) -> bytes:
        """Every line end as one newline, wherever a CRLF is cut."""
        if not part:
            return part
        if self._ends_with_cr and part[:1] == b"\n":
            part = part[1:]
        self._ends_with_cr = part[-1:] == b"\r"
        return part.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _keep(self, part: bytes) -> None:
        self._parts.append(part)
        self._pending += len(part)
        if self._size + self._pending > MAX_EVENT:
            raise UpstreamError

    def _add(self, line: bytes) -> None:
        data = line[6:] if line[5:6] == b" " else line[5:]
        self._begun = True
        self._size += len(line)
        if self._size > MAX_EVENT:
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
        """A comment, another field, or no event stream at all."""
        if not self._begun:
            self._begun = True
            if line.startswith(_BOM):
                line = line[3:]
                if line[:5] == b"data:":
                    self._add(line)
                    return
        if line[:1] in (b"{", b"["):  # a failure, written after the events as plain JSON
            raise UpstreamError
        if line[:6] == b"event:":
            self._is_error = line[6:].strip() == b"error"
        self.silent(len(line))

    def silent(self, size: int) -> None:
        """A line of so many bytes says nothing that is known yet."""
        self._silent_lines += 1
        self._silent_bytes += size
        if self._silent_lines > MAX_SILENT_LINES or self._silent_bytes > MAX_SILENT_BYTES:
            raise UpstreamError
