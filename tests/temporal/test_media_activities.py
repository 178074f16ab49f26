"""The activities by themselves: done twice, done late, cut off in between."""

import asyncio
import dataclasses
import logging
from datetime import timedelta
from uuid import UUID

import pytest
from temporalio.exceptions import ApplicationError

from activities.failures import JOB_ENDED
from activities.media import Limits
from activities.payloads import Accepted, PollResult, Watch
from domain.errors import RetentionDenied, ServiceUnavailable, UpstreamBusy, UpstreamError, UpstreamRefused
from domain.media import Job, Kind, MediaRequest, State
from providers.base import MediaProvider, Progress, Stage
from tests.support.temporal.bench import Bench
from tests.support.temporal.fakes import QUICK, SENTINEL


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(("kind", "standing"), [(Kind.VIDEO, PollResult(done=False)), (Kind.IMAGE, None)])
async def test_no_look_says_that_a_video_is_not_done_yet(kind: Kind, standing: PollResult | None) -> None:
    """Its wait for news begins with the first look."""
    bench = Bench(kind=kind)
    assert await bench.run(bench.does.submit) == Accepted(provider="demo", standing=standing)


async def test_the_intent_comes_before_and_the_id_right_after(bench: Bench) -> None:
    await bench.run(bench.does.submit)
    sent = ["provider.submit", "provider.leaves", "provider.submitted"]
    steps = ["storage.read", "jobs.request", "jobs.intend_submit", "provider.find", *sent, "jobs.record_submitted"]
    assert bench.script.calls == steps
    assert bench.job.provider_job_id == bench.work


def _keeps_more(bench: Bench) -> None:
    def providers(_name: str, request: MediaRequest | None = None, /) -> MediaProvider:
        if request is not None:
            raise RetentionDenied
        return bench.provider

    bench.provide(providers)


async def test_a_provider_that_keeps_more_by_now_gets_nothing(bench: Bench) -> None:
    _keeps_more(bench)
    failure = await bench.fails(bench.does.submit)
    assert (failure.type, failure.non_retryable) == ("upstream_error", True)
    assert bench.provider.submitted == []
    assert bench.job.submit_intended_at is None


async def test_a_submission_in_doubt_is_searched_where_more_is_kept_by_now(bench: Bench) -> None:
    bench.script.fail("provider.submitted", UpstreamError())
    await bench.fails(bench.does.submit)
    _keeps_more(bench)
    await bench.run(bench.does.submit)
    assert bench.job.provider_job_id == bench.work


async def test_what_is_submitted_is_not_submitted_again(bench: Bench) -> None:
    await bench.run(bench.does.submit)
    await bench.run(bench.does.submit)
    assert len(bench.provider.submitted) == 1


@pytest.mark.parametrize("cut", ["provider.submit", "provider.submitted"], ids=["before", "after"])
async def test_in_doubt_the_provider_is_asked_first(bench: Bench, cut: str) -> None:
    """Cut off when nobody can say whether the provider got it: one submission in the end, either way."""
    bench.script.fail(cut, UpstreamError())
    assert not (await bench.fails(bench.does.submit)).non_retryable
    await bench.run(bench.does.submit)
    assert bench.job.provider_job_id == bench.work
    assert len(bench.provider.submitted) == 1
    assert "provider.find" in bench.script.calls


async def test_in_doubt_that_nobody_can_resolve_nothing_is_submitted(bench: Bench) -> None:
    bench.provider.find_is_complete = False
    bench.script.fail("provider.submitted", UpstreamError())
    await bench.fails(bench.does.submit)
    failure = await bench.fails(bench.does.submit)
    assert (failure.type, failure.non_retryable) == ("upstream_error", True)
    assert len(bench.provider.submitted) == 1


async def test_what_the_last_attempt_noted_resolves_the_doubt(bench: Bench) -> None:
    bench.provider.find_is_complete = False
    bench.script.fail("provider.submitted", UpstreamError())
    await bench.fails(bench.does.submit)
    bench.attempt(2, bench.work)
    await bench.run(bench.does.submit)
    assert bench.job.provider_job_id == bench.work
    assert len(bench.provider.submitted) == 1


async def test_an_adapter_that_knows_it_was_not_accepted_leaves_no_doubt(bench: Bench) -> None:
    bench.provider.find_is_complete = False

    class Unsent(UpstreamError):
        not_accepted = True

    bench.script.fail("provider.submit", Unsent())
    await bench.fails(bench.does.submit)
    await bench.run(bench.does.submit)
    assert len(bench.provider.submitted) == 1


