"""OpenAI's media endpoints, through its own SDK: they wait for a job, and a client that leaves has its one job."""

import asyncio
import base64
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import openai
import pytest
import pytest_asyncio
from PIL import Image

from tests.support.media_stack import World, until
from tests.support.openai_media_site import Client, running

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with running(tmp_path_factory.mktemp("openai-media")) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="module")
async def client(world: World) -> AsyncIterator[Client]:
    async with Client.of(world) as client:
        yield client


async def test_images_come_as_base64(client: Client) -> None:
    raw = await client.sdk.images.with_raw_response.generate(
        model="demo-image", prompt="dawn", size="320x200", n=2, quality="high", user="someone"
    )
    answer = raw.parse()
    assert answer.data is not None
    for image in answer.data:
        assert Image.open(BytesIO(base64.b64decode(image.b64_json or ""))).size == (320, 200)
    assert (len(answer.data), answer.size, answer.output_format) == (2, "320x200", "png")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens > 0
    (job,) = await client.jobs()
    assert raw.headers["x-yout-job-id"] == job
    assert raw.headers["x-yout-credits-charged"] == "2000"
    assert raw.headers["x-yout-dropped-parameters"] == "quality"
    assert raw.headers["x-yout-balance"] == str(client.customer.opening - await client.spent())


OF_CHATS = {"max_credits": 1, "models": ["demo-image"], "provider": {"zdr": True}, "route": "fallback", "save": True}


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/images/edits", "/v1/audio/speech", "/v1/videos"])
async def test_what_decides_about_a_chat_is_refused(client: Client, path: str) -> None:
    text = {"input" if path.endswith("speech") else "prompt": "dawn", "image": "data:image/png;base64,"}
    model = {"speech": "demo-speech", "videos": "demo-video"}.get(path.rpartition("/")[2], "demo-image")
    for name, value in (OF_CHATS | {"conversation_id": "a"}).items():
        answer = await client.customer.http.post(path, json={"model": model, **text, name: value})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
        assert f"'{name}' is not taken here" in answer.json()["error"]["message"]
    assert await client.jobs() == []


async def test_a_form_hides_nothing_that_its_client_counts_on(client: Client) -> None:
    files = {"image": ("a.png", b"", "image/png")}
    for name, param in {"provider[zdr]": "provider", "models[]": "models", "privacy[]": "privacy"}.items():
        form = {"model": "demo-image", "prompt": "dawn", name: "strict"}
        answer = await client.customer.http.post("/v1/images/edits", data=form, files=files)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert await client.jobs() == []


async def test_a_header_or_a_key_makes_a_job_strict(client: Client) -> None:
    http, order = client.customer.http, {"model": "demo-image", "prompt": "dawn", "quality": "high"}
    made = await http.post("/api/chat/keys/", json={"name": "strict", "scopes": ["media"], "strict": True})
    keyed = {"authorization": f"Bearer {made.json()['key']}"}
    for headers in ({"x-yout-strict": "true"}, keyed):
        answer = await http.post("/v1/images/generations", json=order, headers=headers)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "quality")
    assert await client.jobs() == []


async def test_images_come_as_links(client: Client) -> None:
    answer = await client.sdk.images.generate(
        model="demo-image",
        prompt="dusk",
        size="64x64",
        response_format="url",
        extra_headers={"idempotency-key": "once"},
    )
    assert answer.data is not None
    link = answer.data[0].url or ""
    fetched = await client.customer.http.get(link)
    assert Image.open(BytesIO(fetched.content)).size == (64, 64)
    again = await client.sdk.images.with_raw_response.generate(
        model="demo-image",
        prompt="dusk",
        size="64x64",
        response_format="url",
        extra_headers={"idempotency-key": "once"},
    )
    assert again.headers["idempotent-replayed"] == "true"
    assert len(await client.jobs()) == 1
    assert await client.spent() == 1000


@pytest.mark.parametrize(("name", "begins"), [("mp3", b"ID3"), ("wav", b"RIFF"), ("opus", b"OggS"), ("flac", b"fLaC")])
async def test_speech_is_streamed(client: Client, name: Any, begins: bytes) -> None:
    async with client.sdk.audio.speech.with_streaming_response.create(
        model="demo-speech", voice="nova", input="Good evening.", response_format=name
    ) as answer:
        content = b"".join([chunk async for chunk in answer.iter_bytes()])
    assert content.startswith(begins)
    assert int(answer.headers["content-length"]) == len(content)
    assert int(answer.headers["x-yout-credits-charged"]) == await client.spent() > 0


