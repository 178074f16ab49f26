"""A provider that fails for everybody is one line for its operator; one caller's bad requests are none."""

from collections.abc import Sequence
from typing import cast

import pytest
from pydantic import SecretStr

from domain.catalog import Route
from domain.errors import UpstreamBusy, UpstreamError, UpstreamRefused, UpstreamTimeout
from domain.faults import CALM_SECONDS
from domain.media import Kind, MediaRequest
from gateway.provider_faults import ProviderFaults
from gateway.routing import Router
from gateway.watched_media import FAILURES, WatchedMedia
from providers.base import MediaProvider, MediaSubmission
from tests.support.doubles.chat_calls import route
from tests.support.fault_lines import FaultLines

ROUTE = route("one")
KEY = "one: a provider does not accept our key, or our account there has nothing left"
ERRORS, LIMIT = "one: a provider answers with errors", "one: a provider is at its limit for us"
UNREACHED, LATE = "one: a provider cannot be reached", "one: a provider does not answer in time"


def answered(status: int, error: UpstreamError | None = None) -> UpstreamError:
    error = error or UpstreamError()
    error.status, error.blames_key = status, status == 401
    return error


def unreached() -> UpstreamError:
    error = UpstreamError()
    error.unreached = True
    return error


class Calls:
    """Chat calls on one route, over a clock of the test."""

    def __init__(self, routes: Sequence[Route] = (ROUTE,)) -> None:
        self.routes, self.now, self.log = routes, 1000.0, FaultLines()
        self.router = Router(lambda: self.now, lambda: 0.0)
        self.router.faults = ProviderFaults(self.log, lambda: self.now)

    def call(self, account: str, error: UpstreamError | None) -> None:
        attempts = self.router.attempts(self.routes, lambda _route, _error: False, account)
        attempts.next()
        if error is None:
            attempts.succeeded(1)
        else:
            attempts.no_more()
            attempts.after(error)


@pytest.mark.parametrize(
    ("errors", "first"),
    [
        ([answered(401)], KEY),
        ([unreached()] * 3, UNREACHED),
        ([answered(500)] * 6, ERRORS),
        ([UpstreamTimeout()] * 6, LATE),
        ([answered(429, UpstreamBusy())] * 2, LIMIT),
    ],
    ids=["401", "unreached", "500", "timeout", "429"],
)
def test_chats_of_two_accounts_show_that_a_provider_fails(errors: Sequence[UpstreamError], first: str) -> None:
    calls = Calls()
    for number, error in enumerate(errors):
        calls.call(f"account {number % 2}", error)
    assert set(calls.log.lines) == {first}
    calls.now += CALM_SECONDS * 100
    calls.call("account 0", None)
    calls.call("account 0", None)
    assert calls.log.lines[-1] == "one: mended"
    assert calls.log.lines.count("one: mended") == 1


def test_a_key_that_is_not_accepted_is_not_mended_by_another_one() -> None:
    two = route("two")
    two = two.model_copy(update={"provider": two.provider.model_copy(update={"more_keys": (SecretStr("another"),)})})
    calls = Calls([two])
    calls.call("account", answered(401))
    calls.now += CALM_SECONDS
    calls.call("account", None)  # with the other key
    assert len(calls.log.lines) == 1
    calls.now += CALM_SECONDS * 100
    for _ in range(2):
        calls.call("account", None)
    assert calls.log.lines[1:] == ["two: mended"]


@pytest.mark.parametrize("error", [answered(500), answered(429, UpstreamBusy()), answered(400, UpstreamRefused())])
def test_one_accounts_chats_show_nothing(error: UpstreamError) -> None:
    calls = Calls()
    for _ in range(20):
        calls.call("account", error)
    assert calls.log.lines == []


class Vendor:
    def __init__(self) -> None:
        self.error: UpstreamError | None = None

    async def poll(self, _: str) -> str:
        if self.error:
            raise self.error
        return "done"

    async def submit(self, submission: MediaSubmission) -> str:
        return await self.poll(submission.reference)


@pytest.mark.parametrize(
    ("error", "needed", "line"),
    [(answered(500), FAILURES, ERRORS), (answered(401), 1, KEY), (answered(400, UpstreamRefused()), 99, None)],
    ids=["500", "401", "400"],
)
async def test_jobs_show_it_by_failures_in_a_row(error: UpstreamError, needed: int, line: str | None) -> None:
    """From then on no attempt writes a line of its own."""
    log, vendor, now = FaultLines(), Vendor(), [0.0]
    error.retryable = error.status != 400

    def providers(_name: str, _request: MediaRequest | None) -> MediaProvider:
        return cast(MediaProvider, vendor)

    watched = WatchedMedia(providers, ProviderFaults(log, lambda: now[0]))
    for number in range(1, FAILURES + 3):
        vendor.error, error.reported = error, False
        with pytest.raises(UpstreamError):
            await watched("one").poll(f"job {number % 2}")
        assert error.reported == (number >= needed)
    assert set(log.lines) == ({line} if line else set())
    vendor.error, now[0] = None, CALM_SECONDS
    await watched("one").poll("job")
    assert (log.lines[-1:] == ["one: mended"]) == (line is not None)


async def test_one_jobs_input_and_refusals_show_nothing() -> None:
    log, vendor = FaultLines(), Vendor()
    watched = WatchedMedia(lambda _name, _request: cast(MediaProvider, vendor), ProviderFaults(log))
    refused = answered(400, UpstreamRefused())
    for job, error in [*[("poisoned", answered(500))] * (FAILURES + 2), *[("refused", refused)] * FAILURES]:
        vendor.error = error
        with pytest.raises(UpstreamError):
            await watched("one").poll(job)
    assert log.lines == []
    vendor.error = unreached()
    for _ in range(FAILURES):
        with pytest.raises(UpstreamError):
            await watched("one").poll("the only job")
    assert set(log.lines) == {UNREACHED}


async def test_an_account_that_pays_for_no_more_jobs_is_not_mended_by_looks_at_old_ones() -> None:
    log, vendor, now = FaultLines(), Vendor(), [0.0]
    watched = WatchedMedia(lambda _name, _request: cast(MediaProvider, vendor), ProviderFaults(log, lambda: now[0]))
    submission = MediaSubmission(MediaRequest(kind=Kind.IMAGE, model="m", prompt="a lake"), "reference")
    vendor.error = answered(402)
    with pytest.raises(UpstreamError):
        await watched("one").submit(submission)
    vendor.error, now[0] = None, CALM_SECONDS
    await watched("one").poll("old")
    assert log.lines == [KEY]
    await watched("one").submit(submission)
    assert log.lines == [KEY, "one: mended"]
