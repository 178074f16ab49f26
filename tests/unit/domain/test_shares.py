"""What a shared page may contain, how it is named, and when it ends."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import RequestInvalid
from domain.shares import (
    SLUG_ENTROPY_BYTES,
    SLUG_LENGTH,
    Ending,
    Lifetimes,
    SharedMessage,
    is_link,
    messages_of,
    slug_hash,
    slug_of,
)

NOW = datetime(2026, 6, 28, tzinfo=UTC)
DAY = timedelta(days=1)


def test_a_slug_has_all_its_entropy() -> None:
    slugs = {slug_of(bytes([number]) * SLUG_ENTROPY_BYTES) for number in range(256)}
    assert len(slugs) == 256
    assert {len(slug) for slug in slugs} == {SLUG_LENGTH}
    assert 62**SLUG_LENGTH > 2**128
    with pytest.raises(ValueError, match="32 random bytes"):
        slug_of(b"short")
    assert len(slug_hash("\ud800")) == 32


@pytest.mark.parametrize(
    ("rule", "ending", "end"),
    [
        (Lifetimes(DAY, 9 * DAY), Ending(), NOW + DAY),
        (Lifetimes(DAY, 9 * DAY), Ending(after=9 * DAY), NOW + 9 * DAY),
        (Lifetimes(DAY, None), Ending(at=None, has_time=True), None),
        (Lifetimes(None, None), Ending(), None),
        (Lifetimes(DAY, None), Ending(after=999 * DAY), NOW + 999 * DAY),
    ],
)
def test_a_page_ends_in_time(rule: Lifetimes, ending: Ending, end: datetime | None) -> None:
    assert rule.end(NOW, ending) == end


@pytest.mark.parametrize(
    ("ending", "param"),
    [
        (Ending(after=10 * DAY), "expires_in"),
        (Ending(at=None, has_time=True), "expires_at"),
        (Ending(at=NOW, has_time=True), "expires_at"),
        (Ending(at=NOW + 10 * DAY, has_time=True), "expires_at"),
        (Ending(after=DAY, at=NOW + DAY, has_time=True), "expires_at"),
    ],
)
def test_a_page_lives_no_longer_than_it_may(ending: Ending, param: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        Lifetimes(DAY, 9 * DAY).end(NOW, ending)
    assert refused.value.param == param


def test_texts_and_links_are_read_and_the_rest_is_counted() -> None:
    parts = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "https://e.test/i.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "DATA:image/png;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "output_text", "text": "b"},
    ]
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}], "refusal": None}
    sent: list[dict[str, Any]] = [
        {"role": "user", "content": parts, "name": "Ann"},
        call,
        {"role": "assistant", "refusal": "no"},
    ]
    assert messages_of(sent, [None, None, "M"]) == [
        SharedMessage("user", "a\n\nb", None, ("https://e.test/i.png",), 2),
        SharedMessage("assistant", "no", "M"),
    ]


@pytest.mark.parametrize(
    "address",
    [
        "javascript:a",
        "//e.test",
        "/a",
        "https://",
        "http:///a",
        "https://a b",
        "https://a\n",
        "https://[",
        "HTTPS:a",
        "",
    ],
)
def test_only_an_address_of_the_web_is_a_link(address: str) -> None:
    assert not is_link(address)
    assert is_link("https://e.test/a?b=c#d")
    assert is_link("HTTP://E.TEST")
