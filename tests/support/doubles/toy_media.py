"""The smallest media provider: a vendor with four endpoints, and its adapter. Add a real one as this one is."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace

import httpx2
from aiohttp import web

from domain.catalog import Provider
from domain.errors import ContentPolicyViolation, GatewayError, UpstreamError
from providers.base import MediaSubmission, OutputFile, Progress, Stage, Submitted
from providers.media_http import HttpRequest, HttpRules, MediaHttp, key_in
from tests.support.doubles.threaded_app import ThreadedApp

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
STAGES = {"running": Stage.RUNNING, "done": Stage.DONE, "failed": Stage.FAILED}


class ToyMedia:
    """Implements `providers.base.MediaProvider`."""

    find_is_complete = True

    def __init__(self, provider: Provider, client: httpx2.AsyncClient) -> None:
        self._url = provider.base_url
        rules = HttpRules(key_in("authorization", provider, "Bearer "), explain=_explained)
        self._http = MediaHttp(client, provider, rules)

    async def submit(self, submission: MediaSubmission) -> Submitted:
        body = {"prompt": submission.request.prompt, "reference": submission.reference}
        await submission.lease.renew()
        request = HttpRequest(f"{self._url}/jobs", json=body, require=submission.lease.require)
        return Submitted(_id((await self._http.json(request)).value))

    async def find(self, reference: str) -> str | None:
        answer = await self._http.json(HttpRequest(f"{self._url}/jobs?reference={reference}", "GET"))
        return _id(answer.value) if answer.value else None

    async def poll(self, provider_job_id: str) -> Progress:
        answer = await self._http.json(HttpRequest(f"{self._url}/jobs/{provider_job_id}", "GET"))
        stage = STAGES.get(str(answer.value.get("status"))) if isinstance(answer.value, dict) else None
        if stage is None:
            raise UpstreamError
        return Progress(stage)

    async def fetch(self, provider_job_id: str) -> AsyncIterator[OutputFile]:
        file = await self._http.download(f"{self._url}/jobs/{provider_job_id}/file")
        yield OutputFile(file.content_type, "png", file.chunks)

    async def cancel(self, provider_job_id: str) -> Progress:
        return replace(await self.poll(provider_job_id), unstoppable=True)

    async def discard(self, provider_job_id: str) -> None:
        """The vendor keeps nothing."""


def _id(value: object) -> str:
    identity = value.get("id") if isinstance(value, dict) else None
    if not isinstance(identity, str):
        raise UpstreamError
    return identity


def _explained(_status: int, _headers: Mapping[str, str], body: bytes) -> GatewayError | None:
    return ContentPolicyViolation() if b"not_allowed" in body else None


@dataclass(slots=True)
class ToyVendor(ThreadedApp):
    """The vendor. Attributes say how it behaves."""

    status: str = "done"
    file: bytes = PNG
    refused: bool = False
    jobs: list[str] = field(default_factory=list)
    """The references of all submissions."""

    @property
    def provider(self) -> Provider:
        return Provider(name="toy", kind="toy", active=True, base_url=f"http://127.0.0.1:{self.port}")

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/jobs", self._submit)
        app.router.add_get("/jobs", self._find)
        app.router.add_get("/jobs/{id}", self._poll)
        app.router.add_get("/jobs/{id}/file", self._file)

    async def _submit(self, request: web.Request) -> web.Response:
        if self.refused:
            return web.json_response({"error": "not_allowed"}, status=400)
        self.jobs.append((await request.json())["reference"])
        return web.json_response({"id": f"job-{len(self.jobs)}"})

    async def _find(self, request: web.Request) -> web.Response:
        reference = request.query["reference"]
        known = {"id": f"job-{self.jobs.index(reference) + 1}"} if reference in self.jobs else None
        return web.json_response(known)

    async def _poll(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": self.status})

    async def _file(self, _request: web.Request) -> web.Response:
        return web.Response(body=self.file, content_type="image/png")
