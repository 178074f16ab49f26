import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import UpstreamError
from providers.sse import LARGEST_EVENT, Decoder


def decoded(stream: bytes, size: int = 1 << 20) -> list[bytes]:
    decoder = Decoder()
    parts = [stream[at : at + size] for at in range(0, len(stream), size)]
    return [data for part in parts for data in decoder.feed(part)] + list(decoder.end())


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data:a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b": ping\n\ndata: a\n\n: ping\n\n", [b"a"]),
        (b"event: x\nid: 7\nretry: 5\ndata: a\n\n", [b"a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\n\ndata: [DONE]", [b"a", b"[DONE]"]),
        (b"event: ping\n\n\n\n", []),
        (b"", []),
    ],
)
def test_events(stream: bytes, events: list[bytes]) -> None:
    assert decoded(stream) == events


@given(st.lists(st.text(alphabet='ab é{}":,', max_size=20).map(str.encode), max_size=8), st.integers(1, 9))
def test_any_cutting_into_parts_gives_the_same_events(events: list[bytes], size: int) -> None:
    stream = b"".join(b"data: " + event + b"\n\n" for event in events)
    assert decoded(stream, size) == events


def test_an_endless_event_is_cut() -> None:
    decoder = Decoder()
    with pytest.raises(UpstreamError):
        list(decoder.feed(b"data: " + b"x" * LARGEST_EVENT + b"x"))
