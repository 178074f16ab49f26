"""Makes a JPEG of the first picture of a film: `python -m storage.poster_program` reads the film, and writes the JPEG.

A program of its own: a film comes from a provider, and its decoder is foreign code. It ends with its limits.
"""

import sys
from fractions import Fraction
from io import BytesIO

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from programs.limits import import_all, set_limits

MAX_CPU_SECONDS = 10
MAX_MEMORY_BYTES = 2 * 1024**3
MAX_PIXELS = 40_000_000
MAX_SIDE = 1280
FORM = "yuvj420p"
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm"
"""Of films that may be stored. No playlist is among them: one would name other files."""


def jpeg(film: bytes) -> bytes:
    """Raises for what is no film, and for one that is too large."""
    with av.open(BytesIO(film), "r", options={"format_whitelist": FORMATS}) as file:
        stream = file.streams.video[0]
        stream.codec_context.thread_count = 1
        if not 0 < stream.width * stream.height <= MAX_PIXELS:
            raise ValueError("too many pixels")
        frame = next(file.decode(stream))
    return _encoded(frame)


def _encoded(frame: VideoFrame) -> bytes:
    scale = min(1.0, MAX_SIDE / max(frame.width, frame.height))
    # The sides are even: the colours have half as many samples.
    width, height = (max(2, round(side * scale) // 2 * 2) for side in (frame.width, frame.height))
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)  # noqa: S101  # what the encoder of pictures is
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, FORM, Fraction(1, 25)
    picture = frame.reformat(width, height, FORM)
    picture.pts = 0
    packets = [*encoder.encode(picture), *encoder.encode(None)]
    return bytes(packets[0])


def main() -> None:
    import_all(av)
    set_limits(cpu_seconds=MAX_CPU_SECONDS, memory_bytes=MAX_MEMORY_BYTES)
    sys.stdout.buffer.write(jpeg(sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
