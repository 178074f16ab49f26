"""A submission by a worker that was frozen: what happened meanwhile decides, and nobody pays for what nobody gets."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities import submit_leases
from activities.failures import JOB_ENDED
from domain.errors import ContentPolicyViolation, UpstreamBusy, UpstreamError
from domain.media import JobRoute, State
from tests.support.temporal.bench import Bench
from tests.support.temporal.fakes import QUICK

SECOND = JobRoute(provider="second", model="second-model")
CANCELLED = {"cancel_requested_at": datetime.now(UTC)}
"""By its owner: the wish is in the row."""


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def frozen_at(bench: Bench, step: str, *meanwhile: dict[str, Any]) -> ApplicationError:
    """Freeze a submission there, change the job, and return what the submission raises then."""
    gate = bench.script.hold(step)
    late = bench.begin(bench.does.submit)
    await gate.reached.wait()
    for changes in meanwhile:
        bench.fakes.jobs.update(bench.ref.job_id, **changes)
    gate.open.set()
    with pytest.raises(ApplicationError) as failure:
        await late
    return failure.value


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
async def test_a_job_that_has_ended_is_not_submitted(bench: Bench, state: State, *, complete: bool) -> None:
    bench.provider.find_is_complete = complete
    failure = await frozen_at(bench, "jobs.intend_submit", {"state": state})
    assert (failure.type, failure.non_retryable) == (JOB_ENDED, True)
    assert bench.provider.submitted == []


BEFORE_IT_IS_SENT = ["jobs.request", "jobs.intend_submit"]


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("step", BEFORE_IT_IS_SENT)
async def test_a_job_that_its_owner_has_cancelled_is_not_submitted(bench: Bench, step: str, *, complete: bool) -> None:
    """The row says so, before Temporal does."""
    bench.provider.find_is_complete = complete
    failure = await frozen_at(bench, step, CANCELLED)
    assert (failure.type, failure.non_retryable) == (JOB_ENDED, True)
    bench.fakes.assert_ended_once(bench.job, State.CANCELLED)
    assert (bench.provider.submitted, bench.job.submit_intended_at) == ([], None)


async def test_a_cancelled_job_goes_to_no_other_route(bench: Bench) -> None:
    bench.fakes.jobs.update(bench.ref.job_id, routes=(SECOND,))
    bench.script.fail("provider.submit", UpstreamBusy(retry_after=timedelta(minutes=1)))
    await frozen_at(bench, "jobs.change_route", CANCELLED)
    bench.fakes.assert_ended_once(bench.job, State.CANCELLED)
    assert (bench.provider.submitted, bench.script.calls.count("provider.submit")) == ([], 1)


@pytest.mark.parametrize(("cut", "sent"), [("provider.submit", 0), ("provider.submitted", 1)])
async def test_a_cancelled_job_that_may_be_there_is_looked_for_and_not_sent_again(
    bench: Bench, cut: str, sent: int
) -> None:
    bench.script.fail(cut, UpstreamError())
    await bench.fails(bench.does.submit)
    bench.fakes.jobs.update(bench.ref.job_id, **CANCELLED)
    if sent:
        await bench.run(bench.does.submit)
        assert bench.job.provider_job_id == bench.work
    else:
        assert (await bench.fails(bench.does.submit)).type == JOB_ENDED
        bench.fakes.assert_ended_once(bench.job, State.CANCELLED)
    assert len(bench.provider.submitted) == sent


@pytest.mark.parametrize("step", ["provider.submit", "provider.leaves"])
async def test_an_attempt_that_was_frozen_submits_nothing_beside_the_next_one(
    bench: Bench, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(submit_leases, "monotonic", lambda: clock[0])
    gate = bench.script.hold(step)
    late = bench.begin(bench.does.submit)
    await gate.reached.wait()
    await bench.run(bench.does.submit)
    assert bench.job.provider_job_id == bench.work
    clock[0] += QUICK.submit_lease.total_seconds() + 0.001
    gate.open.set()
    with pytest.raises(ApplicationError) as failure:
        await late
    assert not failure.value.non_retryable
    assert len(bench.provider.submitted) == 1
    assert bench.provider.cancelled == []


async def test_what_a_frozen_attempt_sent_last_is_there_when_the_next_one_asks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease is over before the next attempt asks the provider, and so is any way to submit."""
    gate = bench.script.hold("provider.leaves")
    late = bench.begin(bench.does.submit)
    await gate.reached.wait()

    sleep = asyncio.sleep

    async def longer_than_a_lease(seconds: float) -> None:
        if seconds != QUICK.takeover_pause.total_seconds():
            await sleep(seconds)
            return
        gate.open.set()
        await asyncio.wait([late])

    monkeypatch.setattr(asyncio, "sleep", longer_than_a_lease)
    await bench.run(bench.does.submit)
    gate.open.set()
    await late
    assert (len(bench.provider.submitted), bench.provider.cancelled) == (1, [])


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
async def test_what_is_accepted_for_a_job_that_has_ended_is_taken_back(bench: Bench, state: State) -> None:
    failure = await frozen_at(bench, "provider.submitted", {"state": state})
    assert (failure.type, failure.non_retryable) == (JOB_ENDED, True)
    assert (bench.provider.cancelled, bench.provider.discarded) == ([bench.work], [bench.work])


