"""Takes one submission through an adapter, as the steps of a job do, and says how it ended."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from domain.catalog import Provider
from domain.errors import UpstreamBusy, UpstreamError, UpstreamRefused
from providers.base import MediaProvider, MediaSubmission, Stage

MAX_POLLS = 12
ENDS: list[tuple[str, str, bool]] = [
    ("slow", "done", False),
    ("busy", "rate_limit_exceeded", True),
    ("unavailable", "rate_limit_exceeded", True),
    ("broken", "upstream_error", False),
    ("refused", "invalid_value", True),
    ("unauthorized", "upstream_error", True),
    ("no-model", "upstream_error", True),
    ("lost", "upstream_error", False),
    ("page", "upstream_error", False),
    ("garbage", "upstream_error", False),
    ("huge", "upstream_error", False),
]
"""A fault of a submission, how the job ends with it, and whether it may be submitted again."""
ENDS_OF_QUEUED = [("unavailable", "upstream_error", False) if end[0] == "unavailable" else end for end in ENDS]
"""The same where the vendor goes on with its work after the answer: "unavailable" leaves a doubt there."""
ENDS_OF_POLLED: list[tuple[str, str, int]] = [
    ("lost-poll", "done", 1),
    ("broken-poll", "done", 1),
    ("busy-poll", "done", 1),
    ("never", "running", 0),
    ("forgotten", "upstream_error", 4),
    ("fails", "upstream_error", 0),
    ("moderated", "content_policy_violation", 0),
    ("huge-video", "fetch:too large", 0),
]
"""A fault of a video after its submission, how the job ends with it, and how many polls fail meanwhile."""


def provider(kind: str, base_url: str, key: str, **fields: Any) -> Provider:
    return Provider(name="p", kind=kind, active=True, base_url=base_url, api_key=SecretStr(key), **fields)


@dataclass(slots=True)
class Run:
    """What became of a submission."""

    end: str = ""
    """`done`, `running`, `cancelled`, or the code of an error; before it `submit:` or `fetch:` if it failed there."""
    safe: bool = False
    """Whether the error of its submission says that it may be submitted again."""
    files: list[tuple[str, bytes]] = field(default_factory=list, repr=False)
    failed_polls: int = 0
    percents: list[int] = field(default_factory=list)
    job_id: str = ""


async def run(adapter: MediaProvider, submission: MediaSubmission) -> Run:
    seen = Run()
    try:
        submitted = await adapter.submit(submission)
    except UpstreamError as error:
        seen.safe = isinstance(error, UpstreamBusy | UpstreamRefused) or error.not_accepted
        seen.end = f"submit:{error.code}"
        return seen
    seen.job_id = submitted.provider_job_id
    if submitted.files is not None:
        seen.end = "done"
        async for file in submitted.files:
            seen.files.append((file.content_type, b"".join([chunk async for chunk in file.chunks])))
        return seen
    seen.end = await _polled(adapter, seen)
    if seen.end == "done":
        await _fetch(adapter, seen)
    return seen


async def _polled(adapter: MediaProvider, seen: Run) -> str:
    for _ in range(MAX_POLLS):
        try:
            progress = await adapter.poll(seen.job_id)
        except UpstreamError:
            seen.failed_polls += 1
            continue
        if progress.percent is not None:
            seen.percents.append(progress.percent)
        if progress.stage is not Stage.RUNNING:
            return progress.failure or progress.stage.value
    return "running"


async def _fetch(adapter: MediaProvider, seen: Run) -> None:
    try:
        async for file in adapter.fetch(seen.job_id):
            size, first = 0, b""
            async for chunk in file.chunks:
                size, first = size + len(chunk), first or chunk
                if size > (8 << 20):
                    seen.end = "fetch:too large"
                    return
            seen.files.append((file.content_type, first))
    except UpstreamError as error:
        seen.end = f"fetch:{error.code}"
