import wave
from io import BytesIO
from typing import Any

import pytest

from domain.errors import UpstreamError, UpstreamRefused
from domain.media import Kind
from providers.gemini import speech
from tests.support.doubles import media_files
from tests.support.doubles.google_media import inline
from tests.support.gemini_answers import response
from tests.support.submissions import submission

NEW, OLD = "gemini-3.8-flash-tts", "gemini-2.5-flash-preview-tts"
SAMPLES = media_files.sound("pcm")
WAV = media_files.sound("wav")


def speech_body(model: str = NEW, **parameters: Any) -> dict[str, Any]:
    return speech.body(submission(Kind.SPEECH, model, prompt="Hello.", **parameters).request)


def test_a_voice_and_a_language() -> None:
    body = speech_body(voice="Kore", language="en", response_format="wav", speed=1.0)
    voice = {"prebuiltVoiceConfig": {"voiceName": "Kore"}}
    assert body["generationConfig"] == {
        "responseModalities": ["AUDIO"],
        "speechConfig": {"voiceConfig": voice, "languageCode": "en"},
    }
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hello."}]}]


def test_names_of_openais_voices() -> None:
    assert speech_body(voice="alloy")["generationConfig"]["speechConfig"] == {
        "voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}
    }


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (NEW, {"text": "Hello.", "speechMetadata": {"style": "cheerful"}}),
        (OLD, {"text": "cheerful: Hello."}),
        ("gemini-3.1-flash-tts-preview", {"text": "cheerful: Hello."}),
    ],
)
def test_instructions(model: str, part: dict[str, Any]) -> None:
    assert speech_body(model, instructions="cheerful")["contents"][0]["parts"] == [part]


@pytest.mark.parametrize("parameters", [{"response_format": "mp3"}, {"speed": 1.5}, {"temperature": 1}])
def test_what_gemini_has_no_form_for(parameters: dict[str, Any]) -> None:
    with pytest.raises(UpstreamRefused):
        speech_body(voice="Kore", **parameters)


@pytest.mark.parametrize(
    ("media_type", "content", "rate"),
    [
        ("audio/L16;codec=pcm;rate=24000", SAMPLES, 24_000),
        ("audio/l16; rate=16000", SAMPLES, 16_000),
        ("audio/pcm", SAMPLES, 24_000),
        ("audio/wav", WAV, 24_000),
        ("audio/x-wav", WAV, 24_000),
    ],
)
def test_both_formats_of_both_answers(media_type: str, content: bytes, rate: int) -> None:
    answer = response(inline(media_type, content), finish="STOP")
    wav = speech.read(answer, "wav")
    with wave.open(BytesIO(wav.content)) as file:
        assert (wav.content_type, file.getframerate(), file.getnchannels()) == ("audio/wav", rate, 1)
        assert file.readframes(file.getnframes()) == SAMPLES
    pcm = speech.read(answer, "pcm")
    assert (pcm.content_type, pcm.content) == ("audio/pcm", SAMPLES)


@pytest.mark.parametrize("part", [inline("audio/mp3", b"ID3"), inline("audio/wav", b"RIFF0000WAVEx")])
def test_audio_that_cannot_be_used(part: dict[str, Any]) -> None:
    with pytest.raises(UpstreamError):
        speech.read(response(part, finish="STOP"), "pcm")
