"""What a vendor answers about a job that it accepted: an error there is no fault of the job's input."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from domain.catalog import Provider
from domain.errors import ContentPolicyViolation, GatewayError, UpstreamBusy, UpstreamError, UpstreamGone
from providers.base import Headers, MediaSubmission, OutputFile, Progress, Stage, Submitted
from providers.lost_jobs import MAX_NOT_FOUND
from providers.media_http import HttpRequest, HttpRules, MediaHttp, key_in, media_client
from providers.openrouter import media as openrouter
from providers.polled_jobs import PolledJobs
from tests.support.doubles.threaded_app import ThreadedApp

FLAGGED = "flagged"


@dataclass(slots=True)
class Vendor(ThreadedApp):
    status: int = 200
    body: str = "{}"

    @property
    def provider(self) -> Provider:
        return Provider(name="vendor", kind="fal", active=True, base_url=f"http://127.0.0.1:{self.port}")

    def routes(self, app: web.Application) -> None:
        app.router.add_route("*", "/{path:.+}", self._answer)

    async def _answer(self, _request: web.Request) -> web.Response:
        return web.Response(status=self.status, text=self.body)


class Adapter(PolledJobs):
    def __init__(self, http: MediaHttp, url: str) -> None:
        super().__init__()
        self._http, self._url = http, url

    async def submit(self, submission: MediaSubmission) -> Submitted:
        return Submitted("work")

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        file = await self._http.download(f"{self._url}/{provider_job_id}")
        yield OutputFile(file.content_type, "png", file.chunks)

    async def _state(self, provider_job_id: str) -> Mapping[str, Any]:
        answer = await self._http.json(HttpRequest(f"{self._url}/{provider_job_id}", "GET"))
        return dict(answer.value)

    async def _progress(self, provider_job_id: str, answer: Mapping[str, Any]) -> Progress:
        return Progress(Stage.RUNNING)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as vendor:
        yield vendor


@pytest.fixture
async def adapter(vendor: Vendor) -> AsyncIterator[Adapter]:
    def explain(_status: int, _headers: Headers, body: bytes) -> GatewayError | None:
        return ContentPolicyViolation() if body == FLAGGED.encode() else None

    async with media_client() as client:
        rules = HttpRules(key_in("authorization", vendor.provider), explain=explain)
        yield Adapter(MediaHttp(client, vendor.provider, rules), vendor.provider.base_url)


async def polled(adapter: Adapter) -> UpstreamError:
    with pytest.raises(UpstreamError) as failure:
        await adapter.poll("work")
    return failure.value


@pytest.mark.parametrize("status", [400, 404, 410, 413, 422])
async def test_a_job_that_the_vendor_does_not_tell_of_is_lost_after_several_times(
    vendor: Vendor, adapter: Adapter, status: int
) -> None:
    vendor.status = status
    for _ in range(MAX_NOT_FOUND - 1):
        error = await polled(adapter)
        assert (error.code, error.retryable) == ("upstream_error", True)
    assert await adapter.poll("work") == Progress(Stage.FAILED, failure="upstream_error")


@pytest.mark.parametrize(("status", "kind"), [(401, UpstreamError), (403, UpstreamError), (429, UpstreamBusy)])
async def test_what_the_operator_or_time_may_mend_is_waited_for(
    vendor: Vendor, adapter: Adapter, status: int, kind: type[UpstreamError]
) -> None:
    vendor.status = status
    for _ in range(2 * MAX_NOT_FOUND):
        error = await polled(adapter)
        assert (type(error), error.retryable) == (kind, True)


async def test_a_refusal_that_the_vendor_names_is_the_callers(vendor: Vendor, adapter: Adapter) -> None:
    vendor.status, vendor.body = 400, FLAGGED
    assert isinstance(await polled(adapter), ContentPolicyViolation)


async def test_an_output_that_the_vendor_does_not_give_is_its_fault(vendor: Vendor, adapter: Adapter) -> None:
    vendor.status = 400
    with pytest.raises(UpstreamGone) as failure:
        await anext(adapter.fetch("work"))
    assert (failure.value.code, failure.value.retryable) == ("upstream_error", False)


class TwoLooks(Adapter):
    """Of a vendor whose job is done before its file can be had."""

    async def _state(self, provider_job_id: str) -> Mapping[str, Any]:
        return {}

    async def _progress(self, provider_job_id: str, answer: Mapping[str, Any]) -> Progress:
        await super()._state(provider_job_id)
        return Progress(Stage.DONE)


@pytest.mark.parametrize("status", [400, 404, 410])
async def test_a_second_look_of_a_poll_counts_like_the_first(vendor: Vendor, status: int) -> None:
    vendor.status = status
    async with media_client() as client:
        rules = HttpRules(key_in("authorization", vendor.provider))
        adapter = TwoLooks(MediaHttp(client, vendor.provider, rules), vendor.provider.base_url)
        for _ in range(MAX_NOT_FOUND - 1):
            error = await polled(adapter)
            assert (error.code, error.retryable) == ("upstream_error", True)
        vendor.status = 200
        assert await adapter.poll("work") == Progress(Stage.DONE)
        vendor.status = status
        assert (await polled(adapter)).retryable


def _answer(kind: str) -> str:
    return f'{{"error": {{"code": 400, "message": "no", "metadata": {{"error_type": "{kind}"}}}}}}'


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("kind", ["invalid_request", "unprocessable"])
async def test_openrouters_general_refusals_are_of_the_poll(vendor: Vendor, status: int, kind: str) -> None:
    """They do not name the input, which was accepted. Those that do are the caller's."""
    vendor.status, vendor.body = status, _answer(kind)
    async with media_client() as client:
        adapter = openrouter.media(vendor.provider.model_copy(update={"kind": "openrouter"}), client)
        for _ in range(MAX_NOT_FOUND - 1):
            with pytest.raises(UpstreamError) as failure:
                await adapter.poll("work")
            assert (failure.value.code, failure.value.retryable) == ("upstream_error", True)
        assert await adapter.poll("work") == Progress(Stage.FAILED, failure="upstream_error")
        vendor.body = _answer("invalid_prompt")
        with pytest.raises(UpstreamError) as failure:
            await adapter.poll("work")
        assert (failure.value.code, failure.value.retryable) == ("invalid_value", False)
