"""OpenAI's double, proven by OpenAI's own SDK; then the adapter against it, and its misbehaviours."""

import base64
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from pydantic import SecretStr

from domain.catalog import Provider
from domain.errors import (
    AdapterFault,
    ContentPolicyViolation,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)
from domain.media import Kind, MediaInput, MediaRequest
from providers.base import MediaSubmission
from providers.media_http import media_client
from providers.openai.media import OpenAIMedia
from tests.support.doubles import media_files
from tests.support.doubles.media_double import SECRET
from tests.support.doubles.openai_media import SPOKEN, OpenAIMediaServer

PICTURE = media_files.picture()
IMAGE = {"model": "gpt-image-2", "prompt": "a cat"}
SOUND = media_files.sound("wav")
RECORDING = {"model": "gpt-transcribe", "file": ("a.wav", SOUND, "audio/wav")}
SPEECH = {"model": "tts", "input": "Hello.", "voice": "nova", "response_format": "wav"}


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIMediaServer]:
    with OpenAIMediaServer() as started:
        yield started


@dataclass
class Adapter:
    server: OpenAIMediaServer
    media: OpenAIMedia

    async def made(self, kind: Kind, prompt: str, *inputs: MediaInput, n: int = 1, **parameters: Any) -> list[bytes]:
        request = MediaRequest(kind=kind, model="m", prompt=prompt, n=n, parameters=parameters)
        submitted = await self.media.submit(MediaSubmission(request, "reference-1", inputs))
        assert submitted.files is not None
        assert prompt not in submitted.provider_job_id
        return [b"".join([chunk async for chunk in file.chunks]) async for file in submitted.files]


@pytest.fixture
async def adapter(server: OpenAIMediaServer) -> AsyncIterator[Adapter]:
    provider = Provider(name="openai", kind="openai", active=True, base_url=server.url, api_key=SecretStr(server.key))
    async with media_client() as http:
        yield Adapter(server, OpenAIMedia(provider, http))


async def test_the_double_answers_the_vendors_sdk(server: OpenAIMediaServer) -> None:
    async with AsyncOpenAI(api_key=server.key, base_url=server.url, max_retries=0) as sdk:
        images = await sdk.images.generate(**IMAGE, n=2, size="1024x1024", quality="low")  # type: ignore[call-overload]  # of a mapping
        assert [base64.b64decode(each.b64_json) for each in images.data] == [PICTURE] * 2
        assert images.usage.total_tokens == 1010
        edited = await sdk.images.edit(**IMAGE, image=[("a.png", PICTURE, "image/png")] * 2)  # type: ignore[call-overload]  # of a mapping
        assert len(edited.data) == 1
        assert server.files[-2:] == [("image[]", PICTURE)] * 2
        transcript = await sdk.audio.transcriptions.create(**RECORDING)  # type: ignore[call-overload]  # of a mapping
        assert (transcript.text, server.files[-1]) == (SPOKEN, ("file", SOUND))
        text = await sdk.audio.transcriptions.create(**RECORDING, response_format="srt")  # type: ignore[call-overload]  # of a mapping
        assert text == f"srt: {SPOKEN}\n"
        spoken = await sdk.audio.speech.create(**SPEECH)  # type: ignore[arg-type]  # of a mapping
        assert spoken.content == media_files.sound("wav")
        for prompt, error in (("[moderation]", openai.BadRequestError), ("[unpaid]", openai.RateLimitError)):
            with pytest.raises(error):
                await sdk.images.generate(**IMAGE | {"prompt": prompt})  # type: ignore[call-overload]  # of a mapping
        with pytest.raises(openai.BadRequestError) as unknown:
            await sdk.images.generate(**IMAGE, response_format="b64_json")  # type: ignore[call-overload]  # of a mapping
        assert unknown.value.code == "unknown_parameter"


async def test_images(adapter: Adapter) -> None:
    parameters: dict[str, Any] = {"size": "1024x1024", "quality": "low", "background": "auto"}
    assert await adapter.made(Kind.IMAGE, "two cats", n=2, **parameters) == [PICTURE] * 2
    seen = adapter.server.seen[-1]
    assert seen.body == {"model": "m", "prompt": "two cats", "n": 2, "size": "1024x1024", "quality": "low"}
    assert "reference-1" not in str(seen)


async def test_edits_go_as_a_form(adapter: Adapter) -> None:
    inputs = [MediaInput("image", "image/png", PICTURE), MediaInput("mask", "image/png", PICTURE)]
    assert await adapter.made(Kind.IMAGE, "a hat", *inputs) == [PICTURE]
    assert adapter.server.files[-2:] == [("image[]", PICTURE), ("mask", PICTURE)]
    assert adapter.server.seen[-1].path == "/v1/images/edits"


