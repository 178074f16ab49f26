import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import UpstreamError
from providers.sse import MAX_EVENT, MAX_SILENT_BYTES, MAX_SILENT_LINES, Decoder, Failure


def decoded(stream: bytes, size: int = 1 << 20) -> list[bytes | Failure]:
    decoder = Decoder()
    parts = [stream[at : at + size] for at in range(0, len(stream), size)]
    return [data for part in parts for data in decoder.feed(part)] + list(decoder.end())


STREAMS = [
    (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
    (b"data:a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    (b": ping\n\ndata: a\n\n: ping\n\n", [b"a"]),
    (b"event: x\nid: 7\nretry: 5\ndata: a\n\n", [b"a"]),
    (b"data: a\ndata: b\n\n", [b"a\nb"]),
    (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    (b"\xef\xbb\xbf: hello\n\ndata: a\n\n", [b"a"]),
    (b"data: a\n\ndata: [DONE]", [b"a", b"[DONE]"]),
    (b"event: ping\n\n\n\n", []),
    (b"data:\n\ndata: \n\ndata: a\n\ndata\n\n", [b"a"]),
    (b"event: error\ndata: e\n\ndata: a\n\n", [Failure(b"e"), b"a"]),
    (b"event: error\n\ndata: a\n\n", [b"a"]),
    (b"event: error\nevent: message\ndata: a\n\n", [b"a"]),
    (b"\n\n\ndata: a", [b"a"]),
    (b"<html>no events</html>", []),
    (b"", []),
]


@pytest.mark.parametrize(("stream", "events"), STREAMS)
@pytest.mark.parametrize("size", [1 << 20, 1, 2, 3])
def test_events(stream: bytes, events: list[bytes | Failure], size: int) -> None:
    assert decoded(stream, size) == events


@given(st.lists(st.text(alphabet='ab é{}":,', min_size=1, max_size=20).map(str.encode), max_size=8), st.integers(1, 9))
def test_any_cutting_into_parts_gives_the_same_events(events: list[bytes], size: int) -> None:
    stream = b"".join(b"data: " + event + b"\n\n" for event in events)
    assert decoded(stream, size) == [event for event in events if event.strip()]


@pytest.mark.parametrize("size", [1 << 16, 1 << 22])
@pytest.mark.parametrize(
    "stream",
    [
        b"data: " + b"x" * MAX_EVENT + b"x",
        b"data: " + b"x" * MAX_EVENT + b"x\n\n",
        b"data: x\n" * (MAX_EVENT // 7),
        b": " + b"x" * MAX_EVENT + b"x",
        b":\n" * (MAX_SILENT_LINES + 1),
        b"\n" * (MAX_SILENT_LINES + 1),
        b"data: {}\n\n" * (MAX_SILENT_LINES + 1),
        (b": " + b"x" * 9_998 + b"\n") * (MAX_SILENT_BYTES // 10_000 + 1),
    ],
    ids=[
        "data",
        "whole data",
        "many lines of one event",
        "comment",
        "comments",
        "blank",
        "empty data",
        "long comments",
    ],
)
def test_what_has_no_end_is_cut(stream: bytes, size: int) -> None:
    with pytest.raises(UpstreamError):
        decoded(stream, size)


@pytest.mark.parametrize("before", [b"", b"data: a\n\n", b": ping\n\n", b"event: error\n\n"])
def test_a_part_that_is_one_whole_event(before: bytes) -> None:
    decoder = Decoder()
    list(decoder.feed(before))
    assert decoder.whole(b'data: {"a": 1}\n\n') == b'{"a": 1}'
    assert list(decoder.feed(b"data: b\n\n")) == [b"b"]


@pytest.mark.parametrize("before", [b"data: a\n", b"event: error\n", b"data: a", b": ping", b"data: a\n\r"])
def test_a_part_is_no_whole_event_within_another(before: bytes) -> None:
    decoder = Decoder()
    list(decoder.feed(before))
    assert decoder.whole(b'data: {"a": 1}\n\n') is None


PARTS = [
    b"",
    b"{",
    b"data: {}\n",
    b"data: {}\n\n\n",
    b"data: {\n}\n\n",
    b"data: {}\rdata: {}\n\n",
    b"data: a\n\n",
    b"data:{}\n\n",
]


@pytest.mark.parametrize("part", [*PARTS, b"data: {" + b"x" * MAX_EVENT + b"}\n\n"])
def test_what_is_not_one_line_of_an_object_is_for_feed(part: bytes) -> None:
    assert Decoder().whole(part) is None


def test_who_speaks_may_go_on_with_comments() -> None:
    decoder = Decoder()
    for _ in range(3):
        assert list(decoder.feed(b":\n" * (MAX_SILENT_LINES - 2) + b"data: a\n\n")) == [b"a"]
        decoder.spoken()


@pytest.mark.parametrize("tail", [b'{"error": {"code": 500}}\n', b'[{"error": {}}]\n', b'{\n  "error": 5\n}'])
def test_json_beside_the_events_is_a_failure(tail: bytes) -> None:
    decoder = Decoder()
    assert list(decoder.feed(b"data: a\n\n")) == [b"a"]
    with pytest.raises(UpstreamError):
        [*decoder.feed(tail), *decoder.end()]
