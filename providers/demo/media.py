"""Demo media jobs: pictures, films, speech and transcripts, made on this machine as a remote provider makes them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from domain.errors import UpstreamError, UpstreamGone
from providers.base import MediaSubmission, OutputFile, Progress, Stage, Submitted
from providers.demo import order
from providers.demo.order import Order
from providers.demo.spool import File, Outcome, Spool, Submission

CHUNK = 64 * 1024
RENDERERS = 2
"""Jobs that one process renders at a time; the others wait."""


class DemoMedia:
    """Implements `providers.base.MediaProvider`.

    Like most remote providers, it is not idempotent: each submission is a new job with a random id.
    """

    find_is_complete = True
    """A submission exists once its folder is renamed, and `find` sees it from then on: not found is not submitted."""

    def __init__(self, folder: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.spool = Spool(folder)
        self._clock = clock
        self._renderers = asyncio.Semaphore(RENDERERS)

    async def submit(self, given: MediaSubmission) -> Submitted:
        request = given.request
        ordered = order.read(request, given.inputs)
        async with self._renderers:
            with self.spool.draft() as draft:
                files = () if ordered.fails else await _rendered(ordered, draft)
                now = self._clock()
                submission = Submission(
                    id=uuid4().hex,
                    reference=given.reference,
                    kind=request.kind,
                    model=request.model,
                    submitted_at=now,
                    ready_at=now + ordered.wait,
                    outcome=Outcome.FAILED if ordered.fails else Outcome.DONE,
                    files=files,
                )
                await given.lease.renew()
                await asyncio.to_thread(self.spool.publish, draft, submission, given.lease.require)
        return Submitted(submission.id)

    async def find(self, reference: str) -> str | None:
        known = await asyncio.to_thread(self.spool.submissions, reference)
        return known[-1].id if known else None

    async def poll(self, provider_job_id: str) -> Progress:
        return await asyncio.to_thread(self._progress, provider_job_id)

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        submission = await asyncio.to_thread(self._finished, provider_job_id)
        for file in submission.files:
            yield OutputFile(
                content_type=file.content_type,
                extension=file.extension,
                chunks=self._chunks(submission, file),
                width=file.width,
                height=file.height,
                duration=file.duration,
            )

    async def cancel(self, provider_job_id: str) -> Progress:
        return await asyncio.to_thread(self._cancelled, provider_job_id)

    async def discard(self, provider_job_id: str) -> None:
        await asyncio.to_thread(self._discarded, provider_job_id)

    def _progress(self, job_id: str) -> Progress:
        with self.spool.opened(job_id) as submission:
            return _standing(submission, self._clock())

    def _finished(self, job_id: str) -> Submission:
        with self.spool.opened(job_id) as submission:
            if _standing(submission, self._clock()).stage is not Stage.DONE:
                raise UpstreamError("The provider has no output of this job yet.")
            return submission

    def _cancelled(self, job_id: str) -> Progress:
        with self.spool.opened(job_id, exclusive=True) as submission:
            now = self._clock()
            standing = _standing(submission, now)
            if standing.stage is not Stage.RUNNING:
                return standing
            self.spool.rewrite(submission.model_copy(update={"cancelled_at": now}))
            self.spool.discard(submission)
            return Progress(Stage.CANCELLED)

    def _discarded(self, job_id: str) -> None:
        with suppress(UpstreamGone), self.spool.opened(job_id, exclusive=True) as submission:
            self.spool.discard(submission)

    async def _chunks(self, submission: Submission, file: File) -> AsyncIterator[bytes]:
        try:
            opened = await asyncio.to_thread(self.spool.path(submission, file).open, "rb")
        except FileNotFoundError:
            raise UpstreamGone from None
        with opened:
            while chunk := await asyncio.to_thread(opened.read, CHUNK):
                yield chunk


async def _rendered(ordered: Order, folder: Path) -> tuple[File, ...]:
    try:
        # Imported here: production images do not contain the encoders, and do not reach this line.
        from providers.demo import rendering
    except ImportError:
        error = UpstreamError(
            "The demo models need their encoders: install this server with the extra 'demo' (yout[demo])."
        )
        error.retryable = False
        raise error from None
    return await rendering.render(ordered, folder)


def _standing(submission: Submission, now: datetime) -> Progress:
    if submission.cancelled_at is not None:
        return Progress(Stage.CANCELLED)
    if now < submission.ready_at:
        share = (now - submission.submitted_at) / (submission.ready_at - submission.submitted_at)
        return Progress(Stage.RUNNING, percent=min(99, max(0, int(share * 100))))
    if submission.outcome is Outcome.FAILED:
        return Progress(Stage.FAILED, failure=UpstreamError.code)
    return Progress(Stage.DONE, percent=100)