async def test_speech(adapter: Adapter) -> None:
    parameters: dict[str, Any] = {"voice": "nova", "response_format": "wav", "speed": 1.5}
    assert await adapter.made(Kind.SPEECH, "Good evening.", **parameters) == [media_files.sound("wav")]
    assert adapter.server.seen[-1].body == {"model": "m", "input": "Good evening.", **parameters}


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("json", f'{{"text":"{SPOKEN}"}}'),
        ("text", f"text: {SPOKEN}\n"),
        ("vtt", f"vtt: {SPOKEN}\n"),
        (
            "verbose_json",
            f'{{"task":"transcribe","language":"english","duration":0.5,"text":"{SPOKEN}",'
            f'"segments":[{{"id":0,"start":0.0,"end":0.5,"text":"{SPOKEN}"}}]}}',
        ),
    ],
)
async def test_transcripts(adapter: Adapter, form: str, written: str) -> None:
    sound = MediaInput("audio", "audio/wav", SOUND)
    parameters: dict[str, Any] = {"response_format": form, "language": "en", "temperature": 0.5}
    parameters["timestamp_granularities"] = "segment,word"
    assert await adapter.made(Kind.TRANSCRIPTION, "Lake", sound, **parameters) == [written.encode()]
    assert adapter.server.files[-1] == ("file", SOUND)
    sent = {"model": "m", "prompt": "Lake", "response_format": form, "language": "en", "temperature": "0.5", "file": ""}
    assert adapter.server.seen[-1].body == sent | {"timestamp_granularities[]": ["segment", "word"]}


@pytest.mark.parametrize(("fault", "form"), [("none", "json"), ("page", "json"), ("garbage", "json"), ("page", "text")])
async def test_answers_without_a_transcript(adapter: Adapter, fault: str, form: str) -> None:
    sound = MediaInput("audio", "audio/wav", SOUND)
    with pytest.raises(UpstreamError) as raised:
        await adapter.made(Kind.TRANSCRIPTION, f"[{fault}]", sound, response_format=form)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(("prompt", "count"), [("[fewer]", 2), ("[more]", 3)])
async def test_no_more_images_than_were_ordered(adapter: Adapter, prompt: str, count: int) -> None:
    assert len(await adapter.made(Kind.IMAGE, prompt, n=3)) == count


CERTAIN, DOUBT = True, False
FAULTS: list[tuple[str, type[UpstreamError], bool]] = [
    ("moderation", ContentPolicyViolation, CERTAIN),
    ("refused", UpstreamRefused, CERTAIN),
    ("busy", UpstreamBusy, CERTAIN),
    ("unavailable", UpstreamBusy, CERTAIN),
    ("unpaid", UpstreamError, CERTAIN),
    ("unauthorized", UpstreamError, CERTAIN),
    ("no-model", UpstreamError, CERTAIN),
    ("broken", UpstreamError, DOUBT),
    ("lost", UpstreamError, DOUBT),
]
"""What the vendor does, the error, and whether the job may be submitted again."""


@pytest.mark.parametrize("kind", [Kind.IMAGE, Kind.SPEECH, Kind.TRANSCRIPTION])
@pytest.mark.parametrize(("fault", "error", "certain"), FAULTS)
async def test_faults(adapter: Adapter, kind: Kind, fault: str, error: type[UpstreamError], certain: bool) -> None:
    prompt = f"{kind} [{fault}]"
    sound = [MediaInput("audio", "audio/wav", SOUND)] if kind is Kind.TRANSCRIPTION else []
    with pytest.raises(UpstreamError) as raised:
        await adapter.made(kind, prompt, *sound)
    assert type(raised.value) is error
    assert (isinstance(raised.value, UpstreamBusy | UpstreamRefused) or raised.value.not_accepted) is certain
    assert SECRET not in str(raised.value)
    assert adapter.server.accepted[prompt] == (1 if fault == "lost" else 0)


@pytest.mark.parametrize("fault", ["none", "empty", "page", "garbage", "huge"])
async def test_answers_without_an_image(adapter: Adapter, fault: str) -> None:
    with pytest.raises(UpstreamError) as raised:
        await adapter.made(Kind.IMAGE, f"[{fault}]")
    assert SECRET not in str(raised.value)


async def test_answers_without_a_sound(adapter: Adapter) -> None:
    with pytest.raises(AdapterFault):
        await adapter.made(Kind.SPEECH, "[page]")


@pytest.mark.parametrize(
    ("kind", "inputs", "parameters"),
    [
        (Kind.IMAGE, (), {"seed": 7}),
        (Kind.SPEECH, (), {"language": "de"}),
        (Kind.IMAGE, (MediaInput("last_frame", "image/png", b"x"),), {}),
        (Kind.SPEECH, (MediaInput("audio", "audio/wav", b"x"),), {}),
        (Kind.TRANSCRIPTION, (), {}),
        (Kind.TRANSCRIPTION, (MediaInput("audio", "audio/aac", b"x"),), {}),
    ],
)
async def test_what_openai_has_no_form_for(adapter: Adapter, kind: Kind, inputs: Any, parameters: Any) -> None:
    before = len(adapter.server.seen)
    with pytest.raises(UpstreamRefused):
        await adapter.made(kind, "x", *inputs, **parameters)
    assert len(adapter.server.seen) == before


async def test_a_provider_that_cannot_be_reached(adapter: Adapter) -> None:
    provider = Provider(
        name="openai", kind="openai", active=True, base_url="http://127.0.0.1:1/v1", api_key=SecretStr("x")
    )
    async with httpx2.AsyncClient() as http:
        away = Adapter(adapter.server, OpenAIMedia(provider, http))
        with pytest.raises(UpstreamError) as raised:
            await away.made(Kind.IMAGE, "x")
    assert raised.value.not_accepted
    assert not isinstance(raised.value, UpstreamTimeout)
