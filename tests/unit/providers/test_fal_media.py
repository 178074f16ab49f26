"""The adapter of fal, against a double that fal's own SDK takes for fal."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial
from typing import cast

import pytest

from domain.errors import ContentPolicyViolation, UpstreamBusy, UpstreamError, UpstreamGone, UpstreamRefused
from domain.media import Kind, MediaInput
from providers.base import MediaProvider, Progress, Stage
from tests.support.doubles import media_files
from tests.support.doubles.fal_server import KEY, FalServer
from tests.support.media_adapters import (
    REFERENCE,
    adapter,
    ended,
    fetched,
    stage_of_cancelled,
    submission,
    submission_fails,
)

FLUX = "fal-ai/flux/dev"
PICTURE = ("image/png", media_files.picture())


@pytest.fixture(scope="module")
def fal() -> Iterator[FalServer]:
    with FalServer() as server:
        yield server


@pytest.fixture
async def provider(fal: FalServer) -> AsyncIterator[MediaProvider]:
    async with adapter("fal", fal.url, KEY) as media:
        yield media


async def test_a_job_goes_through_the_queue(fal: FalServer, provider: MediaProvider) -> None:
    before = len(fal.seen)
    job_id = (await provider.submit(submission(FLUX, n=2, size="512x512"))).provider_job_id
    last, states = await ended(provider, job_id)
    assert [(state.stage, state.queued) for state in states] == [
        (Stage.RUNNING, True),
        (Stage.RUNNING, False),
        (Stage.DONE, False),
    ]
    assert (last, await fetched(provider, job_id)) == (Progress(Stage.DONE), [PICTURE] * 2)
    await provider.discard(job_id)
    sent = fal.seen[before]
    assert (sent.method, sent.path) == ("POST", "/fal-ai/flux/dev")
    assert sent.body == {"prompt": "a lake", "num_images": 2, "image_size": {"width": 512, "height": 512}}
    assert all(REFERENCE not in f"{each.path}{each.headers}{each.body}" for each in fal.seen[before:])


async def test_the_signal_against_storing_is_set_over_what_an_operator_sends(
    fal: FalServer, provider: MediaProvider
) -> None:
    before = len(fal.seen)
    await provider.submit(submission(FLUX))
    headers = fal.seen[before].headers
    assert (headers["x-fal-store-io"], headers["x-fal-no-retry"]) == ("0", "1")
    assert headers["x-fal-object-lifecycle-preference"] == '{"expiration_duration_seconds": 3600}'
    assert headers["x-fal-request-timeout"] == "900"


async def test_input_files_go_as_data_uris_to_the_endpoint_that_takes_them(
    fal: FalServer, provider: MediaProvider
) -> None:
    before = len(fal.seen)
    first = MediaInput("first_frame", "image/png", b"pixels")
    await provider.submit(submission("fal-ai/veo3.1", Kind.VIDEO, inputs=(first,), seconds=8))
    sent = fal.seen[before]
    assert sent.path == "/fal-ai/veo3.1/image-to-video"
    assert sent.body == {"prompt": "a lake", "duration": "8s", "image_url": "data:image/png;base64,cGl4ZWxz"}


@pytest.mark.parametrize(
    ("behaviour", "kind", "file"),
    [
        ("video", Kind.VIDEO, ("video/mp4", media_files.film())),
        ("audio", Kind.SPEECH, ("audio/mpeg", media_files.sound())),
        ("early", Kind.IMAGE, PICTURE),
        ("strange", Kind.IMAGE, PICTURE),
        ("shaky", Kind.IMAGE, PICTURE),
        ("wandering", Kind.IMAGE, PICTURE),
    ],
)
async def test_a_job_is_made(provider: MediaProvider, behaviour: str, kind: Kind, file: tuple[str, bytes]) -> None:
    job_id = (await provider.submit(submission(f"{FLUX}--{behaviour}", kind))).provider_job_id
    assert (await ended(provider, job_id))[0] == Progress(Stage.DONE)
    assert await fetched(provider, job_id) == [file]


@pytest.mark.parametrize(
    ("behaviour", "failure"),
    [
        ("policy", "content_policy_violation"),
        ("nsfw", "content_policy_violation"),
        ("invalid", "invalid_value"),
        ("late", "upstream_timeout"),
        ("failed", "upstream_error"),
        ("unwell", "upstream_error"),
        ("none", "upstream_error"),
        ("lost", "upstream_error"),
        ("huge-result", "upstream_error"),
    ],
)
async def test_a_job_that_fails_there_fails_with_a_code_of_ours(
    provider: MediaProvider, behaviour: str, failure: str
) -> None:
    job_id = (await provider.submit(submission(f"{FLUX}--{behaviour}"))).provider_job_id
    assert (await ended(provider, job_id))[0] == Progress(Stage.FAILED, failure=failure)


@pytest.mark.parametrize("behaviour", ["mixed", "half"])
async def test_files_that_are_blackened_or_gone_are_left_out(provider: MediaProvider, behaviour: str) -> None:
    job_id = (await provider.submit(submission(f"{FLUX}--{behaviour}", n=2))).provider_job_id
    await ended(provider, job_id)
    assert await fetched(provider, job_id) == [PICTURE]


async def test_a_file_elsewhere_is_not_read(provider: MediaProvider) -> None:
    job_id = (await provider.submit(submission(f"{FLUX}--elsewhere"))).provider_job_id
    await ended(provider, job_id)
    with pytest.raises(UpstreamGone):
        await fetched(provider, job_id)


async def test_a_file_without_end_is_read_piece_by_piece(provider: MediaProvider) -> None:
    """What stores it counts, and stops."""
    job_id = (await provider.submit(submission(f"{FLUX}--huge"))).provider_job_id
    await ended(provider, job_id)
    size = 0
    async for file in provider.fetch(job_id):
        async with aclosing(cast("AsyncGenerator[bytes, None]", file.chunks)) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > 1 << 20:
                    break
    assert 1 << 20 < size < 2 << 20


@pytest.mark.parametrize(
    ("behaviour", "error", "not_accepted"),
    [
        ("busy", UpstreamBusy, False),
        ("unavailable", UpstreamError, False),
        ("rejected", UpstreamRefused, False),
        ("refused", ContentPolicyViolation, False),
        ("locked", UpstreamError, True),
        ("gone", UpstreamError, True),
        ("broken", UpstreamError, False),
        ("cut", UpstreamError, False),
        ("nameless", UpstreamError, False),
    ],
)
async def test_what_becomes_of_a_submission_is_certain_or_in_doubt(
    fal: FalServer, provider: MediaProvider, behaviour: str, error: type[UpstreamError], not_accepted: bool
) -> None:
    accepted = partial(fal.submissions, behaviour)
    raised = await submission_fails(provider, f"{FLUX}--{behaviour}", accepted, error)
    assert raised.not_accepted is not_accepted


@pytest.mark.parametrize(
    ("behaviour", "polls", "stage"),
    [
        ("waiting", 1, Stage.CANCELLED),
        ("never", 1, Stage.CANCELLED),
        ("early", 1, Stage.DONE),
        ("policy", 3, Stage.FAILED),
        ("stubborn", 1, Stage.RUNNING),
    ],
)
async def test_a_cancellation_follows_what_fal_says(
    provider: MediaProvider, behaviour: str, polls: int, stage: Stage
) -> None:
    assert await stage_of_cancelled(provider, f"{FLUX}--{behaviour}", polls) is stage


async def test_a_job_that_fal_does_not_know_is_not_billed(provider: MediaProvider) -> None:
    assert (await provider.cancel("/fal-ai/flux/requests/unknown")).stage is Stage.CANCELLED


async def test_a_wrong_key_is_no_fault_of_the_caller(fal: FalServer) -> None:
    async with adapter("fal", fal.url, "another") as media:
        with pytest.raises(UpstreamError) as raised:
            await media.submit(submission(FLUX))
    assert (raised.value.blames_key, raised.value.not_accepted) == (True, True)


async def test_a_provider_that_is_away_has_accepted_nothing() -> None:
    async with adapter("fal", "http://127.0.0.1:1", KEY) as media:
        with pytest.raises(UpstreamError) as raised:
            await media.submit(submission(FLUX))
    assert (raised.value.unreached, raised.value.not_accepted) == (True, True)
