"""What a file says of itself, for every type that a job may be given, and for bytes that are none."""

import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.media_files import ACCEPTED
from storage import facts
from tests.support.media_samples import SECONDS, film, picture, sound


@pytest.mark.parametrize(
    ("form", "content_type"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp"), ("GIF", "image/gif")],
)
def test_the_size_of_a_picture_is_read(form: str, content_type: str) -> None:
    known = facts.read(picture(320, 200, form))
    assert known is not None
    assert (known.content_type, known.width, known.height, known.seconds) == (content_type, 320, 200, None)


@pytest.mark.parametrize(
    ("container", "codec", "content_type"),
    [
        ("mp3", "libmp3lame", "audio/mpeg"),
        ("wav", "pcm_s16le", "audio/wav"),
        ("ogg", "libopus", "audio/ogg"),
        ("flac", "flac", "audio/flac"),
        ("ipod", "aac", "audio/mp4"),
    ],
)
def test_the_length_of_a_recording_is_read(container: str, codec: str, content_type: str) -> None:
    known = facts.read(sound(container, codec))
    assert known is not None
    assert known.content_type == content_type
    assert known.seconds == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize(("container", "content_type"), [("mp4", "video/mp4"), ("webm", "video/webm")])
def test_a_film_is_known_by_its_type(container: str, content_type: str) -> None:
    known = facts.read(film(container=container))
    assert known is not None
    assert known.content_type == content_type


@pytest.mark.parametrize("content", [b"", b"GIF", b"<svg/>", b"%PDF-1.7", b"\0" * 100, b"#!/bin/sh"])
def test_what_is_no_media_file_is_not_taken(content: bytes) -> None:
    assert facts.read(content) is None


SAMPLES = [picture(form="WEBP"), picture(), sound("mp3", "libmp3lame", 0.2), sound("ogg", "libopus", 0.2), film(0.2)]


@given(sample=st.sampled_from(SAMPLES), cut=st.floats(0, 1), noise=st.binary(max_size=40), at=st.floats(0, 1))
def test_no_bytes_make_it_fail(sample: bytes, cut: float, noise: bytes, at: float) -> None:
    place = int(at * len(sample))
    damaged = (sample[:place] + noise + sample[place + len(noise) :])[: int(cut * len(sample))]
    known = facts.read(damaged)
    assert known is None or known.content_type in ACCEPTED


FORGED = {
    "jpeg": b"\xff\xd8\xff\xe0" + b"\xff\xe0\x00\x02" * 60_000,
    "mp3": b"\xff\xfb\x90\x00" + b"\xff" * 120_000,
    "flac": b"fLaC" + b"\x01\0\0\0" * 60_000,
    "mp4": b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + b"\0\0\0\x08free" * 60_000,
    "wav": b"RIFF\0\0\0\0WAVE" + b"abcd\0\0\0\0" * 60_000,
}
"""Each has its library take a step for a few bytes."""


@pytest.mark.parametrize("form", FORGED)
def test_a_forged_file_is_read_in_a_bounded_number_of_steps(form: str) -> None:
    reads = 0

    def note(_frame: FrameType, event: str, called: Any) -> None:
        nonlocal reads
        reads += event == "c_call" and called.__name__ == "read"

    sys.setprofile(note)
    try:
        known = facts.read(FORGED[form])
    finally:
        sys.setprofile(None)
    assert known is not None
    assert (known.width, known.seconds) == (None, None)
    assert reads <= facts.MAX_READS
