"""Sora-shaped servers: the double is what OpenAI's SDK expects, and our adapter copes with all that it does."""

from collections.abc import AsyncIterator, Iterator

import openai
import pytest
import pytest_asyncio

from domain.media import Kind
from providers.media_http import media_client
from providers.openai.media import OpenAIMedia
from storage import sniff
from tests.support.doubles import media_files
from tests.support.doubles.sora_server import SoraServer
from tests.support.media_runs import ENDS_OF_POLLED, ENDS_OF_QUEUED, provider, run
from tests.support.submissions import submission

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning"),
]

BROKEN = "upstream_error"


@pytest.fixture(scope="module")
def sora() -> Iterator[SoraServer]:
    with SoraServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adapter(sora: SoraServer) -> AsyncIterator[OpenAIMedia]:
    async with media_client() as http:
        yield OpenAIMedia(provider("openai", sora.url, sora.key), http)


async def test_the_double_is_a_server_for_openais_sdk(sora: SoraServer) -> None:
    async with openai.AsyncOpenAI(base_url=sora.url, api_key=sora.key, max_retries=0) as client:
        picture = ("image.png", media_files.picture(), "image/png")
        created = await client.videos.create(prompt="a lake", model="sora-2", seconds="8", input_reference=picture)
        assert (created.status, created.seconds, sora.pictures[-1]) == ("queued", "8", media_files.picture())
        video = await client.videos.poll(created.id, poll_interval_ms=1)
        assert (video.status, video.progress) == ("completed", 100)
        content = await client.videos.download_content(video.id)
        assert sniff.content_type(await content.aread()) == "video/mp4"
        assert (await client.videos.delete(video.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.videos.retrieve(video.id)
        failed = await client.videos.create_and_poll(prompt="[moderated]", model="sora-2", poll_interval_ms=1)
        assert (failed.status, failed.error and failed.error.code) == ("failed", "moderation_blocked")


@pytest.mark.parametrize("role", [None, "first_frame"])
async def test_a_video_is_made_and_deleted_there(adapter: OpenAIMedia, sora: SoraServer, role: str | None) -> None:
    roles = [role] if role else []
    before = len(sora.seen)
    seen = await run(adapter, submission(Kind.VIDEO, "sora-2", *roles, seconds=8, size="1280x720"))
    assert (seen.end, [sniff.content_type(content) for _, content in seen.files]) == ("done", ["video/mp4"])
    assert sora.seen[before].body == {"model": "sora-2", "prompt": "a cat", "seconds": "8", "size": "1280x720"}
    assert (not roles) or sora.pictures[-1] == b"first_frame"
    for _ in range(2):
        await adapter.discard(seen.job_id)
    assert seen.job_id.removeprefix("video:") in sora.deleted


@pytest.mark.parametrize(("fault", "end", "safe"), [*ENDS_OF_QUEUED, ("no-id", BROKEN, False)])
async def test_videos_that_are_not_accepted(
    adapter: OpenAIMedia, sora: SoraServer, fault: str, end: str, safe: bool
) -> None:
    seen = await run(adapter, submission(Kind.VIDEO, "sora-2", prompt=f"a video [{fault}]"))
    assert (seen.end.removeprefix("submit:"), seen.safe) == (end, safe)
    assert sora.accepted[f"a video [{fault}]"] <= 1


@pytest.mark.parametrize(("fault", "end", "failed_polls"), ENDS_OF_POLLED)
async def test_how_videos_end(adapter: OpenAIMedia, fault: str, end: str, failed_polls: int) -> None:
    seen = await run(adapter, submission(Kind.VIDEO, "sora-2", prompt=f"how [{fault}]"))
    assert (seen.end, seen.failed_polls) == (end, failed_polls)


@pytest.mark.parametrize("roles", [["mask"], ["first_frame", "last_frame"]])
async def test_pictures_that_it_has_no_place_for_are_refused(adapter: OpenAIMedia, roles: list[str]) -> None:
    seen = await run(adapter, submission(Kind.VIDEO, "sora-2", *roles))
    assert (seen.end, seen.safe) == ("submit:invalid_value", True)
