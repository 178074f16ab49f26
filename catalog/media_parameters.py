"""The parameters that media models have in common, and what a model takes whose entry names none."""

from collections.abc import Mapping
from dataclasses import replace

from domain.catalog import Modality
from domain.media_schema import MAX_TEXT_CHARACTERS, MediaSchema, Parameter, ParameterType, Scalar

MAX_OUTPUTS = 10
MAX_VIDEO_SECONDS = 60
MAX_SPEECH_CHARACTERS = 4096
SPEECH_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
_SIDE = "(1[6-9]|[2-9][0-9]|[1-9][0-9]{2}|[1-3][0-9]{3}|40[0-8][0-9]|409[0-6])"
"""From 16 to 4096."""


def _text(title: str, max_length: int = 1000, pattern: str | None = None, expects: str | None = None) -> Parameter:
    return Parameter(ParameterType.STRING, max_length=max_length, pattern=pattern, expects=expects, title=title)


def _whole(title: str, minimum: int, maximum: int, default: Scalar | None = None) -> Parameter:
    return Parameter(ParameterType.INTEGER, minimum=minimum, maximum=maximum, default=default, title=title)


def _number(title: str, minimum: float, maximum: float, default: Scalar | None = None) -> Parameter:
    return Parameter(ParameterType.NUMBER, minimum=minimum, maximum=maximum, default=default, title=title)


STANDARD: Mapping[str, Parameter] = {
    "size": _text(
        "Size in pixels", 9, f"^{_SIDE}x{_SIDE}$", "WIDTHxHEIGHT with sides from 16 to 4096, such as 1024x1024"
    ),
    "aspect_ratio": _text(
        "Width to height", 5, "^[1-9][0-9]?:[1-9][0-9]?$", "a ratio of width to height, such as 16:9"
    ),
    "resolution": _text("Resolution", 20),
    "quality": _text("Quality", 20),
    "style": _text("Style", 100),
    "background": _text("Background", 20),
    "output_format": _text("File format", 20),
    "output_compression": _whole("Compression in percent", 0, 100),
    "n": _whole("Number of outputs", 1, MAX_OUTPUTS, 1),
    "seed": _whole("Seed: the same one makes about the same again", 0, 2**31 - 1),
    "negative_prompt": _text("What it must not show", 10_000),
    "guidance": _number("How closely it follows the prompt", 0, 50),
    "steps": _whole("Steps of refinement", 1, 100),
    "seconds": _number("Length in seconds", 0.1, MAX_VIDEO_SECONDS, 5),
    "generate_audio": Parameter(ParameterType.BOOLEAN, title="With sound"),
    "voice": _text("Voice", 100),
    "response_format": _text("File format", 20),
    "speed": _number("Speed", 0.25, 4, 1),
    "instructions": _text("How it is spoken", 4096),
    "language": _text("Language", 35, "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", "a language's code, such as en or pt-BR"),
    "temperature": _number("Temperature", 0, 1),
}
"""By name: the names are OpenAI's where it has one. An entry of a model changes what is given here."""

_PROMPT = Parameter(ParameterType.STRING, min_length=1, max_length=MAX_TEXT_CHARACTERS, required=True, title="Prompt")
TEXTS: Mapping[Modality, tuple[str, Parameter]] = {
    Modality.IMAGE: ("prompt", _PROMPT),
    Modality.VIDEO: ("prompt", _PROMPT),
    Modality.SPEECH: ("input", replace(_PROMPT, max_length=MAX_SPEECH_CHARACTERS, title="Text to speak")),
    Modality.TRANSCRIPTION: (
        "prompt",
        Parameter(
            ParameterType.STRING, max_length=MAX_TEXT_CHARACTERS, title="Words that the audio may have", default=""
        ),
    ),
}
"""The field with the text, by what a model makes."""


def default_schema(modality: Modality) -> MediaSchema:
    """What a model takes whose entry names nothing."""
    return MediaSchema(*TEXTS[modality], _DEFAULTS[modality])


_DEFAULTS: Mapping[Modality, Mapping[str, Parameter]] = {
    Modality.IMAGE: {
        "size": replace(STANDARD["size"], default="1024x1024"),
        "n": STANDARD["n"],
        "seed": STANDARD["seed"],
    },
    Modality.VIDEO: {name: STANDARD[name] for name in ("seconds", "size", "seed")},
    Modality.SPEECH: {
        "voice": replace(STANDARD["voice"], min_length=1, default="alloy"),
        "response_format": Parameter(
            ParameterType.STRING, enum=SPEECH_FORMATS, default="mp3", title=STANDARD["response_format"].title
        ),
        "speed": STANDARD["speed"],
    },
    Modality.TRANSCRIPTION: {name: STANDARD[name] for name in ("language", "temperature")},
}
