"""OpenAI's media endpoints that take files, through its own SDK: edits, transcriptions, videos with a picture."""

import base64
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import openai
import pytest
import pytest_asyncio
from PIL import Image

from tests.support.forged_sounds import FORGERIES
from tests.support.media_samples import film, picture, sound
from tests.support.media_stack import World
from tests.support.openai_media_site import Client, running

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning"),
]
PNG = ("photo.png", picture(), "image/png")
WAV = ("talk.wav", sound("wav", "pcm_s16le", 2.0), "audio/wav")
URI = "data:image/png;base64," + base64.b64encode(picture()).decode()
EDIT: dict[str, Any] = {"model": "demo-image", "prompt": "a hat", "size": "320x200"}
RECORDING: dict[str, Any] = {"model": "demo-transcription", "file": WAV}
VIDEO: dict[str, Any] = {"model": "demo-video", "prompt": "dusk", "size": "320x180", "seconds": "1"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with running(tmp_path_factory.mktemp("openai-media-files")) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="module")
async def client(world: World) -> AsyncIterator[Client]:
    async with Client.of(world) as client:
        yield client


async def test_pictures_are_edited(client: Client) -> None:
    once = {"idempotency-key": "hat"}
    edited = await client.sdk.images.edit(**EDIT, image=[PNG, PNG], mask=PNG, n=2, extra_headers=once)
    assert edited.data is not None
    pictures = [base64.b64decode(each.b64_json or "") for each in edited.data]
    assert [Image.open(BytesIO(each)).size for each in pictures] == [(320, 200)] * 2
    again = await client.sdk.images.edit(**EDIT, image=[PNG, PNG], mask=PNG, n=2, extra_headers=once)
    assert again.data == edited.data
    other = ("photo.png", picture(65), "image/png")
    with pytest.raises(openai.UnprocessableEntityError):
        await client.sdk.images.edit(**EDIT, image=[PNG, other], mask=PNG, n=2, extra_headers=once)
    assert (await client.states(), await client.spent()) == ([("succeeded", 0)], 2000)


async def test_pictures_are_edited_by_json(client: Client) -> None:
    for image in (URI, {"image_url": URI}, [URI]):
        answer = await client.customer.http.post("/v1/images/edits", json=EDIT | {"image": image})
        assert answer.status_code == 200, answer.text
    assert await client.spent() == 3000


@pytest.mark.parametrize(
    ("form", "begins"),
    [("json", '{"text'), ("verbose_json", '{"task'), ("srt", "1\n00:00:00,000 --> "), ("vtt", "WEBVTT")],
)
async def test_a_recording_is_written_down(client: Client, form: Any, begins: str) -> None:
    raw = await client.sdk.audio.transcriptions.with_raw_response.create(
        **RECORDING, response_format=form, prompt="Lake", chunking_strategy="auto"
    )
    assert raw.text.startswith(begins)
    assert raw.headers["content-type"].startswith("application/json" if "json" in form else "text/plain")
    assert raw.headers["x-yout-dropped-parameters"] == "chunking_strategy"
    assert (raw.headers["x-yout-credits-charged"], await client.spent()) == ("200", 200)
    assert await client.states() == [("succeeded", 0)]


@pytest.mark.parametrize("granularities", [["word"], ["segment"], ["word", "segment"]])
async def test_words_and_segments_have_times(client: Client, granularities: Any) -> None:
    text = await client.sdk.audio.transcriptions.create(
        **RECORDING, response_format="verbose_json", timestamp_granularities=granularities
    )
    assert (text.words is not None, text.segments is not None) == ("word" in granularities, "segment" in granularities)
    assert "".join(word.word for word in text.words or ()) in text.text.replace(" ", "").replace(".", "")
    assert text.usage is not None
    assert (text.usage.type, text.usage.seconds) == ("duration", 2.0)


@pytest.mark.parametrize("form", FORGERIES)
async def test_a_recording_costs_what_it_sounds_like_and_not_what_it_says(client: Client, form: str) -> None:
    container, codec, forge = FORGERIES[form]
    file = (f"talk.{form}", forge(sound(container, codec, 4.0)))
    raw = await client.sdk.audio.transcriptions.with_raw_response.create(model="demo-transcription", file=file)
    assert int(raw.headers["x-yout-credits-charged"]) == pytest.approx(400, abs=8)


