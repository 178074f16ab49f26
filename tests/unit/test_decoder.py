"""The decoder that the image builds: it has every format that is taken, and nothing that reaches out."""

import re
from pathlib import Path

import pytest

from storage import length_program, poster_program

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "decoder"
SCRIPT = (FOLDER / "build.sh").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DEMUXERS = {
    "mov": {"mov", "mp4", "m4a", "3gp", "3g2", "mj2"},
    "matroska": {"matroska", "webm"},
    **{name: {name} for name in ("ogg", "flac", "mp3", "aac", "wav")},
}
"""The names of formats that each of FFmpeg's demuxers reads."""


def _enabled(kind: str) -> set[str]:
    (value,) = re.findall(rf"--enable-{kind}=(\S+)", SCRIPT)
    words = re.sub(r"\$(\w+)", lambda name: re.findall(rf"^{name[1]}=(.*)$", SCRIPT, re.MULTILINE)[0], value.strip('"'))
    return set(words.split(","))


def test_it_reads_every_format_that_is_taken() -> None:
    taken = {*length_program.FORMATS.split(","), *poster_program.FORMATS.split(",")}
    assert set().union(*(DEMUXERS[name] for name in _enabled("demuxer"))) == taken


def test_it_decodes_what_these_formats_have_and_writes_a_poster() -> None:
    assert _enabled("decoder") >= {
        "aac",
        "alac",
        "flac",
        "mp3float",
        "opus",
        "vorbis",
        "pcm_s16le",
        "h264",
        "hevc",
        "vp9",
    }
    assert _enabled("encoder") == {"mjpeg"}


@pytest.mark.parametrize("kind", ["everything", "network", "programs", "autodetect"])
def test_what_is_not_named_is_left_out(kind: str) -> None:
    assert f"--disable-{kind}" in SCRIPT
    assert not re.search(r"--enable-(gpl|nonfree|version3|protocol|filter|indev|outdev|lib)", SCRIPT)


def test_the_library_is_built_from_its_locked_source_on_a_debian_that_fits() -> None:
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:3.12-slim-trixie"}
    for name in ("build", "requirements"):
        assert f"--requirement /tmp/decoder/{name}.lock" in DOCKERFILE
        locked = (FOLDER / f"{name}.lock").read_text()
        for wanted in re.findall(r"^[a-z]+", (FOLDER / f"{name}.in").read_text(), re.MULTILINE):
            assert re.search(rf"^{wanted}==\S+ \\\n +--hash=sha256:", locked, re.MULTILINE)
    assert DOCKERFILE.count("--require-hashes") == 3
