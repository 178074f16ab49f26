"""The bytes of an answer to a request for a stream: server-sent events, or all the same one JSON document."""

from collections.abc import Iterator

from domain.errors import UpstreamError
from providers import sse
from providers.base import Headers

MAX_DOCUMENT = 4 * 1024 * 1024
"""Bytes of a document. It is parsed on the event loop."""
BLANK = b" \t\r\n\xef\xbb\xbf"


def announced(headers: Headers) -> bool:
    """Tell whether an answer says that it is a stream of events. Some say something else, and are one."""
    return headers.get("content-type", "").strip().lower().startswith("text/event-stream")


class StreamedAnswer:
    """Takes bytes and gives the data of complete events. Its first byte that is not blank tells what the answer is.

    Raises `UpstreamError` for a document that is too large, and what `sse.Decoder` raises.
    """

    def __init__(
        self, events: sse.Decoder, max_document: int = MAX_DOCUMENT, begins: tuple[bytes, ...] = (b"{",)
    ) -> None:
        """`begins` has the first bytes of a document."""
        self.events = events
        self.is_stream = False
        """True when the answer has turned out to be events."""
        self._begun = False
        self._max_document = max_document
        self._begins = begins
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[bytes | sse.Failure]:
        if not self._begun and (first := data.lstrip(BLANK)[:1]):
            self._begun = True
            self.is_stream = first not in self._begins
        if self._begun and not self.is_stream:
            self._collect(data)
        else:
            yield from self.events.feed(data)

    def document(self) -> bytes | None:
        """Return the document, at its end. None: the answer is events."""
        return b"".join(self._parts).lstrip(BLANK) if self._parts else None

    def _collect(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._max_document:
            raise UpstreamError
        self._parts.append(data)
