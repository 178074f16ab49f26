"""Small files of every type that a job may be given, made by other libraries than ours."""

from io import BytesIO

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from PIL import Image

SECONDS = 2.0


def picture(width: int = 64, height: int = 48, form: str = "PNG") -> bytes:
    written = BytesIO()
    Image.new("RGB", (width, height), (9, 99, 199)).save(written, form)
    return written.getvalue()


def sound(container: str, codec: str, seconds: float = SECONDS, rate: int = 48_000) -> bytes:
    written = BytesIO()
    with av.open(written, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, AudioStream)
        silence = AudioFrame(format="s16", layout="mono", samples=int(seconds * rate))
        for plane in silence.planes:
            plane.update(bytes(plane.buffer_size))
        silence.sample_rate = rate
        file.mux(stream.encode(silence))
        file.mux(stream.encode(None))
    return written.getvalue()


def film(seconds: float = 1.0, width: int = 64, height: int = 48, container: str = "mp4") -> bytes:
    written = BytesIO()
    with av.open(written, "w", format=container) as file:
        stream = file.add_stream("libx264" if container == "mp4" else "libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(int(seconds * 10)):
            file.mux(stream.encode(av.VideoFrame(width, height, "yuv420p")))
        file.mux(stream.encode(None))
    return written.getvalue()
