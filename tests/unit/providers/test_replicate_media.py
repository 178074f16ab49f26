"""The adapter of Replicate, against a double that its own SDK takes for Replicate."""

from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from domain.errors import UpstreamBusy, UpstreamError, UpstreamGone, UpstreamRefused
from domain.media import Kind, MediaInput
from providers.base import MediaProvider, Progress, Stage
from tests.support.doubles import media_files
from tests.support.doubles.replicate_server import KEY, VERSION, ReplicateServer
from tests.support.media_adapters import (
    REFERENCE,
    adapter,
    ended,
    fetched,
    stage_of_cancelled,
    submission,
    submission_fails,
)

FLUX = "black-forest-labs/flux-schnell"
PICTURE = ("image/png", media_files.picture())


@pytest.fixture(scope="module")
def replicate() -> Iterator[ReplicateServer]:
    with ReplicateServer() as server:
        yield server


@pytest.fixture
async def provider(replicate: ReplicateServer) -> AsyncIterator[MediaProvider]:
    async with adapter("replicate", f"{replicate.url}/v1", KEY) as media:
        yield media


async def test_a_job_is_a_prediction(replicate: ReplicateServer, provider: MediaProvider) -> None:
    before = len(replicate.seen)
    job_id = (await provider.submit(submission(FLUX, n=2, aspect_ratio="16:9"))).provider_job_id
    last, states = await ended(provider, job_id)
    assert states == [Progress(Stage.RUNNING, queued=True), Progress(Stage.RUNNING, 42), Progress(Stage.DONE)]
    assert (last.stage, await fetched(provider, job_id)) == (Stage.DONE, [PICTURE] * 2)
    await provider.discard(job_id)
    sent = replicate.seen[before]
    assert (sent.method, sent.path) == ("POST", f"/v1/models/{FLUX}/predictions")
    assert sent.body == {"input": {"prompt": "a lake", "aspect_ratio": "16:9", "num_outputs": 2}}
    assert (sent.headers["cancel-after"], "prefer" in sent.headers) == ("900s", False)
    assert all(REFERENCE not in f"{each.path}{each.headers}{each.body}" for each in replicate.seen[before:])


@pytest.mark.parametrize("model", [VERSION, f"stability-ai/sdxl:{VERSION}"])
async def test_a_version_goes_in_the_body(replicate: ReplicateServer, provider: MediaProvider, model: str) -> None:
    before = len(replicate.seen)
    image = MediaInput("image", "image/png", b"pixels")
    await provider.submit(submission(model, inputs=(image,)))
    body = replicate.seen[before].body
    assert (replicate.seen[before].path, body["version"]) == ("/v1/predictions", model)
    assert body["input"] == {"prompt": "a lake", "image": "data:image/png;base64,cGl4ZWxz"}


@pytest.mark.parametrize(
    ("behaviour", "files"),
    [
        ("string", [("video/mp4", media_files.film())]),
        ("object", [PICTURE]),
        ("nested", [PICTURE] * 2),
        ("early", [PICTURE]),
        ("strange", [PICTURE]),
        ("shaky", [PICTURE]),
        ("half", [PICTURE]),
    ],
)
async def test_a_job_is_made(provider: MediaProvider, behaviour: str, files: list[tuple[str, bytes]]) -> None:
    job_id = (await provider.submit(submission(f"a/b--{behaviour}"))).provider_job_id
    assert (await ended(provider, job_id))[0].stage is Stage.DONE
    assert await fetched(provider, job_id) == files


@pytest.mark.parametrize(
    ("behaviour", "progress"),
    [
        ("policy", Progress(Stage.FAILED, failure="content_policy_violation")),
        ("failed", Progress(Stage.FAILED, failure="upstream_error")),
        ("aborted", Progress(Stage.CANCELLED)),
        ("stopped", Progress(Stage.CANCELLED)),
        ("none", Progress(Stage.FAILED, failure="upstream_error")),
        ("null", Progress(Stage.FAILED, failure="upstream_error")),
        ("removed", Progress(Stage.FAILED, failure="upstream_error")),
        ("words", Progress(Stage.FAILED, failure="upstream_error")),
        ("lost", Progress(Stage.FAILED, failure="upstream_error")),
        ("huge-result", Progress(Stage.FAILED, failure="upstream_error")),
    ],
)
async def test_a_job_that_fails_there_fails_with_a_code_of_ours(
    provider: MediaProvider, behaviour: str, progress: Progress
) -> None:
    job_id = (await provider.submit(submission(f"a/b--{behaviour}"))).provider_job_id
    assert (await ended(provider, job_id))[0] == progress


async def test_a_file_elsewhere_is_not_read(provider: MediaProvider) -> None:
    job_id = (await provider.submit(submission("a/b--elsewhere"))).provider_job_id
    await ended(provider, job_id)
    with pytest.raises(UpstreamGone):
        await fetched(provider, job_id)


@pytest.mark.parametrize(
    ("behaviour", "error", "not_accepted"),
    [
        ("busy", UpstreamBusy, False),
        ("unavailable", UpstreamError, False),
        ("rejected", UpstreamRefused, False),
        ("unpaid", UpstreamError, True),
        ("gone", UpstreamError, True),
        ("broken", UpstreamError, False),
        ("cut", UpstreamError, False),
        ("nameless", UpstreamError, False),
    ],
)
async def test_what_becomes_of_a_submission_is_certain_or_in_doubt(
    replicate: ReplicateServer, provider: MediaProvider, behaviour: str, error: type[UpstreamError], not_accepted: bool
) -> None:
    accepted = partial(replicate.submissions, behaviour)
    raised = await submission_fails(provider, f"a/b--{behaviour}", accepted, error)
    assert raised.not_accepted is not_accepted


@pytest.mark.parametrize(
    ("behaviour", "polls", "stage"),
    [
        ("waiting", 1, Stage.CANCELLED),
        ("never", 2, Stage.CANCELLED),
        ("early", 1, Stage.DONE),
        ("failed", 2, Stage.FAILED),
        ("stubborn", 1, Stage.RUNNING),
    ],
)
async def test_a_cancellation_follows_what_replicate_says(
    provider: MediaProvider, behaviour: str, polls: int, stage: Stage
) -> None:
    assert await stage_of_cancelled(provider, f"a/b--{behaviour}", polls) is stage


async def test_a_job_that_replicate_does_not_know_is_not_billed(provider: MediaProvider) -> None:
    assert (await provider.cancel("0" * 26)).stage is Stage.CANCELLED


async def test_a_model_that_is_no_model_is_refused_before_it_is_sent(
    replicate: ReplicateServer, provider: MediaProvider
) -> None:
    before = len(replicate.seen)
    with pytest.raises(UpstreamRefused):
        await provider.submit(submission("openai/whisper", Kind.TRANSCRIPTION))
    assert len(replicate.seen) == before
