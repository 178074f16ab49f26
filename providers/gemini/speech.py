"""Speech of Gemini's models by generateContent: how it is asked for, and its audio in the format that is wanted.

Older models answer with raw samples, newer ones with a WAV file. Nothing here encodes: there is WAV, and there is PCM.
"""

import re
import wave
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from domain.errors import UpstreamError, UpstreamRefused
from domain.media import MediaRequest
from providers.gemini import generated
from providers.media_data import DataFile

WAV, PCM = "audio/wav", "audio/pcm"
FORMATS = {"wav": WAV, "pcm": PCM}
VOICES = {
    "alloy": "Kore",
    "ash": "Charon",
    "ballad": "Fenrir",
    "coral": "Aoede",
    "echo": "Puck",
    "fable": "Orus",
    "nova": "Leda",
    "onyx": "Algenib",
    "sage": "Zephyr",
    "shimmer": "Callirrhoe",
    "verse": "Iapetus",
}
"""Voices of Gemini for OpenAI's names of voices, which clients send unless told otherwise. Any other goes as it is."""
RATE = 24_000
"""Samples in a second, if Google does not say how many."""
_RATE = re.compile(r"rate=([0-9]{4,6})")
_OLDER = re.compile(r"gemini-(?:2\.|3\.1)")
"""Models without `speechMetadata`: a style is written before the text."""


def body(request: MediaRequest) -> dict[str, Any]:
    """Return the body of the call. Raises `UpstreamRefused` for what Gemini has no form for."""
    speech: dict[str, Any] = {}
    part: dict[str, Any] = {"text": request.prompt}
    for name, value in request.parameters.items():
        match name:
            case "voice":
                speech["voiceConfig"] = {"prebuiltVoiceConfig": {"voiceName": VOICES.get(str(value), value)}}
            case "language":
                speech["languageCode"] = value
            case "instructions" if value:
                part = _styled(request, str(value))
            case "response_format" if value not in FORMATS:
                raise UpstreamRefused
            case "response_format" | "instructions":
                pass
            case "speed" if value == 1:
                pass
            case _:
                raise UpstreamRefused
    config = {"responseModalities": ["AUDIO"], "speechConfig": speech}
    return {"contents": [{"role": "user", "parts": [part]}], "generationConfig": config}


def _styled(request: MediaRequest, style: str) -> dict[str, Any]:
    if _OLDER.match(request.model):
        return {"text": f"{style}: {request.prompt}"}
    return {"text": request.prompt, "speechMetadata": {"style": style}}


def read(answer: Mapping[str, Any], wanted: str) -> DataFile:
    """Return the audio as `wav` or as `pcm`. Raises what `generated.files` raises."""
    file = generated.files(answer, "audio/")[0]
    content = file.content
    is_wav = content[:4] == b"RIFF" and content[8:12] == b"WAVE"
    if wanted == "pcm":
        return DataFile(PCM, _samples(content) if is_wav else _raw(file))
    return DataFile(WAV, content if is_wav else _with_header(_raw(file), _rate(file)))


def _raw(file: DataFile) -> bytes:
    """Return samples without a header. Any other type would only look like noise."""
    if not file.content_type.lower().startswith(("audio/l16", "audio/pcm")):
        raise UpstreamError
    return file.content


def _rate(file: DataFile) -> int:
    match = _RATE.search(file.content_type)
    return int(match[1]) if match else RATE


def _with_header(samples: bytes, rate: int) -> bytes:
    written = BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    return written.getvalue()


def _samples(content: bytes) -> bytes:
    try:
        with wave.open(BytesIO(content)) as file:
            return bytes(file.readframes(file.getnframes()))
    except (wave.Error, EOFError):
        raise UpstreamError from None
