"""Writes what ElevenLabs is asked: the address of a voice, and a body of fields from a closed list."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from domain.errors import UpstreamRefused
from domain.media import Kind, MediaRequest
from providers.elevenlabs import voices

FORMATS: Mapping[str, tuple[str, str, str]] = {
    "mp3": ("mp3_44100_128", "audio/mpeg", "mp3"),
    "opus": ("opus_48000_128", "audio/ogg", "ogg"),
    "wav": ("wav_24000", "audio/wav", "wav"),
    "pcm": ("pcm_24000", "audio/pcm", "pcm"),
}
"""Our names: those that ElevenLabs has, the content type, the extension. It has no AAC and no FLAC."""
DEFAULT_FORMAT = "mp3"
SLOWEST, FASTEST = 0.7, 1.2
NO_LOGGING = ("enable_logging", "false")
"""ElevenLabs keeps nothing of the request. For enterprise accounts alone."""


def path(request: MediaRequest, ids: Mapping[str, str], *, logging: bool) -> str:
    """Return the address below the provider's base. Without `logging`, the signal is the last word of it."""
    output_format, _, _ = format_of(request)
    query = [("output_format", output_format), *(() if logging else (NO_LOGGING,))]
    return f"/text-to-speech/{voices.id_of(request.voice, ids)}?{urlencode(query)}"


def format_of(request: MediaRequest) -> tuple[str, str, str]:
    known = FORMATS.get(request.response_format or DEFAULT_FORMAT)
    if known is None:
        raise UpstreamRefused
    return known


def body(request: MediaRequest) -> dict[str, Any]:
    """Return the fields. Raises `UpstreamRefused` for a parameter that ElevenLabs does not have."""
    if request.kind is not Kind.SPEECH or request.n != 1:
        raise UpstreamRefused
    written: dict[str, Any] = {"text": request.prompt, "model_id": request.model}
    for name, value in request.parameters.items():
        match name:
            case "voice" | "response_format" | "n":
                continue
            case "speed":
                written |= _speed(request.speed)
            case "language" if isinstance(value, str):
                written["language_code"] = value.partition("-")[0].lower()
            case "seed":
                written["seed"] = value
            case _:
                raise UpstreamRefused
    return written


def _speed(speed: float) -> dict[str, Any]:
    if not SLOWEST <= speed <= FASTEST:
        raise UpstreamRefused
    return {} if speed == 1 else {"voice_settings": {"speed": speed}}
