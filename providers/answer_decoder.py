"""What the decoders of all wires share: an answer is accepted once, ends once, and may be a document after all."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

from providers import sse
from providers.base import Accepted, ChatCall, Headers, ProviderEvent
from providers.streamed_answer import StreamedAnswer, announced

MAX_VALUES = 50_000
"""The most JSON values in one event."""


class AnswerDecoder(ABC):
    """Implements `providers.base.StreamDecoder`, but for what the events of a wire mean."""

    def __init__(self, call: ChatCall, source: StreamedAnswer | None = None) -> None:
        self._call = call
        self._source = source or StreamedAnswer(sse.Decoder())
        self._events = self._source.events
        self._accepted = False
        self._done = False
        """True when `Done` was given: nothing after it is read."""

    def begin(self, headers: Headers) -> Iterable[ProviderEvent]:
        return tuple(self._accept()) if announced(headers) else ()

    def feed(self, data: bytes) -> Iterable[ProviderEvent]:
        if not self._done:
            yield from self._read(self._source.feed(data))

    def eof(self) -> Iterator[ProviderEvent]:
        if self._done:
            return
        if (document := self._source.document()) is not None:
            yield from self._document(document)
        else:
            yield from self._read(self._events.end())
        if not self._done:
            yield from self._at_eof()

    @abstractmethod
    def _read(self, events: Iterable[bytes | sse.Failure]) -> Iterator[ProviderEvent]:
        """Read complete events, up to the one that ends the answer."""

    @abstractmethod
    def _document(self, document: bytes) -> Iterator[ProviderEvent]:
        """Read an answer that is one JSON document, although a stream was requested."""

    @abstractmethod
    def _at_eof(self) -> Iterator[ProviderEvent]:
        """Give the end of an answer that no event has ended. Raises `UpstreamError` if it was cut off."""

    def _accept(self) -> Iterator[ProviderEvent]:
        if not self._accepted:
            self._accepted = True
            yield Accepted()
