"""OpenRouter's media through our adapter: what it is sent, and every way in which a job ends there."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from domain.errors import RetentionDenied
from domain.media import Kind
from domain.privacy import PrivacyClass
from providers.media_http import media_client
from providers.openrouter import media
from providers.openrouter.media import OpenRouterMedia
from storage import sniff
from tests.support.doubles.openrouter_media import OpenRouterMedia as OpenRouterServer
from tests.support.media_runs import ENDS, ENDS_OF_POLLED, ENDS_OF_QUEUED, provider, run
from tests.support.submissions import submission

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE, VIDEO = "google/gemini-3.1-flash-image", "google/veo-3.1"
POLICY, BROKEN = "content_policy_violation", "upstream_error"
STRICT = PrivacyClass.ZERO_RETENTION
AT_ANY = [
    ("blocked", POLICY, True),
    ("no-provider", BROKEN, True),
    ("no-credit", BROKEN, True),
    ("error-with-200", BROKEN, False),
    ("blocked-with-200", POLICY, True),
]


@pytest.fixture(scope="module")
def router() -> Iterator[OpenRouterServer]:
    with OpenRouterServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adapter(router: OpenRouterServer) -> AsyncIterator[OpenRouterMedia]:
    async with media_client() as http:
        yield media.media(provider("openrouter", router.url, router.key), http)


async def test_images(adapter: OpenRouterMedia, router: OpenRouterServer) -> None:
    seen = await run(adapter, submission(Kind.IMAGE, IMAGE, "image", n=2, size="1024x1024"))
    assert (seen.end, len(seen.files)) == ("done", 2)
    assert router.seen[-1].path == "/api/v1/images"
    assert "provider" not in router.seen[-1].body


async def test_what_may_not_be_kept_goes_where_the_signal_is(
    adapter: OpenRouterMedia, router: OpenRouterServer
) -> None:
    before = len(router.seen)
    seen = await run(adapter, submission(Kind.IMAGE, IMAGE, n=2, privacy=STRICT))
    assert [sniff.content_type(content) for _, content in seen.files] == ["image/png"] * 2
    sent = router.seen[before:]
    assert [call.path for call in sent] == ["/api/v1/chat/completions"] * 2
    assert [call.body["provider"] for call in sent] == [{"data_collection": "deny", "zdr": True}] * 2


async def test_videos_may_be_kept(adapter: OpenRouterMedia, router: OpenRouterServer) -> None:
    before = len(router.seen)
    with pytest.raises(RetentionDenied):
        await adapter.submit(submission(Kind.VIDEO, VIDEO, privacy=STRICT))
    assert len(router.seen) == before


async def test_videos(adapter: OpenRouterMedia) -> None:
    seen = await run(adapter, submission(Kind.VIDEO, VIDEO, "first_frame", seconds=4, resolution="720p"))
    assert (seen.end, [sniff.content_type(content) for _, content in seen.files]) == ("done", ["video/mp4"])


@pytest.mark.parametrize("privacy", [PrivacyClass.UNKNOWN, STRICT])
@pytest.mark.parametrize(("fault", "end", "safe"), [*ENDS, *AT_ANY])
async def test_images_that_are_not_made(
    adapter: OpenRouterMedia, privacy: PrivacyClass, fault: str, end: str, safe: bool
) -> None:
    ordered = submission(Kind.IMAGE, IMAGE, prompt=f"an image {privacy} [{fault}]", privacy=privacy)
    seen = await run(adapter, ordered)
    assert (seen.end.removeprefix("submit:"), seen.safe) == (end, safe)


@pytest.mark.parametrize(
    ("privacy", "fault", "end"),
    [(PrivacyClass.UNKNOWN, "empty", BROKEN), (STRICT, "empty", "invalid_value"), (STRICT, "filtered", POLICY)],
)
async def test_answers_without_an_image(adapter: OpenRouterMedia, privacy: PrivacyClass, fault: str, end: str) -> None:
    seen = await run(adapter, submission(Kind.IMAGE, IMAGE, prompt=f"none [{fault}]", privacy=privacy))
    assert seen.end == f"submit:{end}"


async def test_fewer_images_than_were_ordered(adapter: OpenRouterMedia) -> None:
    seen = await run(adapter, submission(Kind.IMAGE, IMAGE, prompt="three [partly]", n=3))
    assert (seen.end, len(seen.files)) == ("done", 1)


@pytest.mark.parametrize(("fault", "end", "safe"), [*ENDS_OF_QUEUED, *AT_ANY, ("no-id", BROKEN, False)])
async def test_videos_that_are_not_accepted(
    adapter: OpenRouterMedia, router: OpenRouterServer, fault: str, end: str, safe: bool
) -> None:
    seen = await run(adapter, submission(Kind.VIDEO, VIDEO, prompt=f"a video [{fault}]"))
    assert (seen.end.removeprefix("submit:"), seen.safe) == (end, safe)
    assert router.accepted[f"a video [{fault}]"] <= 1


@pytest.mark.parametrize(
    ("fault", "end", "failed_polls"),
    [*ENDS_OF_POLLED, ("expires", BROKEN, 0), ("cancels", "cancelled", 0), ("empty", BROKEN, 0)],
)
async def test_how_videos_end(adapter: OpenRouterMedia, fault: str, end: str, failed_polls: int) -> None:
    seen = await run(adapter, submission(Kind.VIDEO, VIDEO, prompt=f"how [{fault}]"))
    assert (seen.end, seen.failed_polls) == (end, failed_polls)


async def test_a_video_of_the_wrong_type_shows_in_its_bytes(adapter: OpenRouterMedia) -> None:
    seen = await run(adapter, submission(Kind.VIDEO, VIDEO, prompt="[wrong-type]"))
    assert [sniff.content_type(content) for _, content in seen.files] == [None]
