"""Google's media through our adapter: what it is sent, and every way in which a job ends there."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from domain.errors import OutputTooLarge, RetentionDenied
from domain.media import Kind
from domain.privacy import PrivacyClass
from providers.base import Progress, Stage
from providers.gemini import media_jobs, vertex
from providers.gemini.media_jobs import GeminiMedia
from providers.media_http import media_client
from storage import sniff
from tests.support.doubles.google_media import GoogleMedia
from tests.support.key_files import key_file
from tests.support.media_runs import ENDS, ENDS_OF_QUEUED, Run, provider, run
from tests.support.submissions import REFERENCE, submission

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE, SPEECH = "gemini-3.1-flash-image", "gemini-3.8-flash-tts"
VEO, OMNI = "veo-3.1-generate-001", "gemini-omni-1.1-flash"
POLICY, BROKEN = "content_policy_violation", "upstream_error"


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleMedia]:
    with GoogleMedia() as server:
        yield server


@pytest.fixture(scope="module")
def document(google: GoogleMedia) -> str:
    return json.dumps(key_file(google.origin))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def studio(google: GoogleMedia) -> AsyncIterator[GeminiMedia]:
    async with media_client() as http:
        yield media_jobs.at_studio(provider("gemini", f"{google.origin}/v1beta", google.key), http)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(google: GoogleMedia, document: str) -> AsyncIterator[GeminiMedia]:
    async with media_client() as http:
        options = {"location": "us-central1"}
        yield vertex.media(provider("vertex", f"{google.origin}/v1beta1", document, options=options), http)


@pytest.fixture
def adapters(studio: GeminiMedia, cloud: GeminiMedia) -> dict[str, GeminiMedia]:
    return {"studio": studio, "cloud": cloud}


def types(seen: Run) -> list[str | None]:
    return [sniff.content_type(content) for _, content in seen.files]


@pytest.mark.parametrize("where", ["studio", "cloud"])
async def test_images(adapters: dict[str, GeminiMedia], google: GoogleMedia, where: str) -> None:
    before = len(google.seen)
    seen = await run(adapters[where], submission(Kind.IMAGE, IMAGE, "image", n=2, seed=7, size="1024x1024"))
    assert (seen.end, types(seen), seen.job_id) == ("done", ["image/png"] * 2, f"made:{REFERENCE}")
    sent = google.seen[before:]
    assert sorted(call.body["generationConfig"]["seed"] for call in sent) == [7, 8]
    assert [call.body.get("store") for call in sent] == [None if where == "cloud" else False] * 2
    project = "/v1beta1/projects/of-the-key/locations/us-central1/publishers/google/models"
    base = project if where == "cloud" else "/v1beta/models"
    assert {call.path for call in sent} == {f"{base}/{IMAGE}:generateContent"}
    assert REFERENCE not in json.dumps([call.body for call in sent])


@pytest.mark.parametrize("model", [SPEECH, "gemini-2.5-flash-preview-tts"])
@pytest.mark.parametrize(("wanted", "content_type"), [("wav", "audio/wav"), ("pcm", "audio/pcm")])
async def test_speech(studio: GeminiMedia, model: str, wanted: str, content_type: str) -> None:
    ordered = submission(Kind.SPEECH, model, prompt="Hi.", voice="Kore", response_format=wanted)
    seen = await run(studio, ordered)
    ((kind, content),) = seen.files
    assert kind == content_type
    assert (sniff.content_type(content) == "audio/wav") is (wanted == "wav")


@pytest.mark.parametrize(("where", "model"), [("studio", VEO), ("cloud", VEO), ("studio", OMNI)])
async def test_videos(adapters: dict[str, GeminiMedia], google: GoogleMedia, where: str, model: str) -> None:
    more: Any = {} if model == OMNI else {"n": 2}
    ordered = submission(Kind.VIDEO, model, "first_frame", size="1280x720", seconds=4.0, **more)
    seen = await run(adapters[where], ordered)
    assert (seen.end, types(seen)) == ("done", ["video/mp4"] * (1 if model == OMNI else 2))
    assert google.accepted["a cat"] >= 1
    await adapters[where].discard(seen.job_id)
    assert google.deleted == ([seen.job_id.partition(":")[2]] if model == OMNI else google.deleted)


IN_ANSWERS = [
    ("moderated", POLICY, True),
    ("prohibited", POLICY, True),
    ("no-image", POLICY, True),
    ("blocked", POLICY, True),
    ("empty", "invalid_value", True),
    ("no-candidates", BROKEN, False),
    ("not-base64", BROKEN, False),
    ("error-with-200", BROKEN, False),
]


@pytest.mark.parametrize(("fault", "end", "safe"), [*ENDS, *IN_ANSWERS])
async def test_images_that_are_not_made(studio: GeminiMedia, fault: str, end: str, safe: bool) -> None:
    seen = await run(studio, submission(Kind.IMAGE, IMAGE, prompt=f"an image [{fault}]"))
    assert (seen.end.removeprefix("submit:"), seen.safe) == (end, safe)


@pytest.mark.parametrize(("fault", "made"), [("moderated-once", 2), ("busy-once", 2), ("lost-once", 2)])
async def test_some_of_the_images(studio: GeminiMedia, google: GoogleMedia, fault: str, made: int) -> None:
    seen = await run(studio, submission(Kind.IMAGE, IMAGE, prompt=f"three [{fault}]", n=3))
    assert (seen.end, len(seen.files)) == ("done", made)


@pytest.mark.parametrize("ending", [*ENDS_OF_QUEUED, ("no-id", BROKEN, False)])
@pytest.mark.parametrize("model", [VEO, OMNI])
async def test_videos_that_are_not_accepted(
    studio: GeminiMedia, google: GoogleMedia, model: str, ending: tuple[str, str, bool]
) -> None:
    fault, end, safe = ending
    prompt = f"{model} [{fault}]"
    seen = await run(studio, submission(Kind.VIDEO, model, prompt=prompt))
    assert (seen.end.removeprefix("submit:"), seen.safe) == (end, safe)
    assert google.accepted[prompt] <= 1


@pytest.mark.parametrize(
    "ending",
    [
        ("lost-poll", "done", 1),
        ("broken-poll", "done", 1),
        ("busy-poll", "done", 1),
        ("garbage-poll", "done", 1),
        ("never", "running", 0),
        ("forgotten", BROKEN, 4),
        ("fails", BROKEN, 0),
        ("moderated", POLICY, 0),
        ("empty", BROKEN, 0),
    ],
)
@pytest.mark.parametrize(("where", "model"), [("studio", VEO), ("cloud", VEO), ("studio", OMNI)])
async def test_how_videos_end(
    adapters: dict[str, GeminiMedia], where: str, model: str, ending: tuple[str, str, int]
) -> None:
    fault, end, failed_polls = ending
    seen = await run(adapters[where], submission(Kind.VIDEO, model, prompt=f"{where} {model} [{fault}]"))
    assert (seen.end, seen.failed_polls) == (end, failed_polls)


async def test_videos_of_which_some_are_filtered(cloud: GeminiMedia) -> None:
    assert len((await run(cloud, submission(Kind.VIDEO, VEO, prompt="two [partly]", n=2))).files) == 1


@pytest.mark.parametrize("where", ["studio", "cloud"])
async def test_a_video_of_the_wrong_type_shows_in_its_bytes(adapters: dict[str, GeminiMedia], where: str) -> None:
    seen = await run(adapters[where], submission(Kind.VIDEO, VEO, prompt="[wrong-type]"))
    assert types(seen) == [None]


async def test_an_operation_that_is_too_large(cloud: GeminiMedia, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_jobs, "MAX_VIDEOS", 1 << 20)
    submitted = await cloud.submit(submission(Kind.VIDEO, VEO, prompt="[huge-video]"))
    assert (await cloud.poll(submitted.provider_job_id)).stage is Stage.RUNNING
    with pytest.raises(OutputTooLarge):
        await cloud.poll(submitted.provider_job_id)


@pytest.mark.parametrize(
    ("model", "after"),
    [(OMNI, Progress(Stage.CANCELLED)), (VEO, Progress(Stage.RUNNING, unstoppable=True))],
)
async def test_an_interaction_can_be_cancelled_and_an_operation_cannot(
    studio: GeminiMedia, model: str, after: Progress
) -> None:
    submitted = await studio.submit(submission(Kind.VIDEO, model, prompt="[never]"))
    assert await studio.cancel(submitted.provider_job_id) == after


@pytest.mark.parametrize("privacy", [PrivacyClass.NO_TRAINING, PrivacyClass.ZERO_RETENTION])
async def test_nothing_that_may_not_be_kept_runs_in_the_background(
    studio: GeminiMedia, google: GoogleMedia, privacy: PrivacyClass
) -> None:
    before = len(google.seen)
    with pytest.raises(RetentionDenied):
        await studio.submit(submission(Kind.VIDEO, OMNI, privacy=privacy))
    assert len(google.seen) == before


async def test_one_token_serves_all_calls_and_another_follows_one_that_is_refused(
    cloud: GeminiMedia, google: GoogleMedia
) -> None:
    ordered = submission(Kind.IMAGE, IMAGE, n=3)
    assert (await run(cloud, ordered)).end == "done"
    assert len(google.minted) == 1
    google.minted[:] = [f"revoked-{token}" for token in google.minted]
    assert (await run(cloud, ordered)).safe
    assert (await run(cloud, ordered)).end == "done"
