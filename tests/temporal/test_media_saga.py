"""Every way a media job can go. Each ends exactly once, with one charge or one release and at most one submission."""

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError

from domain.errors import GatewayError, HoldVoided, UpstreamRefused
from domain.media import State
from tests.temporal.fleet import World


@pytest.fixture(params=[100, 0], ids=["cached", "evicted"])
def world(request: pytest.FixtureRequest, anywhere: Client) -> World:
    """Once with the workflow kept in memory, once with nothing cached: every task a replay."""
    return World(anywhere, cached=request.param)


async def test_happy(world: World) -> None:
    async with world.working() as handle:
        result = await handle.result()
    assert result.state is State.SUCCEEDED
    world.fakes.assert_ended_once(world.job, State.SUCCEEDED)
    assert len(world.provider.discarded) == 1
