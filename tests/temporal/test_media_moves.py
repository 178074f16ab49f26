"""Routes in order: a job goes to the next one when the last has certainly not accepted it, and never in doubt."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from temporalio.client import Client

from activities.submissions import MAX_ATTEMPTS
from domain.errors import (
    ContentPolicyViolation,
    RetentionDenied,
    ServiceUnavailable,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)
from domain.media import Job, JobRoute, MediaRequest, State
from providers.base import MediaProvider, MediaSubmission, Submitted
from temporal import attributes
from tests.support.temporal.bench import Bench
from tests.support.temporal.fakes import FakeProvider
from tests.support.temporal.fleet import COMPLETED, World, details_say, ended
from tests.support.temporal.script import Script

ROUTES = (JobRoute(provider="second", model="second-model"), JobRoute(provider="third", model="third-model"))


def certain(error: UpstreamError) -> UpstreamError:
    error.not_accepted = True
    return error


class Scripted(FakeProvider):
    """A provider that fails as it is told, once per attempt, and then accepts."""

    def __init__(self, *errors: UpstreamError) -> None:
        self.script = Script()
        super().__init__(self.script)
        self.find_is_complete = False
        self.errors = list(errors)
        self.models: list[str] = []

    async def submit(self, submission: MediaSubmission) -> Submitted:
        self.models.append(submission.request.model)
        if self.errors:
            raise self.errors.pop(0)
        return await super().submit(submission)


class Routes:
    def __init__(self, *, routes: Sequence[JobRoute] = ROUTES, **errors: list[UpstreamError]) -> None:
        self.bench = Bench()
        self.bench.fakes.jobs.update(self.bench.ref.job_id, routes=tuple(routes))
        self.providers = {name: Scripted(*errors.get(name, [])) for name in ("demo", "second", "third")}
        self.denied: set[str] = set()
        self.missing: set[str] = set()
        self.bench.provide(self._provider)

    def _provider(self, name: str, request: MediaRequest | None = None, /) -> MediaProvider:
        if name in self.missing:
            raise UpstreamError
        if request is not None and name in self.denied:
            raise RetentionDenied
        return self.providers[name]

    @property
    def tried(self) -> dict[str, int]:
        return {name: len(provider.models) for name, provider in self.providers.items() if provider.models}

    @property
    def accepted(self) -> list[str]:
        return [name for name, provider in self.providers.items() for _ in provider.submitted]

    async def submit(self) -> str:
        provider: str = (await self.bench.run(self.bench.does.submit)).provider
        return provider


@pytest.mark.parametrize(
    "error",
    [
        certain(UpstreamError()),
        certain(UpstreamTimeout()),
        UpstreamBusy(retry_after=timedelta(seconds=11)),
        RetentionDenied(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_certainly_was_not_accepted_goes_to_the_next_route(error: UpstreamError) -> None:
    world = Routes(demo=[error])
    assert await world.submit() == "second"
    assert (world.accepted, world.providers["second"].models) == (["second"], ["second-model"])
    assert (world.bench.job.provider, world.bench.job.provider_job_id) == ("second", world.bench.work)


def denied_afterwards() -> RetentionDenied:
    """The provider has made it, and has said in its answer that it keeps it."""
    error = RetentionDenied()
    error.not_accepted = False
    return error


async def test_what_was_made_and_may_not_be_used_is_made_nowhere_else() -> None:
    world = Routes(demo=[denied_afterwards()])
    failure = await world.bench.fails(world.bench.does.submit)
    assert (failure.non_retryable, world.tried, world.bench.job.provider) == (True, {"demo": 1}, "demo")


async def test_a_database_that_hiccups_does_not_replace_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Routes(demo=[denied_afterwards()])
    load, demo = world.bench.fakes.jobs.load, world.providers["demo"]

    async def loaded(job_id: UUID) -> Job:
        if demo.models:
            raise ServiceUnavailable
        return await load(job_id)

    monkeypatch.setattr(world.bench.fakes.jobs, "load", loaded)
    failure = await world.bench.fails(world.bench.does.submit)
    assert (failure.message, failure.non_retryable) == (RetentionDenied().message, True)


async def test_a_route_that_was_denied_is_left_though_the_database_hiccups() -> None:
    """The next attempt, in another process, may know nothing of it: it would send the job there."""
    world = Routes(demo=[RetentionDenied()])
    world.bench.script.fail("jobs.change_route", ServiceUnavailable())
    assert await world.submit() == "second"
    assert world.tried == {"demo": 1, "second": 1}


async def test_a_job_that_another_attempt_submits_stays_there() -> None:
    """An attempt that was frozen, in a process that knows less or more, does not take it away."""
    world = Routes(demo=[RetentionDenied()])
    gate = world.bench.script.hold("jobs.change_route")
    woken = world.bench.begin(world.bench.does.submit)
    await gate.reached.wait()
    submitting = world.providers["demo"].script.hold("provider.submitted")
    other = world.bench.begin(world.bench.does.submit)
    await submitting.reached.wait()
    gate.open.set()
    submitting.open.set()
    assert {(await woken).provider, (await other).provider} == {"demo"}
    assert (world.accepted, world.bench.job.provider) == (["demo"], "demo")


async def test_a_last_route_that_keeps_more_by_now_leaves_the_job_to_the_others() -> None:
    world = Routes(demo=[certain(UpstreamError())], routes=ROUTES[:1])
    world.denied = {"second"}
    assert not (await world.bench.fails(world.bench.does.submit)).non_retryable
    assert await world.submit() == "demo"
    assert world.bench.job.routes == ()


async def test_a_denied_route_ends_no_job_that_another_one_lets_wait_for_long() -> None:
    busy = UpstreamBusy(retry_after=timedelta(seconds=11))
    world = Routes(demo=[busy], routes=ROUTES[:1])
    world.denied = {"second"}
    world.bench.attempt(MAX_ATTEMPTS)
    assert not (await world.bench.fails(world.bench.does.submit)).non_retryable
    world.bench.attempt(MAX_ATTEMPTS + 1)
    assert await world.submit() == "demo"


async def test_a_broken_route_ends_no_job_that_a_busy_one_may_take() -> None:
    wait = timedelta(seconds=11)
    world = Routes(demo=[UpstreamBusy(retry_after=wait)], second=[certain(UpstreamError())] * 2, routes=ROUTES[:1])
    world.bench.attempt(MAX_ATTEMPTS)
    failure = await world.bench.fails(world.bench.does.submit)
    assert (failure.type, failure.non_retryable, failure.next_retry_delay) == ("rate_limit_exceeded", False, wait)
    assert world.tried == {"demo": 1, "second": 1}
    world.bench.attempt(MAX_ATTEMPTS + 1)
    assert await world.submit() == "demo"


@pytest.mark.parametrize("error", [UpstreamError(), UpstreamTimeout()], ids=lambda error: type(error).__name__)
async def test_a_submission_in_doubt_never_moves(error: UpstreamError) -> None:
    world = Routes(demo=[error])
    await world.bench.fails(world.bench.does.submit)
    failure = await world.bench.fails(world.bench.does.submit)
    assert failure.non_retryable
    assert (world.tried, world.bench.job.provider) == ({"demo": 1}, "demo")


@pytest.mark.parametrize(
    ("error", "code"),
    [(UpstreamRefused(), "invalid_value"), (ContentPolicyViolation(), "content_policy_violation")],
)
async def test_an_input_that_is_refused_is_refused_once(error: UpstreamError, code: str) -> None:
    world = Routes(demo=[error])
    failure = await world.bench.fails(world.bench.does.submit)
    assert (failure.type, failure.non_retryable, world.tried) == (code, True, {"demo": 1})


async def test_a_short_pause_is_waited_for_twice() -> None:
    world = Routes(demo=[UpstreamBusy() for _ in range(3)])
    for attempt in (1, 2):
        world.bench.attempt(attempt)
        assert not (await world.bench.fails(world.bench.does.submit)).non_retryable
        assert world.tried == {"demo": attempt}
    world.bench.attempt(3)
    assert await world.submit() == "second"


async def test_each_route_is_tried_once_in_an_attempt_and_again_in_the_next() -> None:
    demo, second, third = ([certain(UpstreamError())] for _ in range(3))
    world = Routes(demo=demo, second=second, third=third)
    assert not (await world.bench.fails(world.bench.does.submit)).non_retryable
    assert world.tried == {"demo": 1, "second": 1, "third": 1}
    assert await world.submit() in world.providers
    assert len(world.accepted) == 1


async def test_a_route_that_keeps_more_by_now_gets_nothing_and_is_not_tried_again() -> None:
    world = Routes(second=[certain(UpstreamError())], third=[certain(UpstreamError())])
    world.denied = {"demo"}
    assert not (await world.bench.fails(world.bench.does.submit)).non_retryable
    assert world.tried == {"second": 1, "third": 1}
    world.denied = {"demo", "second", "third"}
    assert (await world.bench.fails(world.bench.does.submit)).non_retryable
    assert world.accepted == []


async def test_a_provider_that_is_configured_no_more_is_passed_over_unless_it_may_have_the_job() -> None:
    world = Routes()
    world.missing = {"demo"}
    assert await world.submit() == "second"
    doubtful = Routes(demo=[UpstreamError()])
    await doubtful.bench.fails(doubtful.bench.does.submit)
    doubtful.missing = {"demo"}
    await doubtful.bench.fails(doubtful.bench.does.submit)
    assert doubtful.tried == {"demo": 1}


async def test_the_limits_of_a_provider_move_a_job_too() -> None:
    world = Routes()
    world.bench.script.fail("jobs.intend_submit", UpstreamBusy(retry_after=timedelta(seconds=30)))
    assert await world.submit() == "second"
    assert world.tried == {"second": 1}


async def test_an_account_of_ours_that_is_blocked_is_tried_again_when_the_operator_had_time() -> None:
    error = certain(UpstreamError(retry_after=timedelta(minutes=1)))
    world = Routes(routes=(), demo=[error])
    failure = await world.bench.fails(world.bench.does.submit)
    assert (failure.next_retry_delay, failure.non_retryable) == (timedelta(minutes=1), False)
    assert await world.submit() == "demo"


async def test_an_operator_sees_the_provider_that_has_the_job(client: Client) -> None:
    world = World(client)
    world.fakes.jobs.update(world.job.id, routes=ROUTES[:1])
    world.script.fail("provider.submit", certain(UpstreamError()))
    gate = world.script.hold("provider.poll")
    async with world.working() as handle:
        await gate.reached.wait()
        described = await handle.describe()
        assert described.typed_search_attributes.get(attributes.PROVIDER) == "second"
        assert await details_say(handle, "Polling provider second")
        history = await handle.fetch_history()
        gate.open.set()
        await ended(world, State.SUCCEEDED, COMPLETED)
    converter = client.data_converter
    summaries = [
        (await converter.decode([event.user_metadata.summary], [str]))[0]
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes") and event.user_metadata.HasField("summary")
    ]
    assert summaries == ["mark as running", "demo: demo-image", "second: demo-image"]