async def test_a_job_that_has_moved_is_not_submitted_where_it_was(bench: Bench) -> None:
    failure = await frozen_at(bench, "jobs.intend_submit", {"provider": "second"})
    assert not failure.non_retryable
    assert (bench.provider.submitted, bench.job.submit_intended_at) == ([], None)


async def test_a_late_no_takes_no_intent_back_that_another_attempt_has_elsewhere(bench: Bench) -> None:
    bench.script.fail("provider.submitted", UpstreamBusy(retry_after=timedelta(0)))
    intended = bench.job.created_at
    await frozen_at(bench, "jobs.forget_submit", {"provider": "second", "submit_intended_at": intended})
    assert bench.job.submit_intended_at == intended


async def test_what_was_refused_is_not_submitted_again_when_the_refusal_got_lost(bench: Bench) -> None:
    """The vendor may have worked before it refused, and nobody can ask it."""
    bench.provider.find_is_complete = False
    bench.script.fail("provider.submitted", ContentPolicyViolation())
    assert (await bench.fails(bench.does.submit)).type == ContentPolicyViolation.code
    assert (await bench.fails(bench.does.submit)).non_retryable
    assert len(bench.provider.submitted) == 1


async def test_a_route_that_has_taken_long_leaves_the_next_one_to_the_next_attempt() -> None:
    bench = Bench(limits=dataclasses.replace(QUICK, max_moving=timedelta(0)))
    bench.fakes.jobs.update(bench.ref.job_id, routes=(SECOND,))
    slow = UpstreamError()
    slow.not_accepted = True
    bench.script.fail("provider.submit", slow)
    failure = await bench.fails(bench.does.submit)
    assert (failure.non_retryable, failure.next_retry_delay) == (False, timedelta(seconds=1))
    assert (bench.provider.submitted, bench.job.provider) == ([], "second")
    assert (await bench.run(bench.does.submit)).provider == "second"


async def test_the_last_attempt_ends_with_the_error_of_a_slow_route() -> None:
    bench = Bench(limits=dataclasses.replace(QUICK, max_moving=timedelta(0)))
    bench.fakes.jobs.update(bench.ref.job_id, routes=(SECOND,))
    bench.attempt(6)
    slow = UpstreamError()
    slow.not_accepted = True
    bench.script.fail("provider.submit", slow)
    failure = await bench.fails(bench.does.submit)
    assert (failure.type, failure.non_retryable) == ("upstream_error", True)
