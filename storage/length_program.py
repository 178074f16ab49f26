"""Measures a recording: `python -m storage.length_program audio/flac` reads it, and writes its length in microseconds.

A program of its own, as that of posters. It decodes what the file has, by the library if that is installed, and
believes no length that a head says. Without the library it adds up frames, where the type of the file has such
(`storage.frames`).
"""

import importlib
import math
import sys
from fractions import Fraction
from io import BytesIO
from types import ModuleType
from typing import Any

from programs.limits import import_all, set_limits
from storage import frames

MAX_CPU_SECONDS = 30
MAX_MEMORY_BYTES = 1024**3
MAX_LENGTH = 8 * 3600
"""In seconds. A small file may have days of silence."""
MICROSECONDS = 1_000_000
FRAMES = "frames"
"""The argument that leaves the library out."""
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,flac,mp3,aac,wav"
"""What is read. No playlist is among them: one would name other files."""


class TooLong(Exception):
    """There is more sound than one recording may have."""


def decoded(library: ModuleType, content: bytes) -> Fraction:
    """Return the length of the longest sound track. What cannot be decoded is as long as what came before it.

    An edit list may hide sound, which a provider need not follow: it is not followed here.
    """
    options = {"format_whitelist": FORMATS, "ignore_editlist": "1"}
    with library.open(BytesIO(content), "r", options=options) as file:
        streams = list(file.streams.audio)
        tracks = {stream.index: _Track(library) for stream in streams}
        for stream in streams:
            stream.codec_context.thread_count = 1
        for packet in file.demux(streams):
            tracks[packet.stream.index].add(packet)
    return max((track.seconds for track in tracks.values()), default=Fraction(0))


class _Track:
    def __init__(self, library: ModuleType) -> None:
        self._wrong = library.error.FFmpegError
        self._samples: dict[int, int] = {}
        self._last = (0, 0)

    @property
    def seconds(self) -> Fraction:
        return sum((Fraction(count, rate) for rate, count in self._samples.items()), Fraction(0))

    def add(self, packet: Any) -> None:
        try:
            for frame in packet.decode():
                self._count(frame.sample_rate, frame.samples)
        except self._wrong:
            self._count(*self._last)

    def _count(self, rate: int, samples: int) -> None:
        if not rate:
            return
        self._last = rate, samples
        self._samples[rate] = self._samples.get(rate, 0) + samples
        if self._samples[rate] > MAX_LENGTH * rate:
            raise TooLong


def measured(content: bytes, content_type: str, library: ModuleType | None) -> Fraction:
    """Return the length in seconds; 0 for what has no sound. Raises for what cannot be measured."""
    length = decoded(library, content) if library else frames.seconds(content, content_type) or Fraction(0)
    if length > MAX_LENGTH:
        raise TooLong
    return length


def main(content_type: str, *words: str) -> None:
    library = None if FRAMES in words else _library()
    set_limits(cpu_seconds=MAX_CPU_SECONDS, memory_bytes=MAX_MEMORY_BYTES)
    length = measured(sys.stdin.buffer.read(), content_type, library)
    sys.stdout.write(str(math.ceil(length * MICROSECONDS)))


def _library() -> ModuleType | None:
    try:
        library = importlib.import_module("av")
    except ImportError:
        return None
    import_all(library)
    return library


if __name__ == "__main__":
    main(*sys.argv[1:])
