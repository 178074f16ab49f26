"""Media jobs from the POST to the file, through a real API, a real worker, Temporal and Postgres."""

import asyncio
from array import array
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import av
import httpx2
import pytest
import pytest_asyncio
from PIL import Image
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError

from dev.temporal import EmbeddedTemporal
from domain.ids import workflow_id
from tests.support.media_stack import ENDED, TIMEOUT, Customer, Job, World, embedded, temporal_of, until
from tests.support.stack import Stack
from workflows import start

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPENING = 1_000_000
ORDERS: Mapping[str, tuple[str, dict[str, object]]] = {
    "image": ("image", {"model": "demo-image", "prompt": "dawn", "size": "320x200", "n": 2, "seed": 7}),
    "video": ("video", {"model": "demo-video", "prompt": "dusk", "size": "320x180", "duration": 1}),
    "wav": ("speech", {"model": "demo-speech", "input": "Good evening.", "response_format": "wav"}),
    "mp3": ("speech", {"model": "demo-speech", "input": "Good morning.", "voice": "nova"}),
    "slow": ("image", {"model": "demo-image-slow", "prompt": "a lake [seconds=6]", "size": "64x64"}),
    "image-fail": ("image", {"model": "demo-image-fail", "prompt": "x"}),
    "video-fail": ("video", {"model": "demo-video-fail", "prompt": "x"}),
    "speech-fail": ("speech", {"model": "demo-speech-fail", "input": "x"}),
    "refused": ("image", {"model": "demo-image", "prompt": "x [refused]"}),
}
IMAGE: dict[str, object] = {"model": "demo-image", "prompt": "x", "size": "64x64"}
LONG: dict[str, object] = {"model": "demo-image-slow", "prompt": "a lake [seconds=300]", "size": "64x64"}
CLOSED_AS = {"succeeded": WorkflowExecutionStatus.COMPLETED, "failed": WorkflowExecutionStatus.FAILED}


@dataclass(slots=True)
class Ordered:
    """A job, its customer, and everything that the customer saw of it."""

    customer: Customer
    watching: asyncio.Task[list[Job]]

    async def seen(self) -> list[Job]:
        return await self.watching


@dataclass(slots=True)
class Site:
    world: World
    server: EmbeddedTemporal
    temporal: Client
    anyone: httpx2.AsyncClient
    orders: dict[str, Ordered]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The stack, with one job of each kind under way: they run side by side while the tests look at one by one."""
    folder = tmp_path_factory.mktemp("media-jobs")
    async with embedded(folder) as (postgres, server), httpx2.AsyncClient(timeout=60) as anyone:
        stack = Stack.on(postgres, folder / "state", server.address, extra={"YOUT_SHUTDOWN_TIMEOUT": "3"})
        with stack.running("worker"), stack.running("api"):
            async with World.of(stack) as world:
                orders = {name: await _ordered(world, *order) for name, order in ORDERS.items()}
                yield Site(world, server, await temporal_of(server), anyone, orders)
                await asyncio.gather(*(order.watching for order in orders.values()), return_exceptions=True)


async def _ordered(world: World, kind: str, body: dict[str, object]) -> Ordered:
    customer = await world.customer(OPENING)
    return Ordered(customer, asyncio.create_task(_watch(customer, await customer.ordered(kind, **body))))


async def _watch(customer: Customer, job: Job) -> list[Job]:
    seen = [job]
    async with asyncio.timeout(TIMEOUT):
        while seen[-1]["status"] not in ENDED:
            await asyncio.sleep(0.2)
            if status := await customer.job(job["job_uuid"]):
                seen.append(status)
    return seen


async def _succeeded(site: Site, name: str) -> Job:
    """The job as it ended, after the money was looked at."""
    customer = site.orders[name].customer
    job = (await site.orders[name].seen())[-1]
    assert job["status"] == "succeeded", job
    assert (job["progress"], job["error"], job["credits_refunded"]) == (100, None, 0)
    assert job["output_url"] == job["outputs"][0]["url"]
    assert await customer.balance() == (OPENING - job["credits_cost"], 0)
    await site.world.ended_once(job, "succeeded")
    return job


async def _file(site: Site, output: Mapping[str, Any]) -> bytes:
    """The output, fetched by nothing but its link."""
    answer = await site.anyone.get(output["url"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, output["content_type"])
    assert len(answer.content) == output["bytes"]
    return bytes(answer.content)


def _sound(content: bytes) -> tuple[str, float, int]:
    """Codec, seconds, and the loudest sample of an audio file or a film's sound track."""
    samples = array("h")
    with av.open(BytesIO(content), "r") as file:
        stream = file.streams.audio[0]
        plain = av.AudioResampler(format="s16", layout="mono", rate=24_000)
        for frame in file.decode(stream):
            for part in plain.resample(frame):
                samples.frombytes(bytes(part.planes[0])[: part.samples * 2])
        return stream.codec.canonical_name, len(samples) / 24_000, max(map(abs, samples))


