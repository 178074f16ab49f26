"""Small files as vendors make them: each is real, so that what looks at its bytes takes it."""

import wave
from functools import lru_cache
from io import BytesIO

import av
from PIL import Image

RATE = 24_000


@lru_cache
def image(kind: str = "PNG", size: tuple[int, int] = (32, 24)) -> bytes:
    made = BytesIO()
    Image.new("RGB", size, (30, 90, 160)).save(made, kind)
    return made.getvalue()


@lru_cache
def video(seconds: int = 1) -> bytes:
    made = BytesIO()
    with av.open(made, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width, stream.height = 32, 32
        stream.pix_fmt = "yuv420p"
        for _ in range(4 * seconds):
            container.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(stream.encode())
    return made.getvalue()


def samples(text: str) -> bytes:
    """16-bit samples, little-endian, a hundredth of a second for each character."""
    return b"\x0b\x00\x08\x00" * (RATE // 200) * max(len(text), 1)


def wav(text: str) -> bytes:
    made = BytesIO()
    with wave.open(made, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(RATE)
        written.writeframes(samples(text))
    return made.getvalue()