async def test_speech_comes_as_events(client: Client) -> None:
    body = {"model": "demo-speech", "voice": {"id": "nova"}, "input": "Good evening.", "stream_format": "sse"}
    async with client.customer.http.stream("POST", "/v1/audio/speech", json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [line async for line in answer.aiter_lines() if line]
    assert events[0].startswith('data: {"type":"speech.audio.delta","audio":"')
    assert events[-1].startswith('data: {"type":"speech.audio.done","usage":{"input_tokens":')


async def test_a_client_that_gives_up_has_one_job_and_one_charge(client: Client) -> None:
    order: dict[str, Any] = {"model": "demo-image-slow", "prompt": "a lake [seconds=8]", "size": "64x64"}
    sdk = client.sdk.with_options(timeout=0.5, max_retries=2)
    with pytest.raises(openai.APITimeoutError):
        await sdk.images.generate(**order)
    (job,) = await until(client.jobs, "the job of the first attempt")
    ended = await client.customer.ended({"job_uuid": job, **order})
    assert ended["status"] == "succeeded"
    assert await client.spent() == 1000
    assert len(client.world.submissions(job)) == 1


async def test_a_retry_gets_the_same_job(client: Client) -> None:
    order = {"model": "demo-image-slow", "prompt": "a hill [seconds=2]", "size": "64x64", "response_format": "url"}
    first = asyncio.create_task(client.customer.http.post("/v1/images/generations", json=order))
    await until(client.jobs, "the first attempt")
    headers = {"x-stainless-retry-count": "1"}
    second = await client.customer.http.post("/v1/images/generations", json=order, headers=headers)
    assert (await first).status_code == second.status_code == 200
    assert (await first).headers["x-yout-job-id"] == second.headers["x-yout-job-id"]
    assert len(await client.jobs()) == 1
    assert await client.spent() == 1000


async def test_a_failed_job_is_an_error_that_no_sdk_repeats(client: Client) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        await client.sdk.with_options(max_retries=2).images.generate(model="demo-image-fail", prompt="x")
    assert caught.value.code == "upstream_error"
    assert "another Idempotency-Key" in caught.value.message
    assert "try again" not in caught.value.message
    (job,) = await client.jobs()
    assert caught.value.response.headers["x-yout-job-id"] == job
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert await client.spent() == 0


async def test_an_input_that_its_vendor_refuses_is_the_callers_to_change(client: Client) -> None:
    with pytest.raises(openai.BadRequestError, match="'prompt' is not something") as caught:
        await client.sdk.images.generate(model="demo-image", prompt="x [refused]")
    assert (caught.value.code, await client.spent()) == ("invalid_value", 0)


REFUSED = [
    ("images/generations", {"model": "demo-image"}, "prompt"),
    ("images/generations", {"model": "demo-image", "prompt": "x", "n": 11}, "n"),
    ("images/generations", {"model": "demo-image", "prompt": "x", "n": "2"}, "n"),
    ("images/generations", {"model": "demo-image", "prompt": "x", "size": "big"}, "size"),
    ("images/generations", {"model": "demo-image", "prompt": "x", "response_format": "gif"}, "response_format"),
    ("images/generations", {"model": "demo-image", "prompt": "x", "stream": True}, "stream"),
    ("images/generations", {"model": "demo-image", "prompt": "x", "partial_images": 2}, "partial_images"),
    ("images/generations", {"model": "demo-image", "prompt": "x", "strict": True, "style": "vivid"}, "style"),
    ("images/generations", {"model": "demo-video", "prompt": "x"}, "model"),
    ("audio/speech", {"model": "demo-speech", "voice": "alloy"}, "input"),
    ("audio/speech", {"model": "demo-speech", "input": "x", "response_format": "ogg"}, "response_format"),
    ("audio/speech", {"model": "demo-speech", "input": "x", "speed": 9}, "speed"),
    ("audio/speech", {"model": "demo-image", "input": "x"}, "model"),
]


@pytest.mark.parametrize(("path", "body", "param"), REFUSED)
async def test_a_wrong_field_is_named(client: Client, path: str, body: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.sdk.post(f"/{path}", body=body, cast_to=object)
    assert caught.value.param == param
    assert await client.jobs() == []


VIDEO: dict[str, Any] = {"model": "demo-video", "prompt": "dusk", "size": "320x180", "seconds": "1"}


async def test_a_video_is_made_listed_fetched_and_deleted(client: Client) -> None:
    sdk = client.sdk.videos
    video = await sdk.create_and_poll(**VIDEO)
    assert (video.status, video.progress, video.size, video.seconds) == ("completed", 100, "320x180", "1")
    assert video.completed_at is not None
    assert (video.expires_at or 0) > video.completed_at >= video.created_at
    content = await (await sdk.download_content(video.id)).aread()
    assert content[4:8] == b"ftyp"
    poster = await (await sdk.download_content(video.id, variant="thumbnail")).aread()
    assert Image.open(BytesIO(poster)).size == (320, 180)
    part = await sdk.with_raw_response.download_content(video.id, extra_headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert part.headers["content-range"] == f"bytes 4-7/{len(content)}"
    assert [each.id async for each in sdk.list()] == [video.id]
    deleted = await sdk.delete(video.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (video.id, True, "video.deleted")
    for call in (sdk.retrieve, sdk.download_content, sdk.delete):
        with pytest.raises(openai.NotFoundError):
            await call(video.id)
    assert [each.id async for each in sdk.list()] == []
    (job,) = await client.jobs()
    ended = await client.customer.job(job)
    assert ended is not None
    assert (ended["status"], ended["outputs"]) == ("succeeded", [])
    assert await client.spent() == ended["credits_cost"]


async def test_videos_are_listed_in_pages(client: Client) -> None:
    ids = [(await client.sdk.videos.create(**VIDEO | {"model": "demo-video-fail"})).id for _ in range(3)]
    page = await client.sdk.videos.list(limit=2)
    assert ([each.id for each in page.data], page.has_more) == (ids[:0:-1], True)
    assert [each.id async for each in client.sdk.videos.list(limit=1, order="asc")] == ids
    failed = await client.sdk.videos.poll(ids[0])
    assert failed.error is not None
    assert (failed.status, failed.error.code, failed.size, failed.seconds) == (
        "failed",
        "upstream_error",
        "320x180",
        "1",
    )
    stranger = await client.world.customer()
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        assert (await stranger.http.request(method, f"/v1/videos/{ids[0]}{path}")).status_code == 404
    assert (await stranger.http.get("/v1/videos", params={"after": ids[0]})).status_code == 404


async def test_a_video_that_is_not_finished_is_neither_fetched_nor_deleted(client: Client) -> None:
    order = VIDEO | {"model": "demo-video-slow", "prompt": "a river [seconds=3]"}
    raw = await client.sdk.videos.with_raw_response.create(**order, extra_headers={"idempotency-key": "a river"})
    video = raw.parse()
    assert (video.status, int(raw.headers["openai-poll-after-ms"]) >= 500) == ("queued", True)
    for call in (client.sdk.videos.download_content, client.sdk.videos.delete):
        with pytest.raises(openai.BadRequestError) as caught:
            await call(video.id)
        assert caught.value.param == "video_id"
    again = await client.sdk.videos.create(**order, extra_headers={"idempotency-key": "a river"})
    assert again.id == video.id
    assert (await client.sdk.videos.poll(video.id)).status == "completed"
    with pytest.raises(openai.BadRequestError) as unknown:
        await client.sdk.videos.download_content(video.id, variant="spritesheet")
    assert unknown.value.param == "variant"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"seconds": "long"}, "seconds"),
        ({"seconds": "0"}, "seconds"),
        ({"size": "huge"}, "size"),
        ({"prompt": ""}, "prompt"),
    ],
)
async def test_a_wrong_field_of_a_video_is_named(client: Client, changes: dict[str, str], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as by_form:
        await client.sdk.videos.create(**VIDEO | changes)
    by_json = await client.customer.http.post("/v1/videos", json=VIDEO | changes)
    assert by_form.value.param == by_json.json()["error"]["param"] == param
    assert await client.jobs() == []
