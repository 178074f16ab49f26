"""Which key of a media provider submits, which rests, and who polls what it has submitted."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from domain.errors import UpstreamBusy, UpstreamError, UpstreamRefused
from domain.media import Kind, MediaRequest
from gateway.media_keys import MediaKeys
from providers.base import MediaProvider, MediaSubmission, OutputFile, Progress, Stage, Submitted
from providers.media_http import of_our_account
from providers.polled_jobs import PolledJobs

FIRST, SECOND = "0a" * 4, "0b" * 4
SUBMISSION = MediaSubmission(MediaRequest(kind=Kind.IMAGE, model="m", prompt="a lake"), "reference")


@dataclass
class Account(PolledJobs):
    """A vendor as one key sees it."""

    errors: list[UpstreamError] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    async def submit(self, submission: MediaSubmission) -> Submitted:
        self.seen.append("submit")
        if self.errors:
            raise self.errors.pop(0)
        return Submitted("work")

    async def poll(self, provider_job_id: str) -> Progress:
        self.seen.append(f"poll {provider_job_id}")
        return Progress(Stage.DONE)

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        self.seen.append(f"fetch {provider_job_id}")
        return
        yield

    async def discard(self, provider_job_id: str) -> None:
        self.seen.append(f"discard {provider_job_id}")

    async def _state(self, provider_job_id: str) -> Mapping[str, object]:
        return {}

    async def _progress(self, provider_job_id: str, answer: Mapping[str, object]) -> Progress:
        return Progress(Stage.DONE)


@dataclass
class World:
    now: float = 1000.0
    first: Account = field(default_factory=Account)
    second: Account = field(default_factory=Account)

    def __post_init__(self) -> None:
        self.keyed: dict[str, MediaProvider] = {FIRST: self.first, SECOND: self.second}
        self.keys = MediaKeys(lambda name, request: self.keyed, lambda: self.now)

    @property
    def provider(self) -> MediaProvider:
        return self.keys("vendor")

    async def submitted(self) -> str:
        return (await self.provider.submit(SUBMISSION)).provider_job_id


def answered(status: int, error: UpstreamError) -> UpstreamError:
    error.status = status
    return error


async def test_keys_take_turns_and_each_job_stays_with_its_own() -> None:
    world = World()
    jobs = [await world.submitted() for _ in range(3)]
    assert jobs == [f"{FIRST}~work", f"{SECOND}~work", f"{FIRST}~work"]
    for step in (world.provider.poll, world.provider.cancel, world.provider.discard):
        await step(jobs[1])
    assert [file async for file in world.provider.fetch(jobs[1])] == []
    assert world.second.seen == ["submit", "poll work", "poll work", "discard work", "fetch work"]
    assert world.first.seen == ["submit", "submit"]


@pytest.mark.parametrize(
    ("error", "rest"),
    [
        (answered(401, of_our_account()), 600),
        (answered(402, of_our_account()), 60),
        (answered(429, UpstreamBusy(retry_after=timedelta(seconds=30))), 30),
        (answered(429, UpstreamBusy()), 5),
    ],
    ids=["401", "402", "429 with a hint", "429"],
)
async def test_a_key_that_is_refused_rests_and_the_next_one_submits(error: UpstreamError, rest: float) -> None:
    world = World(first=Account(errors=[error]))
    with capture_logs() as lines:
        assert await world.submitted() == f"{SECOND}~work"
    named = [(line["log_level"], line["provider"], line["key"]) for line in lines]
    assert named == ([] if isinstance(error, UpstreamBusy) else [("error", "vendor", 1)])
    world.now += rest - 1
    assert [await world.submitted() for _ in range(2)] == [f"{SECOND}~work"] * 2
    world.now += 2
    assert f"{FIRST}~work" in [await world.submitted() for _ in range(2)]


@pytest.mark.parametrize(
    "error",
    [answered(500, UpstreamError()), answered(503, UpstreamBusy()), answered(400, UpstreamRefused()), UpstreamBusy()],
    ids=["a doubt", "unavailable", "the input", "our own limits"],
)
async def test_what_is_not_about_the_key_goes_to_no_other(error: UpstreamError) -> None:
    world = World(first=Account(errors=[error]))
    with pytest.raises(type(error)):
        await world.submitted()
    assert (world.first.seen, world.second.seen) == (["submit"], [])


async def test_when_all_keys_rest_each_submission_tries_one_and_says_when_to_ask_again() -> None:
    later = answered(429, UpstreamBusy(retry_after=timedelta(seconds=30)))
    world = World(first=Account(errors=[later]), second=Account(errors=[answered(401, of_our_account())]))
    with pytest.raises(UpstreamBusy) as busy:
        await world.submitted()
    assert busy.value.retry_after == timedelta(seconds=30)
    assert await world.submitted() == f"{FIRST}~work"
    assert world.second.seen == ["submit"]


async def test_ids_of_one_key_and_of_a_key_that_is_gone() -> None:
    world = World()
    await world.provider.poll("earlier-work")
    assert world.first.seen == ["poll earlier-work"]
    job = f"{SECOND}~work"
    del world.keyed[SECOND]
    with pytest.raises(UpstreamError):
        await world.provider.poll(job)
    assert await world.submitted() == "work"