@pytest.mark.parametrize(
    ("requested", "granted"), [(None, 5), (timedelta(0), 1), (timedelta(seconds=30), 30), (timedelta(hours=1), 120)]
)
async def test_busy_is_no_doubt_and_waits_as_told(bench: Bench, requested: timedelta | None, granted: int) -> None:
    bench.provider.find_is_complete = False
    bench.attempt(100)
    bench.script.fail("provider.submit", UpstreamBusy(retry_after=requested))
    failure = await bench.fails(bench.does.submit)
    assert (failure.type, failure.non_retryable) == ("rate_limit_exceeded", False)
    assert failure.next_retry_delay == timedelta(seconds=granted)
    await bench.run(bench.does.submit)
    assert len(bench.provider.submitted) == 1


@pytest.mark.parametrize(
    ("error", "attempt", "final"),
    [(UpstreamRefused(), 1, True), (UpstreamError(), 5, False), (UpstreamError(), 6, True)],
)
async def test_when_a_submission_is_given_up(bench: Bench, error: Exception, attempt: int, *, final: bool) -> None:
    bench.attempt(attempt)
    bench.script.fail("provider.submit", error)
    assert (await bench.fails(bench.does.submit)).non_retryable is final


async def test_a_database_that_hiccups_does_not_lose_the_id(bench: Bench) -> None:
    bench.script.fail("jobs.record_submitted", ServiceUnavailable())
    await bench.run(bench.does.submit)
    assert bench.job.provider_job_id == bench.work


