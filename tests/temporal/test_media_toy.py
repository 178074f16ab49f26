"""The smallest adapter over HTTP, through the whole workflow: what its vendor may do, and how the job ends then."""

from collections.abc import AsyncIterator, Iterator
from typing import cast

import pytest
from temporalio.api.testservice.v1 import LockTimeSkippingRequest, UnlockTimeSkippingRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from domain.media import State
from providers.media_http import media_client
from tests.support.doubles.toy_media import PNG, ToyMedia, ToyVendor
from tests.support.temporal.fakes import FakeProvider, Fakes
from tests.support.temporal.fleet import World


@pytest.fixture
def vendor() -> Iterator[ToyVendor]:
    with ToyVendor() as vendor:
        yield vendor


@pytest.fixture
async def fakes(vendor: ToyVendor) -> AsyncIterator[Fakes]:
    async with media_client() as client:
        fakes = Fakes()
        fakes.provider = cast(FakeProvider, ToyMedia(vendor.provider, client))
        yield fakes


async def end(world: World) -> State:
    async with world.working() as handle:
        try:
            await handle.result()
        except WorkflowFailureError:
            assert world.fakes.job(world.job.id).state is State.FAILED
    return world.fakes.job(world.job.id).state


async def test_an_image(client: Client, vendor: ToyVendor, fakes: Fakes) -> None:
    world = World(client, fakes=fakes)
    assert await end(world) is State.SUCCEEDED
    assert vendor.jobs == [str(world.job.id)]
    assert [content for content, _ in fakes.storage.objects.values()] == [PNG]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"file": b"<html>not found</html>"}, "upstream_error"),
        ({"file": b""}, "upstream_error"),
        ({"status": "failed"}, "upstream_error"),
        ({"refused": True}, "content_policy_violation"),
    ],
    ids=["a page", "no bytes", "failed", "not allowed"],
)
async def test_what_is_no_image_gives_the_credits_back(
    client: Client, vendor: ToyVendor, fakes: Fakes, fault: dict[str, object], code: str
) -> None:
    for name, value in fault.items():
        setattr(vendor, name, value)
    world = World(client, fakes=fakes)
    assert await end(world) is State.FAILED
    error = fakes.job(world.job.id).error
    assert error is not None
    assert error.code == code
    assert (fakes.jobs.charges, fakes.jobs.releases) == ([], [world.job.id])
    assert not fakes.storage.objects


async def test_a_job_that_runs_for_ever_ends_at_its_deadline(
    skipping: WorkflowEnvironment, vendor: ToyVendor, fakes: Fakes
) -> None:
    vendor.status = "running"
    world = World(skipping.client, fakes=fakes)
    now, lasts = await skipping.get_current_time(), world.job.deadline - world.job.created_at
    fakes.jobs.update(world.job.id, deadline=now + lasts)
    clock = world.client.test_service
    await clock.unlock_time_skipping(UnlockTimeSkippingRequest())
    assert await end(world) is State.FAILED
    await clock.lock_time_skipping(LockTimeSkippingRequest())
    error = fakes.job(world.job.id).error
    assert error is not None
    assert error.code == "upstream_timeout"
    assert fakes.jobs.releases == [world.job.id]
    assert len(vendor.jobs) == 1
