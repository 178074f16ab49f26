"""Every way in which a media job can fail: it ends once, gives the credits back once, and leaves nothing behind."""

from collections.abc import Callable

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from domain.errors import HoldVoided, NotFound, OutputTooLarge, UpstreamRefused
from domain.media import State
from providers.base import Progress, Stage
from tests.support.temporal.fleet import COMPLETED, DONE, FAILED, RUNNING, World, ended
from workflows.saga import COMPENSATION_FAILED

EVICTED = pytest.mark.parametrize("cached", [100, 0], ids=["cached", "evicted"])
"""With nothing cached, every task of the workflow is a replay from its beginning."""


@EVICTED
async def test_it_succeeds(anywhere: Client, cached: int) -> None:
    world = World(anywhere, cached=cached)
    world.provider.stages = [RUNNING, RUNNING, DONE]
    async with world.working():
        await ended(world, State.SUCCEEDED, COMPLETED)
    assert world.provider.discarded == [f"work-of-{world.job.id}"]
    assert world.provider.cancelled == []


def _stages(*stages: Progress) -> Callable[[World], None]:
    """The provider tells these, one at each poll."""

    def arrange(world: World) -> None:
        world.provider.stages = list(stages)

    return arrange


def _files(*files: bytes) -> Callable[[World], None]:
    """The provider gives these as the job's outputs."""

    def arrange(world: World) -> None:
        world.provider.files = list(files)

    return arrange


FAILURES: dict[str, tuple[Callable[[World], None], str]] = {
    "begin": (lambda world: world.script.fail("jobs.begin", HoldVoided()), "internal_error"),
    "submit": (lambda world: world.script.fail("provider.submit", UpstreamRefused()), "invalid_value"),
    "render": (_stages(Progress(Stage.FAILED)), "upstream_error"),
    "stopped-there": (_stages(Progress(Stage.CANCELLED)), "upstream_error"),
    "refused-late": (
        _stages(RUNNING, Progress(Stage.FAILED, failure="invalid_value")),
        "invalid_value",
    ),
    "copy": (_files(b"<html>"), "upstream_error"),
    "copy-second": (lambda world: world.script.fail("storage.put", OutputTooLarge()), "upstream_error"),
    "nothing-made": (_files(), "upstream_error"),
    "capture": (lambda world: world.script.fail("jobs.succeed", HoldVoided()), "internal_error"),
}


EVICTED_AT = {"submit", "copy-second", "capture"}


@pytest.mark.parametrize("step", FAILURES)
async def test_a_step_fails(anywhere: Client, step: str) -> None:
    world = World(anywhere, cached=0 if step in EVICTED_AT else 100)
    arrange, code = FAILURES[step]
    arrange(world)
    async with world.working() as handle:
        await ended(world, State.FAILED, FAILED)
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    error = world.fakes.job(world.job.id).error
    assert error is not None
    assert error.code == code
    assert isinstance(failure.value.cause, ApplicationError)
    assert (failure.value.cause.type, failure.value.cause.message) == (error.code, error.message)


async def test_an_undo_that_fails_for_good_does_not_keep_the_others(anywhere: Client) -> None:
    world = World(anywhere)
    world.script.fail("provider.poll", UpstreamRefused())
    world.script.always_fail("provider.discard", UpstreamRefused())
    async with world.working() as handle:
        await ended(world, State.FAILED, FAILED)
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == COMPENSATION_FAILED


async def test_a_job_that_cannot_be_ended_is_left_to_the_reconciler(anywhere: Client) -> None:
    world = World(anywhere)
    world.script.fail("provider.poll", UpstreamRefused())
    world.script.always_fail("jobs.end", NotFound())
    async with world.working() as handle:
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == COMPENSATION_FAILED
    assert world.fakes.jobs.ends == []
    assert len(world.provider.discarded) == 1


async def test_a_job_that_ended_otherwise_meanwhile_stays_that(anywhere: Client) -> None:
    """Somebody ended it in Postgres, between the copy and the capture: no charge, and no output stays."""
    world = World(anywhere)
    gate = world.script.hold("jobs.succeed")
    async with world.working():
        await gate.reached.wait()
        await world.fakes.jobs.end(world.job.id, State.CANCELLED, None)
        gate.open.set()
        await ended(world, State.CANCELLED, COMPLETED)
    assert len(world.provider.discarded) == 1


async def test_a_job_that_has_ended_is_not_begun(anywhere: Client) -> None:
    world = World(anywhere)
    await world.fakes.jobs.end(world.job.id, State.CANCELLED, None)
    async with world.working():
        assert (await world.handle.result()).state is State.CANCELLED
    assert world.script.calls == ["jobs.end", "jobs.begin"]
