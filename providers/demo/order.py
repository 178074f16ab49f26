"""A media request, checked as a real provider checks it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from domain.errors import UpstreamRefused
from domain.media import Kind, MediaInput, MediaRequest
from providers.demo import pace, transcript
from providers.demo.voices import FORMATS, VOICES

SLOW = 20.0
REFUSED = "[refused]"
"""In a prompt: the demo refuses the job after it was accepted, as a vendor does for what it must not make."""
READY_AFTER = {Kind.IMAGE: 0.3, Kind.SPEECH: 0.3, Kind.TRANSCRIPTION: 0.3, Kind.VIDEO: 1.0}

MAX_IMAGES = 10
MIN_SIDE_PIXELS, MAX_SIDE_PIXELS = 64, 4096
MAX_IMAGE_PIXELS = 2048 * 2048
MAX_VIDEO_PIXELS = 1920 * 1088
MAX_VIDEO_SECONDS = 60.0
MAX_TEXT_CHARACTERS = 4096

_TAKES = {
    Kind.IMAGE: frozenset({"image", "mask"}),
    Kind.VIDEO: frozenset({"image", "first_frame"}),
    Kind.SPEECH: frozenset[str](),
    Kind.TRANSCRIPTION: frozenset({"audio"}),
}
"""The roles of input files. What is made depends on their bytes, and shows the first pictures."""
_DEFAULT_FORMAT = {Kind.TRANSCRIPTION: "json"}
_DEFAULT_SIZE = {Kind.IMAGE: (1024, 1024), Kind.VIDEO: (640, 360)}


@dataclass(frozen=True, slots=True)
class Order:
    """A valid request, with all defaults."""

    kind: Kind
    prompt: str = field(repr=False)
    seed: str = field(repr=False)
    wait: timedelta
    fails: bool
    size: tuple[int, int] = (0, 0)
    n: int = 1
    seconds: float = 5.0
    voice: str = "alloy"
    format: str = "mp3"
    speed: float = 1.0
    language: str = field(default="en", repr=False)
    timestamps: frozenset[str] = frozenset()
    """Of a transcript: of its words, of its segments."""
    pictures: tuple[bytes, ...] = field(default=(), repr=False)
    """Input files, which are shown in what is made."""


def read(request: MediaRequest, inputs: Sequence[MediaInput] = ()) -> Order:
    """Check the request. Raises `UpstreamRefused`, which names the field, for one that cannot be rendered."""
    name, _, manner = request.model.partition("-")
    _require(name == request.kind and manner in ("", "fail", "slow"), "model")
    for given in inputs:
        _require(given.role in _TAKES[request.kind], given.role)
    slow = manner == "slow"
    prompt = pace.without_directive(request.prompt) if slow else request.prompt
    wait = pace.seconds(request.prompt, SLOW) if slow else READY_AFTER[request.kind]
    order = Order(
        kind=request.kind,
        prompt=prompt.encode(errors="replace").decode() or name,
        seed=_seed(request, inputs),
        wait=timedelta(seconds=wait),
        fails=manner == "fail",
        size=_size(request),
        n=request.n,
        seconds=5.0 if request.seconds is None else request.seconds,
        voice=request.voice or "alloy",
        format=request.response_format or _DEFAULT_FORMAT.get(request.kind, "mp3"),
        speed=request.speed,
        language=request.text("language") or "en",
        timestamps=frozenset((request.text("timestamp_granularities") or "").split(",")) - {""},
        pictures=tuple(given.content for given in inputs),
    )
    _require(bool(request.prompt.strip()) or request.kind is Kind.TRANSCRIPTION, "prompt")
    _require(REFUSED not in request.prompt, "prompt")
    _require(bool(inputs) or request.kind is not Kind.TRANSCRIPTION, "audio")
    _CHECKS[request.kind](order)
    return order


def _seed(request: MediaRequest, inputs: Sequence[MediaInput]) -> str:
    return "\n".join([str(request.seed), *(hashlib.sha256(given.content).hexdigest() for given in inputs)])


def _size(request: MediaRequest) -> tuple[int, int]:
    width, height = _DEFAULT_SIZE.get(request.kind, (0, 0))
    return request.width or width, request.height or height


def _check_image(order: Order) -> None:
    _check_sides(order, MAX_IMAGE_PIXELS)
    _require(1 <= order.n <= MAX_IMAGES, "n")


def _check_video(order: Order) -> None:
    _check_sides(order, MAX_VIDEO_PIXELS)
    # H.264 stores colour at half the resolution.
    _require(all(side % 2 == 0 for side in order.size), "size")
    _require(0 < order.seconds <= MAX_VIDEO_SECONDS, "duration")
    _require(order.n == 1, "n")


def _check_speech(order: Order) -> None:
    _require(len(order.prompt) <= MAX_TEXT_CHARACTERS, "input")
    _require(order.voice in VOICES, "voice")
    _require(order.format in FORMATS, "response_format")
    _require(0.25 <= order.speed <= 4, "speed")
    _require(order.n == 1, "n")


def _check_transcription(order: Order) -> None:
    _require(order.format in transcript.FORMATS, "response_format")
    _require(order.timestamps <= transcript.TIMESTAMPS, "timestamp_granularities")
    _require(order.n == 1, "n")


def _check_sides(order: Order, largest: int) -> None:
    width, height = order.size
    _require(all(MIN_SIDE_PIXELS <= side <= MAX_SIDE_PIXELS for side in order.size), "size")
    _require(width * height <= largest, "size")


def _require(sensible: bool, field: str) -> None:
    if not sensible:
        raise UpstreamRefused(f"The provider refused this input: '{field}' is not something it can make.")


_CHECKS = {
    Kind.IMAGE: _check_image,
    Kind.VIDEO: _check_video,
    Kind.SPEECH: _check_speech,
    Kind.TRANSCRIPTION: _check_transcription,
}
