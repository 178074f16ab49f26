"""ElevenLabs behind the server: a double that its own SDK takes for it, and what becomes of its jobs here."""

from collections.abc import Iterator

import httpx
import pytest
from elevenlabs import VoiceSettings
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError

from storage.sniff import content_type
from tests.support.doubles import media_files
from tests.support.doubles.elevenlabs_server import EXTENSIONS, KEY, VOICES, ElevenLabsServer

RACHEL = next(iter(VOICES))


@pytest.fixture(scope="module")
def elevenlabs() -> Iterator[ElevenLabsServer]:
    with ElevenLabsServer() as server:
        yield server


@pytest.fixture
def direct(elevenlabs: ElevenLabsServer) -> Iterator[ElevenLabs]:
    with httpx.Client() as http:
        yield ElevenLabs(base_url=elevenlabs.url, api_key=KEY, httpx_client=http)


def test_the_sdk_takes_the_double_for_elevenlabs(direct: ElevenLabs) -> None:
    settings = VoiceSettings(stability=0.5, similarity_boost=0.75, speed=1.1)
    with direct.text_to_speech.with_raw_response.convert(
        RACHEL, text="Good day.", model_id="eleven_multilingual_v2", voice_settings=settings, seed=1, language_code="en"
    ) as answer:
        assert b"".join(answer.data) == media_files.sound()
        assert (answer.headers["character-cost"], "request-id" in answer.headers) == ("9", True)


@pytest.mark.parametrize("codec", EXTENSIONS)
def test_the_sdk_streams_every_format(direct: ElevenLabs, codec: str) -> None:
    sound = direct.text_to_speech.stream(
        RACHEL, text="Good day.", model_id="eleven_flash_v2_5", output_format=f"{codec}_24000", enable_logging=False
    )
    content = b"".join(sound)
    expected = {"pcm": None, "mp3": "audio/mpeg", "wav": "audio/wav", "opus": "audio/ogg"}[codec]
    assert content_type(content) == expected


def test_the_sdk_deletes_what_is_kept(elevenlabs: ElevenLabsServer, direct: ElevenLabs) -> None:
    with direct.text_to_speech.with_raw_response.convert(RACHEL, text="x", model_id="eleven_v3") as answer:
        id_ = answer.headers["history-item-id"]
        assert b"".join(answer.data)
    assert id_ in elevenlabs.history
    assert direct.history.delete(id_).status == "ok"
    assert id_ not in elevenlabs.history


def test_the_sdk_lists_voices(direct: ElevenLabs) -> None:
    assert {voice.voice_id: voice.name for voice in direct.voices.search().voices} == VOICES


@pytest.mark.parametrize(
    ("behaviour", "status", "name"),
    [
        ("crowded", 429, "too_many_concurrent_requests"),
        ("busy", 429, "system_busy"),
        ("unpaid", 401, "quota_exceeded"),
        ("long", 400, "max_character_limit_exceeded"),
        ("policy", 400, "content_against_policy"),
        ("standard", 403, "zero_retention_not_allowed"),
    ],
)
def test_the_sdk_takes_its_errors_for_elevenlabs(direct: ElevenLabs, behaviour: str, status: int, name: str) -> None:
    with pytest.raises(ApiError) as error:
        list(direct.text_to_speech.convert(RACHEL, text="x", model_id=f"eleven_v3--{behaviour}"))
    assert (error.value.status_code, error.value.body["detail"]["status"]) == (status, name)


@pytest.mark.parametrize(("voice", "key", "status"), [("nobody", KEY, 404), (RACHEL, "another", 401)])
def test_an_unknown_voice_or_key_is_refused(elevenlabs: ElevenLabsServer, voice: str, key: str, status: int) -> None:
    with httpx.Client() as http:
        speech = ElevenLabs(base_url=elevenlabs.url, api_key=key, httpx_client=http).text_to_speech
        with pytest.raises(ApiError) as error:
            list(speech.convert(voice, text="x", model_id="eleven_v3"))
    assert error.value.status_code == status
