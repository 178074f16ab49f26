"""xAI's media through our adapter: what it is sent, and every way in which a job ends there."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from domain.media import Kind
from domain.privacy import PrivacyClass
from providers.media_http import media_client
from providers.xai import media
from providers.xai.media import XaiMedia
from storage import sniff
from tests.support.doubles.xai_media import XaiMedia as XaiServer
from tests.support.media_runs import ENDS, ENDS_OF_POLLED, ENDS_OF_QUEUED, provider, run
from tests.support.submissions import submission

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE, VIDEO = "grok-imagine-image", "grok-imagine-video"
POLICY, BROKEN = "content_policy_violation", "upstream_error"


@pytest.fixture(scope="module")
def xai() -> Iterator[XaiServer]:
    with XaiServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adapter(xai: XaiServer) -> AsyncIterator[XaiMedia]:
    async with media_client() as http:
        yield media.media(provider("xai", xai.url, xai.key), http)


async def test_images(adapter: XaiMedia, xai: XaiServer) -> None:
    before = len(xai.seen)
    seen = await run(adapter, submission(Kind.IMAGE, IMAGE, n=2, aspect_ratio="16:9"))
    assert (seen.end, len(seen.files)) == ("done", 2)
    edited = await run(adapter, submission(Kind.IMAGE, IMAGE, "image"))
    assert [sniff.content_type(content) for _, content in edited.files] == ["image/png"]
    assert [call.path for call in xai.seen[before:]] == ["/v1/images/generations", "/v1/images/edits"]
    assert xai.seen[-2].body == {
        "model": IMAGE,
        "prompt": "a cat",
        "n": 2,
        "aspect_ratio": "16:9",
        "response_format": "b64_json",
    }


async def test_videos(adapter: XaiMedia, xai: XaiServer) -> None:
    before = len(xai.seen)
    seen = await run(adapter, submission(Kind.VIDEO, VIDEO, "image", seconds=4, size="1280x720"))
    assert (seen.end, [sniff.content_type(content) for _, content in seen.files]) == ("done", ["video/mp4"])
    assert {call.headers["Authorization"] for call in xai.seen[before:]} == {f"Bearer {xai.key}"}


@pytest.mark.parametrize(
    ("fault", "end", "safe"),
    [*ENDS, ("moderated", POLICY, True), ("rejected", POLICY, True), ("empty", BROKEN, False)],
)
async def test_images_that_are_not_made(adapter: XaiMedia, fault: str, end: str, safe: bool) -> None:
    seen = await run(adapter, submission(Kind.IMAGE, IMAGE, prompt=f"an image [{fault}]"))
    assert (seen.end.removeprefix("submit:"), seen.safe) == (end, safe)


async def test_a_key_that_is_wrong_is_no_fault_of_the_caller(xai: XaiServer) -> None:
    async with media_client() as http:
        seen = await run(media.media(provider("xai", xai.url, "another"), http), submission(Kind.IMAGE, IMAGE))
    assert (seen.end, seen.safe) == (f"submit:{BROKEN}", True)


async def test_what_xai_keeps_against_its_word_is_made_once_and_then_no_more_asked_for(xai: XaiServer) -> None:
    strict = submission(Kind.IMAGE, IMAGE, prompt="strict [kept]", privacy=PrivacyClass.ZERO_RETENTION)
    async with media_client() as http:
        adapter = media.media(provider("xai", xai.url, xai.key), http)
        seen = [await run(adapter, strict) for _ in range(3)]
        others = await run(adapter, submission(Kind.IMAGE, IMAGE, prompt="any [kept]"))
        unkept = await run(adapter, submission(Kind.IMAGE, IMAGE, prompt="another"))
        again = await run(adapter, strict)
    assert [(one.end, one.safe) for one in seen] == [(f"submit:{BROKEN}", safe) for safe in (False, True, True)]
    assert (others.end, unkept.end) == ("done", "done")
    assert (again.safe, xai.accepted["strict [kept]"]) == (False, 2)


async def test_images_of_which_some_are_held_back(adapter: XaiMedia) -> None:
    seen = await run(adapter, submission(Kind.IMAGE, IMAGE, prompt="three [partly]", n=3))
    assert (seen.end, len(seen.files)) == ("done", 1)


@pytest.mark.parametrize(("fault", "end", "safe"), [*ENDS_OF_QUEUED, ("no-id", BROKEN, False)])
async def test_videos_that_are_not_accepted(
    adapter: XaiMedia, xai: XaiServer, fault: str, end: str, safe: bool
) -> None:
    seen = await run(adapter, submission(Kind.VIDEO, VIDEO, prompt=f"a video [{fault}]"))
    assert (seen.end.removeprefix("submit:"), seen.safe) == (end, safe)
    assert xai.accepted[f"a video [{fault}]"] <= 1


@pytest.mark.parametrize(
    ("fault", "end", "failed_polls"),
    [
        *ENDS_OF_POLLED,
        ("quick", "done", 0),
        ("expires", BROKEN, 0),
        ("rejected-late", POLICY, 0),
        ("empty", BROKEN, 0),
        ("elsewhere", "fetch:upstream_error", 0),
    ],
)
async def test_how_videos_end(adapter: XaiMedia, fault: str, end: str, failed_polls: int) -> None:
    seen = await run(adapter, submission(Kind.VIDEO, VIDEO, prompt=f"how [{fault}]"))
    assert (seen.end, seen.failed_polls) == (end, failed_polls)


async def test_a_video_of_the_wrong_type_shows_in_its_bytes(adapter: XaiMedia) -> None:
    seen = await run(adapter, submission(Kind.VIDEO, VIDEO, prompt="[wrong-type]"))
    assert [sniff.content_type(content) for _, content in seen.files] == [None]
