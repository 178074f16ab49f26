"""A provider whose output comes with its answer: stored at once, recorded once, never asked for again."""

import pytest
from temporalio.exceptions import ApplicationError

from activities.payloads import Accepted, CancelResult, Copied, PollResult, Watch
from domain.errors import ServiceUnavailable, UpstreamError
from domain.media import Kind, MediaInput, State
from providers.base import OutputFile
from tests.support.temporal.bench import Bench
from tests.support.temporal.fakes import PNG, in_chunks


def synchronous(kind: Kind = Kind.IMAGE) -> Bench:
    bench = Bench(kind=kind)
    bench.provider.synchronous, bench.provider.find_is_complete = True, False
    return bench


async def test_the_answer_is_stored_and_nobody_is_asked_again() -> None:
    bench = synchronous()
    bench.provider.files = [PNG, PNG + b"second"]
    accepted = await bench.run(bench.does.submit)
    assert bench.job.produced is not None
    assert await bench.run(bench.does.submit) == accepted == Accepted(provider="demo", outputs=bench.job.produced)
    assert await bench.run(bench.does.submit, bench.before) == Accepted(provider="demo")
    assert [output.object_key for output in bench.job.produced] == sorted(bench.fakes.storage.objects)
    bench.script.always_fail("provider.poll", UpstreamError())
    bench.script.always_fail("provider.fetch", UpstreamError())
    assert await bench.run(bench.does.poll, Watch(job_id=bench.ref.job_id)) == PollResult(done=True)
    assert await bench.run(bench.does.copy) == Copied(outputs=bench.job.produced)
    assert await bench.run(bench.does.cancel) == CancelResult(billed=True)
    assert bench.provider.cancelled == []


async def test_a_database_that_hiccups_does_not_lose_the_outputs() -> None:
    bench = synchronous()
    bench.script.fail("jobs.record_submitted", ServiceUnavailable())
    await bench.run(bench.does.submit)
    assert bench.job.produced is not None


async def test_nothing_is_submitted_while_there_is_no_place_for_the_answer() -> None:
    bench = synchronous()
    bench.script.fail("storage.read", ServiceUnavailable())
    assert not (await bench.fails(bench.does.submit)).non_retryable
    assert (bench.provider.submitted, bench.job.submit_intended_at) == ([], None)
    await bench.run(bench.does.submit)
    assert bench.job.produced is not None


@pytest.mark.parametrize("cut", ["provider.submitted", "provider.fetch", "storage.put"])
async def test_an_answer_that_was_lost_is_not_asked_for_again(cut: str) -> None:
    bench = synchronous()
    bench.script.fail(cut, UpstreamError())
    assert not (await bench.fails(bench.does.submit)).non_retryable
    failure = await bench.fails(bench.does.submit)
    assert (failure.type, failure.non_retryable) == ("upstream_error", True)
    assert len(bench.provider.submitted) == 1


@pytest.mark.parametrize("content", [b"", b"<html>"])
async def test_an_answer_that_is_no_image(content: bytes) -> None:
    bench = synchronous()
    bench.provider.files = [content]
    assert (await bench.fails(bench.does.submit)).non_retryable
    assert bench.job.produced is None
    assert not bench.fakes.storage.objects


async def test_an_answer_that_comes_after_the_end_leaves_no_objects() -> None:
    bench = synchronous()
    bench.provider.files = [PNG, PNG]
    gate = bench.script.hold("storage.put")
    late = bench.begin(bench.does.submit)
    await gate.reached.wait()
    await bench.fakes.jobs.end(bench.ref.job_id, State.FAILED, None)
    gate.open.set()
    with pytest.raises(ApplicationError, match="already ended"):
        await late
    assert not bench.fakes.storage.objects


@pytest.mark.parametrize(
    ("content_type", "content", "stored"),
    [
        ("text/plain", "Grüße\n".encode(), "txt"),
        ("application/json", b'{"text": ""}', "json"),
        ("text/html", b"<html>", None),
        ("text/plain", b"\xff\xfe\x00", None),
        ("text/plain", b"\x00\x01", None),
        ("text/plain", b"", None),
    ],
)
async def test_a_transcription_is_text(content_type: str, content: bytes, stored: str | None) -> None:
    bench = synchronous(Kind.TRANSCRIPTION)
    bench.provider.files = [OutputFile(content_type, stored or "bin", in_chunks(content))]
    if stored is None:
        assert (await bench.fails(bench.does.submit)).non_retryable
        return
    await bench.run(bench.does.submit)
    assert bench.job.produced is not None
    (output,) = bench.job.produced
    assert (output.content_type, output.object_key.rpartition(".")[2]) == (content_type, stored)


async def test_the_provider_gets_the_input_files() -> None:
    bench = synchronous()
    given = (MediaInput("image", "image/png", PNG),)
    bench.fakes.inputs.files[bench.ref.job_id] = given
    await bench.run(bench.does.submit)
    assert bench.provider.inputs == [given]
    assert "PNG" not in repr(given)
