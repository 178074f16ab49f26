import pytest

from domain.errors import UpstreamError
from providers import sse
from providers.streamed_answer import StreamedAnswer, announced

EVENTS = b'data: {"a":1}\n\ndata: {"b":2}\n\n'
DOCUMENT = b'\xef\xbb\xbf \r\n{"a": "data: 1\\n\\n"}'


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_events_are_given_and_a_document_is_collected(size: int) -> None:
    events = StreamedAnswer(sse.Decoder())
    assert [event for part in cut(EVENTS, size) for event in events.feed(part)] == [b'{"a":1}', b'{"b":2}']
    assert events.is_stream
    assert events.document() is None

    document = StreamedAnswer(sse.Decoder())
    assert [event for part in cut(DOCUMENT, size) for event in document.feed(part)] == []
    assert not document.is_stream
    assert document.document() == b'{"a": "data: 1\\n\\n"}'


def test_an_array_is_a_document_where_it_may_be_one() -> None:
    answer = StreamedAnswer(sse.Decoder(), begins=(b"{", b"["))
    assert list(answer.feed(b"[1]")) == []
    assert answer.document() == b"[1]"
    with pytest.raises(UpstreamError):
        list(StreamedAnswer(sse.Decoder()).feed(b"[1]\n"))


def test_a_document_has_a_bound() -> None:
    answer = StreamedAnswer(sse.Decoder(), max_document=3)
    list(answer.feed(b"{"))
    with pytest.raises(UpstreamError):
        list(answer.feed(b"   "))


@pytest.mark.parametrize(
    ("content_type", "is_announced"),
    [(" Text/Event-Stream; charset=utf-8", True), ("application/json", False), (None, False)],
)
def test_what_the_headers_say(content_type: str | None, is_announced: bool) -> None:
    assert announced({} if content_type is None else {"content-type": content_type}) is is_announced
