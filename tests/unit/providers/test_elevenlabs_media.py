"""The adapter of ElevenLabs, against a double that its own SDK takes for it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from domain.catalog import Capability
from domain.errors import (
    AdapterFault,
    ContentPolicyViolation,
    RetentionDenied,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
)
from domain.media import Kind
from domain.privacy import PrivacyClass
from providers.base import MediaProvider, Stage, Submitted
from tests.support.doubles import media_files
from tests.support.doubles.elevenlabs_server import KEY, ElevenLabsServer
from tests.support.media_adapters import REFERENCE, adapter, submission

NO_LOGS = frozenset({Capability.DISABLE_LOGGING})


@pytest.fixture(scope="module")
def elevenlabs() -> Iterator[ElevenLabsServer]:
    with ElevenLabsServer() as server:
        yield server


@pytest.fixture
async def provider(elevenlabs: ElevenLabsServer) -> AsyncIterator[MediaProvider]:
    async with adapter("elevenlabs", f"{elevenlabs.url}/v1", KEY, voices="alloy=21m00Tcm4TlvDq8ikWAM") as media:
        yield media


async def spoken(
    provider: MediaProvider, behaviour: str = "", response_format: str = "mp3"
) -> tuple[Submitted, list[tuple[str, str, bytes]]]:
    model = f"eleven_v3--{behaviour}" if behaviour else "eleven_v3"
    order = submission(model, Kind.SPEECH, voice="alloy", response_format=response_format)
    submitted = await provider.submit(order)
    assert submitted.files is not None
    return submitted, [
        (file.content_type, file.extension, b"".join([chunk async for chunk in file.chunks]))
        async for file in submitted.files
    ]


@pytest.mark.parametrize(
    ("response_format", "codec", "file"),
    [
        ("mp3", "mp3_44100_128", ("audio/mpeg", "mp3")),
        ("opus", "opus_48000_128", ("audio/ogg", "ogg")),
        ("wav", "wav_24000", ("audio/wav", "wav")),
        ("pcm", "pcm_24000", ("audio/pcm", "pcm")),
    ],
)
async def test_the_answer_is_the_sound(
    elevenlabs: ElevenLabsServer, provider: MediaProvider, response_format: str, codec: str, file: tuple[str, str]
) -> None:
    before = len(elevenlabs.seen)
    _, files = await spoken(provider, response_format=response_format)
    assert files == [(*file, media_files.sound(file[1]))]
    sent = elevenlabs.seen[before]
    assert sent.path == f"/v1/text-to-speech/21m00Tcm4TlvDq8ikWAM?output_format={codec}"
    assert sent.body == {"text": "a lake", "model_id": "eleven_v3"}
    assert REFERENCE not in f"{sent.path}{sent.headers}{sent.body}"


async def test_what_is_kept_of_a_speech_is_deleted(elevenlabs: ElevenLabsServer, provider: MediaProvider) -> None:
    before = set(elevenlabs.history)
    submitted, _ = await spoken(provider)
    assert len(elevenlabs.history - before) == 1
    for _ in range(2):
        await provider.discard(submitted.provider_job_id)
        assert elevenlabs.history == before


async def test_an_account_without_logs_keeps_nothing(elevenlabs: ElevenLabsServer) -> None:
    before, history = len(elevenlabs.seen), set(elevenlabs.history)
    async with adapter("elevenlabs", f"{elevenlabs.url}/v1", KEY, capabilities=NO_LOGS, voices="") as media:
        order = submission("eleven_v3", Kind.SPEECH, voice="Rachel", privacy=PrivacyClass.ZERO_RETENTION)
        submitted = await media.submit(order)
        await media.discard(submitted.provider_job_id)
    assert [each.path.rpartition("&")[2] for each in elevenlabs.seen[before:]] == ["enable_logging=false"]
    assert elevenlabs.history == history


async def test_a_strict_job_ends_where_it_would_be_kept(elevenlabs: ElevenLabsServer, provider: MediaProvider) -> None:
    before = len(elevenlabs.seen)
    with pytest.raises(RetentionDenied):
        await provider.submit(submission("eleven_v3", Kind.SPEECH, voice="alloy", privacy=PrivacyClass.ZERO_RETENTION))
    assert len(elevenlabs.seen) == before


@pytest.mark.parametrize(
    ("behaviour", "error", "not_accepted", "pause"),
    [
        ("crowded", UpstreamBusy, False, 1),
        ("busy", UpstreamBusy, False, 1),
        ("unavailable", UpstreamBusy, False, None),
        ("unpaid", UpstreamError, True, 60),
        ("standard", UpstreamError, True, 60),
        ("long", UpstreamRefused, False, None),
        ("rejected", UpstreamRefused, False, None),
        ("policy", ContentPolicyViolation, False, None),
        ("broken", UpstreamError, False, None),
        ("lost", UpstreamError, False, None),
        ("json", AdapterFault, False, None),
        ("html", AdapterFault, False, None),
        ("cut", UpstreamError, False, None),
    ],
)
async def test_an_error_is_one_of_ours(
    provider: MediaProvider, behaviour: str, error: type[UpstreamError], not_accepted: bool, pause: int | None
) -> None:
    with pytest.raises(UpstreamError) as raised:
        await spoken(provider, behaviour)
    assert (type(raised.value), raised.value.not_accepted) == (error, not_accepted)
    retry_after = raised.value.retry_after
    assert (None if retry_after is None else retry_after.total_seconds()) == pause
    assert "SECRET" not in str(raised.value)


async def test_an_empty_sound_is_left_to_the_storage(provider: MediaProvider) -> None:
    """Which refuses it, as every file that is none."""
    _, files = await spoken(provider, "empty")
    assert files == [("audio/mpeg", "mp3", b"")]


async def test_there_is_nothing_to_look_up(provider: MediaProvider) -> None:
    assert not provider.find_is_complete
    assert await provider.find(REFERENCE) is None
    assert (await provider.cancel("request:1")).stage is Stage.FAILED
    with pytest.raises(UpstreamError):
        await anext(provider.fetch("request:1"))
