"""Small files as providers make them, and bytes that are no such file."""

import math
from array import array
from functools import cache
from io import BytesIO
from typing import cast

import av
from PIL import Image

from providers.demo.sound import frames

HTML = b"<!doctype html><title>not a picture</title>"
RATE = 24_000
CODECS = {"mp3": "libmp3lame", "wav": "pcm_s16le", "ogg": "libopus"}


@cache
def picture(width: int = 64, height: int = 48, *, black: bool = False) -> bytes:
    """A PNG. Black is what a provider's safety filter gives in place of a picture."""
    written = BytesIO()
    Image.new("RGB", (width, height), (0, 0, 0) if black else (200, 60, 20)).save(written, "PNG")
    return written.getvalue()


@cache
def film(images: int = 12) -> bytes:
    """An MP4 with 24 images in a second."""
    written = BytesIO()
    with av.open(written, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(images):
            image = av.VideoFrame(64, 48, "rgb24")
            image.planes[0].update(bytes((index * 10, 60, 20)) * (image.planes[0].buffer_size // 3))
            file.mux(stream.encode(image))
        file.mux(stream.encode(None))
    return written.getvalue()


@cache
def sound(extension: str = "mp3") -> bytes:
    """Half a second of a quiet tone: `mp3`, `wav`, `ogg` (Opus) or `pcm` (raw samples)."""
    samples = array("h", (int(8000 * math.sin(step / 9)) for step in range(RATE // 2))).tobytes()
    if extension == "pcm":
        return samples
    written = BytesIO()
    with av.open(written, "w", format=extension) as file:
        stream = cast("av.AudioStream", file.add_stream(CODECS[extension], rate=RATE, layout="mono"))
        for frame in frames(samples, RATE):
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return written.getvalue()
