"""What may come into our storage, what must not stay there, and what is said to the provider about it."""

import asyncio
import dataclasses

import pytest

from domain.errors import UpstreamRefused
from domain.media import Kind, State
from providers.base import OutputFile, Progress, Stage
from tests.support.temporal.bench import Bench
from tests.support.temporal.fakes import PNG, QUICK, in_chunks


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.submitted()
    return bench


async def test_copying_twice_writes_the_same_objects(bench: Bench) -> None:
    bench.submitted()
    bench.provider.files = [PNG, PNG + b"second"]
    once = await bench.run(bench.does.copy)
    again = await bench.run(bench.does.copy)
    assert once == again
    keys = [output.object_key for output in once.outputs]
    assert sorted(bench.fakes.storage.objects) == keys
    assert bench.fakes.storage.objects[keys[1]] == (PNG + b"second", "image/png")
    assert [output.bytes for output in once.outputs] == [len(PNG), len(PNG) + 6]


@pytest.mark.parametrize(
    ("kind", "declared", "content", "stored"),
    [
        (Kind.IMAGE, ("image/png", "png"), PNG, ("image/png", "png")),
        (Kind.IMAGE, ("image/webp", "webp"), PNG, ("image/png", "png")),
        (Kind.IMAGE, ("image/png", "png"), b"<html><script>", None),
        (Kind.IMAGE, ("image/png", "png"), b"", None),
        (Kind.VIDEO, ("video/mp4", "mp4"), PNG, None),
        (Kind.SPEECH, ("audio/pcm", "pcm"), b"\0\1" * 100, ("audio/pcm", "pcm")),
        (Kind.SPEECH, ("audio/pcm", "pcm"), b"", None),
        (Kind.IMAGE, ("audio/pcm", "pcm"), b"\0\1" * 100, None),
    ],
)
async def test_the_bytes_decide_what_a_file_is(
    kind: Kind, declared: tuple[str, str], content: bytes, stored: tuple[str, str] | None
) -> None:
    bench = Bench(kind=kind)
    bench.submitted()
    bench.provider.files = [OutputFile(*declared, in_chunks(content))]
    if stored is None:
        failure = await bench.fails(bench.does.copy)
        assert (failure.type, failure.non_retryable) == ("upstream_error", True)
        assert not bench.fakes.storage.objects
        return
    (output,) = (await bench.run(bench.does.copy)).outputs
    assert (output.content_type, output.object_key.rpartition(".")[2]) == stored
    assert bench.fakes.storage.objects[output.object_key] == (content, stored[0])


@pytest.mark.parametrize("files", [[], [PNG] * 17], ids=["none", "too-many"])
async def test_how_many_files(bench: Bench, files: list[bytes | OutputFile]) -> None:
    bench.provider.files = files
    assert (await bench.fails(bench.does.copy)).non_retryable


async def test_how_large_a_file() -> None:
    bench = Bench(limits=dataclasses.replace(QUICK, max_output_bytes=len(PNG) - 1))
    bench.submitted()
    assert (await bench.fails(bench.does.copy)).non_retryable
    assert not bench.fakes.storage.objects


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("state", [None, State.FAILED, State.CANCELLED, State.SUCCEEDED, State.RUNNING])
async def test_a_copy_that_wakes_late_leaves_nothing_that_is_not_served(
    bench: Bench, state: State | None, cancelled: bool
) -> None:
    """While its worker was frozen, the job has ended, or a purge has erased it."""
    bench.provider.files = [PNG, PNG]
    assert (await bench.run(bench.does.copy)).outputs
    gate = bench.script.hold("storage.put")
    late = asyncio.create_task(bench.run(bench.does.copy))
    await gate.reached.wait()
    if state is None:
        del bench.fakes.jobs.rows[bench.ref.job_id]
        bench.fakes.storage.objects.clear()
    else:
        bench.fakes.jobs.update(bench.ref.job_id, state=state)
    if cancelled:
        bench.environment.cancel()
    gate.open.set()
    await asyncio.wait([late])
    assert bool(bench.fakes.storage.objects) is (state in (State.SUCCEEDED, State.RUNNING))


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED, State.SUCCEEDED, State.RUNNING])
async def test_only_what_a_job_serves_stays(bench: Bench, state: State) -> None:
    """Also when it is done late: the word of Postgres decides, not who asks."""
    other = "other/job/0.png"
    bench.fakes.storage.objects[other] = (PNG, "image/png")
    copied = await bench.run(bench.does.copy)
    bench.fakes.jobs.update(bench.ref.job_id, state=state)
    await bench.run(bench.does.discard)
    await bench.run(bench.does.discard)
    gone = state in (State.FAILED, State.CANCELLED)
    assert (copied.outputs[0].object_key not in bench.fakes.storage.objects) is gone
    assert other in bench.fakes.storage.objects
    assert bench.provider.discarded == [bench.work] * 2


@pytest.mark.parametrize(
    ("truth", "later", "billed"),
    [
        (Stage.DONE, Stage.DONE, True),
        (Stage.CANCELLED, Stage.CANCELLED, False),
        (Stage.FAILED, Stage.FAILED, False),
        (Stage.RUNNING, Stage.DONE, True),
        (Stage.RUNNING, Stage.CANCELLED, False),
        (Stage.RUNNING, Stage.RUNNING, False),
    ],
)
async def test_what_a_cancelled_provider_bills(bench: Bench, truth: Stage, later: Stage, *, billed: bool) -> None:
    bench.provider.cancel_answers, bench.provider.at_cancel = Progress(truth), Progress(later)
    assert (await bench.run(bench.does.cancel)).billed is billed


async def test_what_cannot_be_stopped_goes_on_unless_its_account_is_purged(bench: Bench) -> None:
    bench.provider.cancel_answers, bench.provider.at_cancel = Progress(Stage.RUNNING, unstoppable=True), None
    bench.provider.stages = [Progress(Stage.RUNNING)]
    assert (await bench.run(bench.does.cancel)).goes_on
    bench.fakes.jobs.purged.add(bench.ref.job_id)
    answer = await bench.run(bench.does.cancel)
    assert (answer.goes_on, answer.billed) == (False, False)


async def test_a_submission_that_nobody_recorded_is_found_and_cancelled() -> None:
    bench = Bench()
    bench.provider.submitted.append(str(bench.ref.job_id))
    assert not (await bench.run(bench.does.cancel)).billed
    assert bench.provider.cancelled == [bench.work] == [bench.job.provider_job_id]


async def test_what_was_never_submitted_is_not_cancelled_there() -> None:
    bench = Bench()
    assert not (await bench.run(bench.does.cancel)).billed
    await bench.run(bench.does.discard)
    assert bench.provider.cancelled == bench.provider.discarded == []


async def test_a_provider_that_takes_no_cancel(bench: Bench) -> None:
    bench.script.fail("provider.cancel", UpstreamRefused())
    assert (await bench.fails(bench.does.cancel)).non_retryable