async def test_an_image_job_makes_pictures_of_the_size_asked_for(site: Site) -> None:
    job = await _succeeded(site, "image")
    assert (job["kind"], job["credits_cost"], len(job["outputs"])) == ("image", 2000, 2)
    files = [await _file(site, output) for output in job["outputs"]]
    for output, content in zip(job["outputs"], files, strict=True):
        picture = Image.open(BytesIO(content))
        picture.load()
        assert (picture.format, picture.size) == ("PNG", (320, 200))
        assert (output["content_type"], output["width"], output["height"]) == ("image/png", 320, 200)
        assert len(picture.convert("RGB").getcolors(320 * 200) or []) > 100
    assert files[0] != files[1]


async def test_a_video_job_makes_a_film_with_sound(site: Site) -> None:
    job = await _succeeded(site, "video")
    (output,) = job["outputs"]
    content = await _file(site, output)
    assert (output["content_type"], output["width"], output["height"]) == ("video/mp4", 320, 180)
    assert (output["duration"], job["credits_cost"]) == (1, 5000)
    with av.open(BytesIO(content), "r") as file:
        pictures = file.streams.video[0]
        assert (pictures.codec.canonical_name, pictures.width, pictures.height) == ("h264", 320, 180)
        assert len(list(file.decode(pictures))) == 24
    shown = Image.open(BytesIO((await site.anyone.get(output["poster_url"])).content))
    assert (shown.format, shown.size) == ("JPEG", (320, 180))
    codec, seconds, loudest = _sound(content)
    assert codec == "aac"
    assert 0.9 < seconds < 1.2
    assert loudest > 500


@pytest.mark.parametrize(
    ("name", "codec", "content_type"), [("wav", "pcm_s16le", "audio/wav"), ("mp3", "mp3", "audio/mpeg")]
)
async def test_a_speech_job_makes_a_voice_that_is_heard(site: Site, name: str, codec: str, content_type: str) -> None:
    job = await _succeeded(site, name)
    (output,) = job["outputs"]
    status, seconds, loudest = _sound(await _file(site, output))
    assert (status, output["content_type"], job["credits_cost"]) == (codec, content_type, 500)
    assert 0.3 < seconds < 5
    assert abs(seconds - output["duration"]) < 0.2
    assert loudest > 2000


