"""Links to outputs: only what we signed, exactly as we signed it, until it expires."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import LinkInvalid
from domain.secrets import DerivedKeys
from domain.signed_urls import SignedUrls
from storage import sniff

NOW = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
KEY = "0f" * 16 + "/" + "a1" * 16 + "/0.png"
SECRET = b"s" * 32
URLS = SignedUrls(DerivedKeys(SECRET), "https://yout.example/", timedelta(hours=1))


def signed(urls: SignedUrls = URLS, key: str = KEY) -> tuple[str, str]:
    query = parse_qs(urlsplit(urls.url(key, NOW)[0]).query)
    return query["exp"][0], query["sig"][0]


def test_a_link_leads_to_its_object_until_it_expires() -> None:
    link, expires_at = URLS.url(KEY, NOW)
    exp, sig = signed()

    assert link == f"https://yout.example/media/{KEY}?exp={exp}&sig={sig}"
    assert expires_at == datetime(2026, 1, 2, 4, 4, 5, tzinfo=UTC) == datetime.fromtimestamp(int(exp), UTC)
    assert len(base64.urlsafe_b64decode(sig + "=")) == 32
    for moment in (NOW, expires_at - timedelta(microseconds=1)):
        assert URLS.check(KEY, exp, sig, moment) == expires_at


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(days=9999)])
def test_an_expired_link_is_refused(late: timedelta) -> None:
    _, expires_at = URLS.url(KEY, NOW)
    with pytest.raises(LinkInvalid):
        URLS.check(KEY, *signed(), expires_at + late)


@pytest.mark.parametrize("at", range(43))
def test_a_signature_is_refused_when_any_character_of_it_is_another(at: int) -> None:
    exp, sig = signed()
    for other in "Ab0_":
        if other != sig[at]:
            with pytest.raises(LinkInvalid):
                URLS.check(KEY, exp, sig[:at] + other + sig[at + 1 :], NOW)


@pytest.mark.parametrize("exp", ["", "0", "-1", "1e30", "9" * 30, " 1", "+1", "1_0", "0x10", "None", "٣" * 10])
def test_an_expiry_that_is_no_plain_number_is_refused(exp: str) -> None:
    with pytest.raises(LinkInvalid):
        URLS.check(KEY, exp, signed()[1], NOW)


def test_a_later_expiry_or_another_object_needs_another_signature() -> None:
    exp, sig = signed()
    for key, expiry in ((KEY, str(int(exp) + 1)), (KEY, f"0{exp}"), (KEY.replace("0.png", "1.png"), exp), ("", exp)):
        with pytest.raises(LinkInvalid):
            URLS.check(key, expiry, sig, NOW)


@given(st.text(max_size=60), st.text(max_size=12), st.text(max_size=50))
def test_nothing_made_up_is_let_through(key: str, exp: str, sig: str) -> None:
    with pytest.raises(LinkInvalid):
        URLS.check(key, exp, sig, NOW)


def test_no_field_can_be_moved_into_another() -> None:
    exp, sig = signed(key="a\n1893456000")
    for key in ("a", "a\n1893456000\n"):
        with pytest.raises(LinkInvalid):
            URLS.check(key, exp, sig, NOW)


def test_the_signed_string_is_this_one() -> None:
    exp, sig = signed()
    digest = hmac.new(SECRET, f"m1\nGET\n{KEY}\n{exp}".encode(), hashlib.sha256).digest()
    assert sig == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_links_outlive_the_secret_that_signed_them() -> None:
    old = signed()
    rotated = SignedUrls(DerivedKeys(b"n" * 32, (b"x" * 32, SECRET)), "https://yout.example", timedelta(hours=1))
    assert rotated.check(KEY, *old, NOW)
    assert rotated.check(KEY, *signed(rotated), NOW)
    assert signed(rotated) != old
    with pytest.raises(LinkInvalid):
        SignedUrls(DerivedKeys(b"n" * 32), "https://yout.example", timedelta(hours=1)).check(KEY, *old, NOW)


def test_a_key_is_quoted_in_its_link() -> None:
    link, _ = URLS.url("a b/ü?#.png", NOW)
    assert urlsplit(link).path == "/media/a%20b/%C3%BC%3F%23.png"


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"GIF89a", "image/gif"),
        (b"\0\0\0\x20ftypisom\0\0\x02\0", "video/mp4"),
        (b"\0\0\0\x18ftypmp42", "video/mp4"),
        (b"\0\0\0\x1cftypM4A ", "audio/mp4"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm", "video/webm"),
        (b"ID3\x04\0\0", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"\xff\xf3\x40\xc4", "audio/mpeg"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"OggS\0\x02", "audio/ogg"),
        (b"fLaC\0\0\0\x22", "audio/flac"),
        (b"\xff\xf1\x58\x40", "audio/aac"),
        (b"\0\0\0\x14ftypqt  ", None),
        (b"\0\0\0\x1cftypheic", None),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x88matroska", None),
        (b"<!DOCTYPE html>", None),
        (b"<svg xmlns=", None),
        (b"<html>\x89PNG\r\n\x1a\n", None),
        (b"%PDF-1.7", None),
        (b"{}", None),
        (b"\xff\xff\xff\xff", None),
        (b"", None),
    ],
)
def test_a_file_is_known_by_its_first_bytes(first: bytes, expected: str | None) -> None:
    assert sniff.content_type(first) == expected
    assert sniff.content_type(first + b"\0" * sniff.FIRST) == expected
