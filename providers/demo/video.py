"""Demo videos: MP4 files, H.264 and AAC, of a camera that travels past a landscape."""

import threading
from fractions import Fraction
from pathlib import Path

import av
from av import AudioStream, VideoFrame, VideoStream
from av.container import OutputContainer

from providers.demo import image, melody, sound
from providers.demo.landscape import Landscape, View
from providers.demo.order import Order

FPS = 24
THREADS = 1
"""The encoder's output depends on it. More save little: drawing takes most of the time."""


class Abandoned(Exception):
    """The job was cancelled."""


def frames_in(seconds: float) -> int:
    return max(1, round(seconds * FPS))


def film(path: Path, view: View, order: Order, stop: threading.Event) -> None:
    """Write exactly `frames_in(order.seconds)` frames and as much music. Raises `Abandoned` once `stop` is set.

    It writes to a file, because +faststart reads it again.
    """
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as file:
        video, audio = _streams(file, view.size)
        _encode(file, video, audio, _Camera(view, order), stop)


class _Camera:
    """The picture and the sound of each frame."""

    def __init__(self, view: View, order: Order) -> None:
        self.count = frames_in(order.seconds)
        self.length = self.count / FPS
        self._pace = view.size[0] / 22
        self._scene = Landscape(view, travel=self.length * self._pace)
        self._label = image.label(view.size)
        self._cards = image.cards(order.pictures, view.size)
        self.music = list(sound.frames(melody.play(f"{view.prompt}\n{view.seed}", self.length), melody.RATE))

    def frame(self, index: int) -> VideoFrame:
        at = index / FPS
        picture = self._scene.picture(moved=at * self._pace, risen=0.12 * at / (at + 20), flown=at / 50)
        image.lay(picture, self._cards)
        picture.paste((255, 255, 255), mask=self._label)
        frame: VideoFrame = VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]  # a gap in PyAV's stubs
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        return frame


def _streams(file: OutputContainer, size: tuple[int, int]) -> tuple[VideoStream, AudioStream]:
    video = file.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "21", "flags": "+bitexact"})
    video.width, video.height = size
    video.pix_fmt = "yuv420p"
    video.codec_context.thread_count = THREADS
    audio = file.add_stream("aac", rate=48_000, layout="mono", options={"flags": "+bitexact"})
    audio.bit_rate = 96_000
    return video, audio


def _encode(
    file: OutputContainer, video: VideoStream, audio: AudioStream, camera: _Camera, stop: threading.Event
) -> None:
    music = iter(camera.music)
    for index in range(camera.count):
        if stop.is_set():
            raise Abandoned
        if index % FPS == 0 and (samples := next(music, None)):
            file.mux(audio.encode(samples))
        file.mux(video.encode(camera.frame(index)))
    file.mux(audio.encode(None))
    file.mux(video.encode(None))