async def test_a_slow_job_takes_as_long_as_told_and_shows_its_progress(site: Site) -> None:
    await _succeeded(site, "slow")
    seen = await site.orders["slow"].seen()
    took = datetime.fromisoformat(seen[-1]["finished_at"]) - datetime.fromisoformat(seen[-1]["started_at"])
    assert took >= timedelta(seconds=6)
    percents = [job["progress"] or 0 for job in seen]
    assert percents == sorted(percents)
    assert any(0 < progress < 100 for progress in percents)
    states = [job["status"] for job in seen]
    assert states == sorted(states, key=["queued", "running", "succeeded"].index)
    assert all(job["output_url"] is None for job in seen[:-1])


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("image-fail", "upstream_error", "The provider failed"),
        ("video-fail", "upstream_error", "The provider failed"),
        ("speech-fail", "upstream_error", "The provider failed"),
        ("refused", "invalid_value", "'prompt'"),
    ],
)
async def test_a_job_that_fails_gives_its_credits_back(site: Site, name: str, code: str, message: str) -> None:
    ordered = site.orders[name]
    job = (await ordered.seen())[-1]
    assert job["status"] == "failed"
    assert job["error"]["code"] == code
    assert message in job["error"]["message"]
    assert job["credits_refunded"] == job["credits_cost"] > 0
    assert (job["output_url"], job["outputs"]) == (None, [])
    assert await ordered.customer.balance() == (OPENING, 0)
    assert await site.world.movements(job["job_uuid"]) == ["hold", "release"]
    assert not await site.world.rows("SELECT job_id FROM job_inputs WHERE job_id = %s", UUID(job["job_uuid"]))


async def test_the_workflows_close_as_their_jobs_ended(site: Site) -> None:
    for ordered in site.orders.values():
        job = (await ordered.seen())[-1]
        handle = site.temporal.get_workflow_handle(workflow_id(UUID(job["job_uuid"])))

        async def closed(handle: Any = handle) -> WorkflowExecutionStatus | None:
            status: WorkflowExecutionStatus = (await handle.describe()).status
            return None if status is WorkflowExecutionStatus.RUNNING else status

        assert await until(closed, "the workflow to close") is CLOSED_AS[job["status"]]


async def test_an_output_is_served_in_parts_and_by_its_link_alone(site: Site) -> None:
    (output,) = (await _succeeded(site, "mp3"))["outputs"]
    url, size = output["url"], output["bytes"]
    content = await _file(site, output)

    head = await site.anyone.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert (head.headers["content-type"], head.headers["content-length"]) == ("audio/mpeg", str(size))
    part = await site.anyone.get(url, headers={"range": "bytes=10-99"})
    assert (part.status_code, part.content) == (206, content[10:100])
    assert part.headers["content-range"] == f"bytes 10-99/{size}"
    assert (await site.anyone.get(url, headers={"range": "bytes=-5"})).content == content[-5:]
    outside = await site.anyone.get(url, headers={"range": f"bytes={size}-"})
    assert (outside.status_code, outside.headers["content-range"]) == (416, f"bytes */{size}")

    picture = (await _succeeded(site, "image"))["outputs"][0]["url"]
    tampered = url[:-1] + ("A" if url[-1] != "A" else "B")
    swapped = f"{picture.partition('?')[0]}?{url.partition('?')[2]}"
    for link in (tampered, swapped, url.partition("?")[0]):
        assert (await site.anyone.get(link)).status_code == 403


async def test_another_accounts_job_is_as_missing_as_none(site: Site) -> None:
    job = (await site.orders["image"].seen())[-1]
    stranger = site.orders["video"].customer
    theirs = await stranger.http.get(f"/api/media/jobs/{job['job_uuid']}/")
    none = await stranger.http.get("/api/media/jobs/00000000-0000-7000-8000-000000000000/")
    assert theirs.status_code == none.status_code == 404
    assert theirs.content == none.content
    assert (await site.anyone.get(f"{site.world.stack.url}/api/media/jobs/{job['job_uuid']}/")).status_code == 401


async def test_a_job_accepted_while_temporal_is_away_runs_when_it_is_back(site: Site) -> None:
    customer = await site.world.customer()
    await site.server.stop()
    try:
        ready = await site.anyone.get(f"{site.world.stack.url}/readyz")
        accepted = await customer.ordered("image", **IMAGE)
        assert (ready.status_code, ready.json()["temporal"]) == (200, "away")
        assert accepted["status"] == "queued"
        assert await customer.balance() == (customer.opening - 1000, 1000)
    finally:
        await site.server.start()
    assert (await customer.ended(accepted))["status"] == "succeeded"
    await site.world.ended_once(accepted, "succeeded")