async def test_a_transcript_is_an_object_a_text_or_a_stream(client: Client) -> None:
    whole = await client.sdk.audio.transcriptions.create(**RECORDING)
    verbose = await client.sdk.audio.transcriptions.create(**RECORDING, response_format="verbose_json")
    assert whole.usage is not None
    assert (whole.usage.type, whole.usage.seconds) == ("duration", 2.0)
    assert [segment.start for segment in verbose.segments or ()] == [0, 2, 4]
    assert verbose.text == whole.text
    assert await client.sdk.audio.transcriptions.create(**RECORDING, response_format="text") == whole.text + "\n"
    stream = await client.sdk.audio.transcriptions.create(**RECORDING, stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[-1].text == whole.text


async def test_a_failed_transcription_costs_nothing(client: Client) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        await client.sdk.audio.transcriptions.create(**RECORDING | {"model": "demo-transcription-fail"})
    assert (caught.value.code, await client.spent()) == ("upstream_error", 0)
    assert await client.states() == [("failed", 0)]


async def test_a_video_begins_with_a_picture(client: Client) -> None:
    by_form = await client.sdk.videos.create_and_poll(**VIDEO, input_reference=PNG)
    by_json = await client.customer.http.post("/v1/videos", json=VIDEO | {"input_reference": {"image_url": URI}})
    assert (by_form.status, (await client.sdk.videos.poll(by_json.json()["id"])).status) == ("completed", "completed")
    assert await client.states() == [("succeeded", 0)] * 2


async def test_more_than_an_account_has_is_not_begun(client: Client) -> None:
    poor = await client.world.customer(199)
    sdk = client.sdk.with_options(api_key=poor.token)
    with pytest.raises(openai.APIStatusError) as caught:
        await sdk.audio.transcriptions.create(**RECORDING)
    assert caught.value.status_code == 402


SILENT = ("film.mp4", film(0.2), "video/mp4")
CUT = ("talk.m4a", sound("ipod", "aac")[:400], "audio/mp4")
NOISE = ("a.wav", b"noise", "audio/wav")
REFUSED: list[tuple[str, dict[str, Any], list[tuple[str, Any]], str]] = [
    ("images/edits", EDIT, [], "image"),
    ("images/edits", EDIT, [("image", NOISE)], "image"),
    ("images/edits", EDIT, [("image", PNG), ("mask", PNG), ("mask", PNG)], "mask"),
    ("images/edits", EDIT, [("image", PNG), ("markup", PNG)], "markup"),
    ("images/edits", EDIT | {"n": "many"}, [("image", PNG)], "n"),
    ("images/edits", EDIT | {"image": "upload_" + "0" * 32}, [], "image"),
    ("audio/transcriptions", {"model": "demo-transcription"}, [], "file"),
    ("audio/transcriptions", {"model": "demo-transcription"}, [("file", NOISE)], "file"),
    ("audio/transcriptions", {"model": "demo-transcription"}, [("file", SILENT)], "file"),
    ("audio/transcriptions", {"model": "demo-transcription"}, [("file", CUT)], "file"),
    ("audio/transcriptions", {"model": "demo-speech"}, [("file", WAV)], "model"),
    ("audio/transcriptions", {"model": "demo-transcription", "temperature": "hot"}, [("file", WAV)], "temperature"),
    (
        "audio/transcriptions",
        {"model": "demo-transcription", "response_format": "diarized_json"},
        [("file", WAV)],
        "response_format",
    ),
    (
        "audio/transcriptions",
        {"model": "demo-transcription", "timestamp_granularities[]": "word"},
        [("file", WAV)],
        "timestamp_granularities",
    ),
    (
        "audio/transcriptions",
        {"model": "demo-transcription", "timestamp_granularities[]": "letter", "response_format": "verbose_json"},
        [("file", WAV)],
        "timestamp_granularities",
    ),
    (
        "audio/transcriptions",
        {"model": "demo-transcription", "response_format": "srt", "stream": "true"},
        [("file", WAV)],
        "stream",
    ),
    ("videos", VIDEO, [("input_reference", NOISE)], "input_reference"),
    ("videos", VIDEO, [("video", PNG)], "video"),
]


@pytest.mark.parametrize(("path", "fields", "files", "param"), REFUSED)
async def test_a_wrong_file_is_named(
    client: Client, path: str, fields: dict[str, Any], files: list[tuple[str, Any]], param: str
) -> None:
    texts = [(name, (None, value)) for name, value in fields.items()]
    answer = await client.customer.http.post(f"/v1/{path}", files=[*texts, *files])
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
    assert await client.states() == []
