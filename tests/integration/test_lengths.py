"""Lengths of recordings as the real program measures them: of every format, of forged heads, and of hostile files."""

import sys
from datetime import timedelta
from decimal import Decimal

import pytest

from storage import facts, sniff
from storage.length_program import FRAMES
from storage.lengths import Lengths
from tests.support.forged_sounds import FORGERIES, flac_in_id3
from tests.support.media_samples import SECONDS, film, sound

FORMS = {
    "mp3": ("mp3", "libmp3lame"),
    "wav": ("wav", "pcm_s16le"),
    "mulaw": ("wav", "pcm_mulaw"),
    "adpcm": ("wav", "adpcm_ms"),
    "opus": ("ogg", "libopus"),
    "flac": ("flac", "flac"),
    "aac": ("adts", "aac"),
    "m4a": ("ipod", "aac"),
    "alac": ("ipod", "alac"),
    "mp4": ("mp4", "aac"),
    "webm": ("webm", "libopus"),
}
WITHOUT_A_DECODER = ("mp3", "wav", "mulaw", "opus", "flac", "aac")
PADDED = 0.07
"""Seconds that an encoder adds at the begin and the end."""
PACKET = 0.02
"""Seconds of the last packet of Opus, of which a forged page may cut off a part."""


def frames_alone() -> Lengths:
    script = f"import sys; from storage.length_program import main; main(sys.argv[1], {FRAMES!r})"
    return Lengths(sys.executable, "-c", script)


def program(script: str, *, seconds: float = 30) -> Lengths:
    return Lengths(
        sys.executable,
        "-c",
        f"import socket, sys, storage.length_program as p\n{script}\np.main(sys.argv[1])",
        timeout=timedelta(seconds=seconds),
    )


async def measured(lengths: Lengths, content: bytes) -> Decimal | None:
    return await lengths(content, sniff.content_type(content[: sniff.FIRST]) or "")


@pytest.mark.parametrize("form", FORMS)
async def test_a_recording_is_as_long_as_it_sounds(form: str) -> None:
    length = await measured(Lengths(), sound(*FORMS[form]))
    assert length is not None
    assert SECONDS <= length < SECONDS + PADDED
    assert form != "wav" or length == SECONDS


@pytest.mark.parametrize("form", FORMS)
async def test_without_a_decoder_frames_are_added_up(form: str) -> None:
    length = await measured(frames_alone(), sound(*FORMS[form]))
    assert (length is not None) == (form in WITHOUT_A_DECODER)
    assert length is None or SECONDS <= length < SECONDS + PADDED


@pytest.mark.parametrize("form", FORGERIES)
async def test_a_forged_head_makes_nothing_shorter(form: str) -> None:
    container, codec, forge = FORGERIES[form]
    whole = sound(container, codec, 4.0)
    forged = forge(whole)
    assert forged != whole
    for lengths in (Lengths(), frames_alone()) if form in WITHOUT_A_DECODER else (Lengths(),):
        length = await measured(lengths, forged)
        assert length is not None
        assert 4 - PACKET <= length < 4 + PADDED


@pytest.mark.parametrize("form", ["m4a", "flac", "webm"])
def test_the_forged_heads_would_be_believed(form: str) -> None:
    container, codec, forge = FORGERIES[form]
    known = facts.read(forge(sound(container, codec, 4.0)))
    assert known is not None
    assert known.seconds is None or known.seconds < 2


async def test_what_hides_behind_a_tag_is_measured_or_refused() -> None:
    assert await measured(Lengths(), flac_in_id3()) == SECONDS
    hidden = flac_in_id3() + bytes(70_000)
    assert await measured(frames_alone(), hidden) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"noise",
        film(0.2),
        film(0.2, container="webm"),
        sound("ipod", "aac")[:400],
        sound("flac", "flac")[:40],
        b"ID3\x04" + bytes(100_000),
        b"OggS\0" + bytes(100_000),
        b"#EXTM3U\nhttps://pictures.example/list",
        b"ffconcat version 1.0\nfile '/etc/passwd'",
    ],
    ids=["empty", "noise", "film", "webm", "cut-m4a", "head", "tag", "page", "playlist", "list-of-files"],
)
async def test_what_has_no_sound_has_no_length(content: bytes) -> None:
    assert await measured(Lengths(), content) is None
    assert await measured(frames_alone(), content) is None


@pytest.mark.parametrize(
    "script",
    [
        "p.MAX_LENGTH = 1",
        "p.MAX_CPU_SECONDS = 1\np.measured = lambda *_: [None for _ in iter(int, 1)]",
        "p.MAX_MEMORY_BYTES = 2**29\np.measured = lambda *_: bytearray(2**30)",
        "p.measured = lambda *_: len(open('/etc/passwd').read())",
        "p.measured = lambda *_: socket.socket().fileno()",
    ],
    ids=["too long", "endless", "large", "file", "network"],
)
async def test_a_program_ends_with_its_limits(script: str) -> None:
    assert await measured(program(script), sound("flac", "flac")) is None


async def test_a_program_that_does_not_answer_is_ended() -> None:
    assert await measured(program("import time; time.sleep(600)", seconds=0.5), sound("flac", "flac")) is None
