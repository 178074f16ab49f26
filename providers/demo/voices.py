"""The demo's voices and audio formats, by OpenAI's names."""

from dataclasses import dataclass
from typing import NamedTuple


class Voice(NamedTuple):
    """A voice and variant of espeak-ng."""

    name: str
    pitch: int


VOICES = {
    "alloy": Voice("en-us+f2", 46),
    "ash": Voice("en-us+m3", 44),
    "ballad": Voice("en-gb-scotland+m1", 50),
    "cedar": Voice("en-us+m7", 34),
    "coral": Voice("en-us+f4", 56),
    "echo": Voice("en-us+m1", 40),
    "fable": Voice("en-gb-x-rp+m2", 52),
    "marin": Voice("en-us+f5", 60),
    "nova": Voice("en-us+f3", 58),
    "onyx": Voice("en-us+m5", 24),
    "sage": Voice("en-gb-x-rp+f1", 44),
    "shimmer": Voice("en-us+f1", 64),
    "verse": Voice("en-us+m4", 50),
}


@dataclass(frozen=True, slots=True)
class Format:
    """How a `response_format` is encoded: FFmpeg's container and codec, sample rate and bit rate."""

    container: str
    codec: str
    content_type: str
    rate: int = 24_000
    bit_rate: int | None = None


FORMATS = {
    "mp3": Format("mp3", "libmp3lame", "audio/mpeg", bit_rate=64_000),
    "wav": Format("wav", "pcm_s16le", "audio/wav"),
    "opus": Format("ogg", "libopus", "audio/ogg", rate=48_000, bit_rate=48_000),
    "aac": Format("adts", "aac", "audio/aac", bit_rate=64_000),
    "flac": Format("flac", "flac", "audio/flac"),
    "pcm": Format("s16le", "pcm_s16le", "audio/pcm"),
}
