"""What ElevenLabs is sent for a speech."""

from typing import Any

import pytest

from domain.catalog import Provider
from domain.errors import UpstreamRefused
from domain.media import Kind, MediaRequest
from providers.elevenlabs import request, voices

SARAH = voices.PREMADE["sarah"]


def speech(*, kind: Kind = Kind.SPEECH, n: int = 1, **parameters: Any) -> MediaRequest:
    return MediaRequest(
        kind=kind, model="eleven_v3", prompt="Good day.", n=n, parameters={"voice": "Sarah"} | parameters
    )


@pytest.mark.parametrize(
    ("parameters", "path", "more"),
    [
        ({}, f"/text-to-speech/{SARAH}?output_format=mp3_44100_128", {}),
        ({"response_format": "opus"}, f"/text-to-speech/{SARAH}?output_format=opus_48000_128", {}),
        ({"response_format": "pcm"}, f"/text-to-speech/{SARAH}?output_format=pcm_24000", {}),
        ({"response_format": "wav"}, f"/text-to-speech/{SARAH}?output_format=wav_24000", {}),
        (
            {"voice": "AZnzlk1XvdvUeBnXmlld", "speed": 1.1},
            "/text-to-speech/AZnzlk1XvdvUeBnXmlld?output_format=mp3_44100_128",
            {"voice_settings": {"speed": 1.1}},
        ),
        (
            {"speed": 1, "language": "pt-BR", "seed": 7},
            f"/text-to-speech/{SARAH}?output_format=mp3_44100_128",
            {"language_code": "pt", "seed": 7},
        ),
    ],
)
def test_a_speech_is_written_in_its_words(parameters: dict[str, Any], path: str, more: dict[str, Any]) -> None:
    spoken = speech(**parameters)
    assert request.path(spoken, voices.PREMADE, logging=True) == path
    assert request.path(spoken, voices.PREMADE, logging=False) == f"{path}&enable_logging=false"
    assert request.body(spoken) == {"text": "Good day.", "model_id": "eleven_v3"} | more


@pytest.mark.parametrize(
    "parameters",
    [
        {"voice": "nobody"},
        {"voice": "../v1/user?a=bcdefghi"},
        {"voice": None},
        {"response_format": "flac"},
        {"speed": 2},
        {"instructions": "Whisper."},
        {"n": 2},
        {"kind": Kind.IMAGE},
    ],
)
def test_what_it_does_not_take_is_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(UpstreamRefused):  # noqa: PT012  either part may refuse it
        request.path(speech(**parameters), voices.PREMADE, logging=True)
        request.body(speech(**parameters))


@pytest.mark.parametrize(
    ("option", "voice", "id_"),
    [
        ("alloy=EXAVITQu4vr4xnSDxMaL, Nova = pFZP5JQG7iQjIQuC4Bku", "nova", "pFZP5JQG7iQjIQuC4Bku"),
        ("sarah=pFZP5JQG7iQjIQuC4Bku", "Sarah", "pFZP5JQG7iQjIQuC4Bku"),
        ("", "Rachel", "21m00Tcm4TlvDq8ikWAM"),
        ("", "alloy", voices.PREMADE["river"]),
    ],
)
def test_an_operator_names_voices(option: str, voice: str, id_: str) -> None:
    provider = Provider(name="e", kind="elevenlabs", active=True, options={"voices": option})
    assert voices.problem(provider) is None
    assert voices.id_of(voice, voices.of(provider)) == id_


@pytest.mark.parametrize("option", ["alloy", "alloy=short", "=EXAVITQu4vr4xnSDxMaL"])
def test_an_option_without_ids_is_a_problem(option: str) -> None:
    provider = Provider(name="e", kind="elevenlabs", active=True, options={"voices": option})
    assert "voices" in (voices.problem(provider) or "")