async def _running(site: Site, customer: Customer) -> Job:
    """A job that its provider is working on, and will be for long."""
    job = await customer.ordered("image", **LONG)

    async def submitted() -> object:
        query = "SELECT id FROM media_jobs WHERE id = %s AND provider_job_id IS NOT NULL"
        return await site.world.rows(query, UUID(job["job_uuid"]))

    await until(submitted, "the job to be at its provider")
    return job


async def test_a_job_whose_workflow_is_lost_fails_after_its_deadline(site: Site) -> None:
    """An operator has terminated one and deleted the other, history and all."""
    customer = await site.world.customer()
    jobs = [await _running(site, customer), await _running(site, customer)]
    terminated, deleted = (workflow_id(UUID(job["job_uuid"])) for job in jobs)
    await site.temporal.get_workflow_handle(terminated).terminate()
    await site.temporal.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=site.temporal.namespace, workflow_execution=WorkflowExecution(workflow_id=deleted)
        )
    )
    assert await customer.balance() == (customer.opening - 2000, 2000)
    overdue = "UPDATE media_jobs SET deadline = created_at + interval '1 microsecond' WHERE account_id = %s"
    await site.world.rows(overdue, customer.account_id)
    for job in jobs:
        ended = await customer.ended(job)
        assert (ended["status"], ended["error"]["code"]) == ("failed", "upstream_timeout")
        await site.world.ended_once(job, "failed")
    assert await customer.balance() == (customer.opening, 0)


async def test_a_cancelled_workflow_cancels_its_job(site: Site) -> None:
    """By an operator, who cancels the workflow, and by the update that a caller's wish becomes."""
    customer = await site.world.customer()
    jobs = [await _running(site, customer), await _running(site, customer)]
    by_operator, by_caller = (site.temporal.get_workflow_handle(workflow_id(UUID(job["job_uuid"]))) for job in jobs)
    await by_operator.cancel()
    assert await start.cancel(site.temporal, UUID(jobs[1]["job_uuid"]))
    for job in jobs:
        ended = await customer.ended(job)
        assert (ended["status"], ended["error"], ended["credits_refunded"]) == ("cancelled", None, 1000)
        await site.world.ended_once(job, "cancelled")
        (submission,) = site.world.submissions(job["job_uuid"])
        assert submission.cancelled_at is not None
    with pytest.raises(WorkflowFailureError):
        await by_operator.result()
    assert (await by_caller.describe()).status is not WorkflowExecutionStatus.FAILED
    assert await customer.balance() == (customer.opening, 0)


async def test_the_books_are_clean(site: Site) -> None:
    report = await asyncio.to_thread(site.world.stack.yout, "audit")
    assert (report["clean"], report["holds_open"], report["drift_credits"]) == (True, 0, 0)


async def test_an_output_that_has_expired_is_gone_and_its_job_says_so(site: Site) -> None:
    customer = await site.world.customer()
    job = await customer.ended(await customer.ordered("image", **IMAGE))
    (output,) = job["outputs"]
    assert output["expires_at"] <= job["expires_at"]
    file = next((site.world.stack.state / "media").rglob(f"{UUID(job['job_uuid']).hex}/0.png"))
    await site.world.rows("UPDATE media_jobs SET expires_at = now() WHERE id = %s", UUID(job["job_uuid"]))
    assert (await site.anyone.get(output["url"])).status_code == 404
    expired = await customer.ended(job)
    assert (expired["status"], expired["outputs"], expired["output_url"]) == ("succeeded", [], None)
    assert datetime.fromisoformat(expired["expires_at"]) <= datetime.now(UTC)

    await until(lambda: asyncio.to_thread(lambda: not file.exists()), "the file to be deleted")
    assert await customer.ended(job) == expired