async def test_a_database_that_hiccups_hides_no_answer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the next attempt would find a submission in doubt."""
    bench.provider.find_is_complete = False
    bench.script.fail("provider.submit", UpstreamRefused())
    load = bench.fakes.jobs.load

    async def loaded(job_id: UUID) -> Job:
        if "provider.submit" in bench.script.calls:
            raise ServiceUnavailable
        return await load(job_id)

    monkeypatch.setattr(bench.fakes.jobs, "load", loaded)
    failure = await bench.fails(bench.does.submit)
    assert (failure.type, failure.non_retryable) == ("invalid_value", True)


async def test_a_database_that_hiccups_leaves_no_doubt(bench: Bench) -> None:
    bench.provider.find_is_complete = False
    bench.script.fail("provider.submit", UpstreamBusy())
    bench.script.fail("jobs.forget_submit", ServiceUnavailable())
    assert (await bench.fails(bench.does.submit)).type == "rate_limit_exceeded"
    await bench.run(bench.does.submit)
    assert len(bench.provider.submitted) == 1


async def test_of_two_submissions_the_second_is_cancelled(bench: Bench) -> None:
    """A slow attempt, believed dead, comes to its end after the next one did."""
    gate = bench.script.hold("provider.submitted")
    late = asyncio.create_task(bench.run(bench.does.submit))
    await gate.reached.wait()
    bench.fakes.jobs.update(bench.ref.job_id, provider_job_id="work-of-the-other-attempt")
    gate.open.set()
    await late
    assert bench.job.provider_job_id == "work-of-the-other-attempt"
    assert bench.provider.cancelled == [bench.work]


async def test_a_submission_that_wakes_after_a_purge_is_taken_back(bench: Bench) -> None:
    gate = bench.script.hold("provider.submitted")
    late = asyncio.create_task(bench.run(bench.does.submit))
    await gate.reached.wait()
    del bench.fakes.jobs.rows[bench.ref.job_id]
    gate.open.set()
    with pytest.raises(ApplicationError) as failure:
        await late
    assert (failure.value.type, failure.value.non_retryable) == (JOB_ENDED, True)
    assert (bench.provider.cancelled, bench.provider.discarded) == ([bench.work], [bench.work])


async def test_a_cancellation_does_not_cut_a_submission_off(bench: Bench) -> None:
    gate = bench.script.hold("provider.submitted")
    running = asyncio.create_task(bench.run(bench.does.submit))
    await gate.reached.wait()
    bench.environment.cancel()
    bench.environment.cancel()
    gate.open.set()
    await running
    assert bench.job.provider_job_id == bench.work


async def test_a_submission_that_takes_too_long() -> None:
    bench = Bench(limits=dataclasses.replace(QUICK, submit_timeout=timedelta(milliseconds=20)))
    bench.script.hold("provider.submit")
    failure = await bench.fails(bench.does.submit)
    assert (failure.type, failure.non_retryable) == ("upstream_timeout", False)


async def test_nothing_that_was_not_ours_is_told(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bench.script.fail("provider.submit", RuntimeError(f"cannot draw {SENTINEL}"))
    failure = await bench.fails(bench.does.submit)
    assert (failure.type, failure.non_retryable) == ("internal_error", False)
    assert failure.__cause__ is None
    assert failure.__suppress_context__
    assert SENTINEL not in str(failure)
    assert "RuntimeError at script.py" in caplog.text
    assert SENTINEL not in caplog.text


@pytest.mark.parametrize("step", ["submit", "poll", "copy"])
async def test_a_job_that_has_ended_is_left_alone(bench: Bench, step: str) -> None:
    bench.submitted()
    await bench.fakes.jobs.end(bench.ref.job_id, State.CANCELLED, None)
    payload = Watch(job_id=bench.ref.job_id) if step == "poll" else bench.ref
    failure = await bench.fails(getattr(bench.does, step), payload)
    assert (failure.type, failure.non_retryable) == ("job_ended", True)
    assert bench.script.calls == ["jobs.end"]


async def test_a_watch_ends_with_the_work_or_with_its_patience(bench: Bench) -> None:
    bench.submitted()
    bench.provider.stages = [Progress(Stage.RUNNING, 10), Progress(Stage.RUNNING, 60), Progress(Stage.DONE, 100)]
    watch = Watch(job_id=bench.ref.job_id, patience=timedelta(minutes=1))
    assert await bench.run(bench.does.poll, watch) == PollResult(done=True, percent=100)
    bench.provider.stages = [Progress(Stage.RUNNING, 60)]
    assert await bench.run(bench.does.poll, watch) == PollResult(done=False, percent=60)
    assert bench.job.progress == 60


@pytest.mark.parametrize(
    ("known", "stands"),
    [
        (PollResult(done=False), Progress(Stage.RUNNING)),
        (PollResult(done=False, percent=40), Progress(Stage.RUNNING, 49)),
        (PollResult(done=False, queued=True), Progress(Stage.RUNNING, queued=True)),
    ],
)
async def test_a_watch_without_news_leaves_its_slot(bench: Bench, known: PollResult, stands: Progress) -> None:
    bench.submitted()
    bench.provider.stages = [stands]
    bench.scheduled(ago=timedelta(minutes=2))
    watch = Watch(job_id=bench.ref.job_id, known=known)
    failure = await bench.fails(bench.does.poll, watch)
    assert (failure.type, failure.non_retryable) == ("still_running", False)
    assert failure.next_retry_delay == timedelta(seconds=24)
    assert bench.script.calls.count("provider.poll") == 1


@pytest.mark.parametrize(
    ("known", "stands"),
    [
        (PollResult(done=False), Progress(Stage.RUNNING, 1)),
        (PollResult(done=False, percent=40), Progress(Stage.RUNNING, 50)),
        (PollResult(done=False, percent=40), Progress(Stage.RUNNING)),
        (PollResult(done=False, queued=True), Progress(Stage.RUNNING)),
        (PollResult(done=False, percent=40), Progress(Stage.DONE, 40)),
    ],
)
async def test_a_watch_ends_with_news(bench: Bench, known: PollResult, stands: Progress) -> None:
    bench.submitted()
    bench.provider.stages = [stands]
    standing = await bench.run(bench.does.poll, Watch(job_id=bench.ref.job_id, known=known))
    assert standing == PollResult(done=stands.stage is Stage.DONE, percent=stands.percent)


@pytest.mark.parametrize(("minutes", "seconds"), [(0, 2), (1, 12), (600, 60)])
async def test_a_provider_that_takes_long_is_asked_rarely(minutes: int, seconds: int) -> None:
    bench = Bench(limits=Limits())
    bench.submitted()
    bench.provider.stages = [Progress(Stage.RUNNING)]
    bench.scheduled(ago=timedelta(minutes=minutes))
    failure = await bench.fails(bench.does.poll, Watch(job_id=bench.ref.job_id, known=PollResult(done=False)))
    assert failure.next_retry_delay == timedelta(seconds=seconds)


async def test_a_single_look(bench: Bench) -> None:
    bench.submitted()
    bench.provider.stages = [Progress(Stage.RUNNING)]
    assert await bench.run(bench.does.poll, Watch(job_id=bench.ref.job_id)) == PollResult(done=False)
    assert bench.script.calls == ["provider.poll"]


@pytest.mark.parametrize(
    ("message", "code"),
    [(None, "upstream_error"), ("invalid_value", "invalid_value"), (SENTINEL, "upstream_error")],
)
async def test_a_failure_at_the_provider_in_our_words(bench: Bench, message: str | None, code: str) -> None:
    bench.submitted()
    bench.provider.stages = [Progress(Stage.FAILED, failure=message)]
    failure = await bench.fails(bench.does.poll, Watch(job_id=bench.ref.job_id))
    assert (failure.type, failure.non_retryable) == (code, True)
    assert SENTINEL not in str(failure)
