"""Three API processes behind nginx, four workers and an object store, as `deploy/compose` has them: all are restarted
while calls and jobs run; and what nginx refuses, hides and does not keep."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio

from dev.postgres import EmbeddedPostgres
from tests.support import nginx as proxies
from tests.support.doubles.openai_server import ANSWER
from tests.support.fleet import MODEL, WORKERS, Fleet
from tests.support.media_stack import Customer, Job
from tests.support.nginx import API_PORT, SERVICES, Nginx
from tests.support.stack import end

in_loop = pytest.mark.asyncio(loop_scope="module")

CLIENTS, STREAMS, ORDERING = 4, 2, 2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    async with Fleet.running(postgres, tmp_path_factory) as fleet:
        yield fleet


def _body(model: str = MODEL, *, stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "2+2?"}], "max_tokens": 100, "stream": stream}


def _streamed(text: str) -> dict[str, Any]:
    """The last event of a stream that is whole."""
    *events, done = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert done == "[DONE]"
    return dict(json.loads(events[-1]))


async def _call(http: httpx2.AsyncClient, *, stream: bool) -> int:
    """Make a call, which may not fail. Return what it cost."""
    answer = await http.post("/v1/chat/completions", json=_body(stream=stream))
    assert answer.status_code == 200, answer.text
    whole = _streamed(answer.text) if stream else answer.json()
    assert stream or whole["choices"][0]["message"]["content"] == ANSWER
    return int(whole["yout"]["credits_charged"])


@dataclass(slots=True)
class Load:
    """Who calls and orders until it is over and enough was served, each through connections that it uses again."""

    customer: Customer
    over: asyncio.Event = field(default_factory=asyncio.Event)
    charges: list[int] = field(default_factory=list)
    """Of chats."""
    jobs: list[Job] = field(default_factory=list)
    """As their last event has them."""
    waiting: str = ""
    """The job of `listen`."""
    cuts: int = 0
    """Streams of events that ended before their job."""

    def _client(self) -> httpx2.AsyncClient:
        headers = {"authorization": f"Bearer {self.customer.token}"}
        return httpx2.AsyncClient(base_url=self.customer.http.base_url, headers=headers, timeout=60)

    async def call(self, *, stream: bool) -> None:
        async with self._client() as http:
            while len(self.charges) <= 3 * CLIENTS or not self.over.is_set():
                self.charges.append(await _call(http, stream=stream))

    async def order(self) -> None:
        """A picture that takes some seconds, followed to its end. Then it is fetched."""
        body = {"model": "demo-image-slow", "prompt": "dusk [seconds=4]", "size": "64x64"}
        async with self._client() as http:
            while len(self.jobs) <= ORDERING or not self.over.is_set():
                answer = await http.post("/api/media/image/", json=body)
                assert answer.status_code == 202, answer.text
                job = await self._followed(http, answer.json()["job_uuid"])
                self.jobs.append(job)
                assert job["status"] == "succeeded", job
                (output,) = job["outputs"]
                fetched = await http.get(output["url"])
                assert (fetched.status_code, len(fetched.content)) == (200, output["bytes"])

    async def listen(self) -> None:
        """To one job that somebody cancels when all is over: each process that serves the listener is restarted."""
        body = {"model": "demo-image-slow", "prompt": "dusk [seconds=240]", "size": "64x64"}
        async with self._client() as http:
            self.waiting = (await http.post("/api/media/image/", json=body)).json()["job_uuid"]
            assert (await self._followed(http, self.waiting))["status"] == "cancelled"

    async def _followed(self, http: httpx2.AsyncClient, job_uuid: str) -> Job:
        """Listen until the job has ended. A stream that is cut ends as a stream does, and is opened again."""
        seen: dict[str, str] = {}
        while True:
            headers = {"last-event-id": seen["id"]} if "id" in seen else {}
            async with http.stream("GET", f"/api/media/jobs/{job_uuid}/events/", headers=headers) as answer:
                assert answer.status_code == 200
                async for line in answer.aiter_lines():
                    name, _, value = line.partition(": ")
                    seen[name] = value
                    if name == "data" and seen["event"] == "done":
                        return dict(json.loads(value))
            self.cuts += 1


@in_loop
async def test_a_stream_passes_as_it_comes_and_is_in_no_file(site: Fleet) -> None:
    customer = await site.world.customer()
    body = _body("test-held", stream=True)
    async with customer.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.aiter_lines()
        first = await anext(lines)
        assert "The" in first or "assistant" in first
        assert site.nginx.written() == []
        site.upstream.release.set()
        rest = [line async for line in lines]
    assert rest[-1] == "" or "[DONE]" in "".join(rest)


@in_loop
async def test_what_nginx_logs_has_no_query_and_no_path(site: Fleet) -> None:
    customer = await site.world.customer()
    answer = await customer.http.get("/media/some-id?sig=the-signature")
    await customer.http.get("/codec/the-token/decode")
    lines = [json.loads(line) for line in site.nginx.log.splitlines() if line.startswith("{")]
    logged = [line for line in lines if line["request_id"] == answer.headers["x-request-id"]]
    assert [(line["route"], line["status"]) for line in logged] == [("/media", answer.status_code)]
    for secret in ("the-signature", "some-id", "the-token", customer.token):
        assert secret not in site.nginx.log


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/metrics//", "/%6Detrics/", "/readyz", "/readyz/"])
@in_loop
async def test_what_is_for_the_inside_is_closed(site: Fleet, path: str) -> None:
    async with httpx2.AsyncClient(base_url=site.nginx.url, timeout=60) as http:
        assert (await http.get(path)).status_code == 404
        assert (await http.get("/healthz")).status_code == 200


def _exchanged(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
REFUSED = {
    "head above 32 KiB": HEAD + b"".join(b"X-%d: %s\r\n" % (number, b"a" * 4000) for number in range(12)) + b"\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length twice": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a path above 8 KiB": b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\r\n\r\n",
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """An nginx with nothing behind it."""
    with proxies.running(tmp_path_factory.mktemp("alone") / "compose") as nginx:
        yield nginx


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_request_goes_nowhere(alone: Nginx, name: str) -> None:
    head, _, body = _exchanged(alone.port, REFUSED[name]).partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert json.loads(body)["error"]["code"] == "invalid_request"


def test_what_nginx_closes_is_an_error_of_ours(alone: Nginx) -> None:
    answer = httpx2.get(f"{alone.url}/metrics", timeout=60)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")


def test_nobody_is_behind_nginx(alone: Nginx) -> None:
    """It answers with an error of our form, and says when to ask again."""
    answer = httpx2.post(f"{alone.url}/v1/chat/completions", json=_body(stream=False), timeout=60)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "service_unavailable"
    assert answer.headers["retry-after"]
    line = json.loads(alone.log.splitlines()[-1])
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/chat", 503)


class _Held(BaseHTTPRequestHandler):
    """It begins each answer, and ends that of `/v1/held` when the client has left."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"some")
        if self.path == "/v1/held":
            self.connection.recv(1)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_process_that_is_back_serves_at_once_and_beside_its_first_stream(alone: Nginx) -> None:
    """nginx gives it one request until that has ended. If no other is left it gets them all."""
    assert httpx2.get(f"{alone.url}/v1/models", timeout=60).status_code == 503
    with ThreadingHTTPServer((alone.host("api-1"), API_PORT), _Held) as server:
        Thread(target=server.serve_forever).start()
        try:
            assert httpx2.get(f"{alone.url}/v1/models", timeout=60).status_code == 200
            with ExitStack() as streams:
                for _ in range(8):
                    held = streams.enter_context(httpx2.stream("GET", f"{alone.url}/v1/held", timeout=60))
                    assert held.status_code == 200
        finally:
            server.shutdown()


@in_loop
async def test_a_job_goes_through_the_object_store_to_its_link(site: Fleet) -> None:
    customer = await site.world.customer()
    ordered = await customer.ordered("video", model="demo-video", prompt="dusk", size="320x180", duration=1)
    job = await customer.ended(ordered)
    assert (job["status"], len(job["outputs"])) == ("succeeded", 1), job
    (output,) = job["outputs"]
    async with httpx2.AsyncClient(timeout=60) as anyone:
        whole = await anyone.get(output["url"])
        head = await anyone.head(output["url"])
        part = await anyone.get(output["url"], headers={"range": "bytes=100-199"})
        poster = await anyone.get(output["poster_url"])
        deleted = await customer.http.delete(f"/api/media/jobs/{job['job_uuid']}/outputs/")
        gone = await anyone.get(output["url"])
    assert (whole.status_code, whole.headers["content-type"], len(whole.content)) == (200, "video/mp4", output["bytes"])
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", whole.headers["etag"])
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert (poster.status_code, poster.headers["content-type"]) == (200, "image/jpeg")
    assert deleted.is_success
    assert gone.status_code == 404
    left = await site.objects.storage().listed("", 1000)
    assert len([one for one in left if one.key.startswith(customer.account_id.hex)]) in (0, 2)


@pytest.mark.timeout(900)  # fourteen starts of processes, on a machine that does other things too
@in_loop
async def test_a_restart_of_all_processes_loses_no_call_no_job_and_no_credit(site: Fleet) -> None:
    load, before = Load(await site.world.customer(100_000_000)), len(site.upstream.seen)
    running = [asyncio.create_task(load.call(stream=number < STREAMS)) for number in range(CLIENTS)]
    running += [asyncio.create_task(load.order()) for _ in range(ORDERING)]
    running.append(asyncio.create_task(load.listen()))
    old = {name: site.processes[name].pid for name in (*SERVICES, *WORKERS)}
    try:
        restarted, _ = await asyncio.gather(site.rolled(), site.rolled_workers())
    finally:
        load.over.set()
        cancelled = await load.customer.http.post(f"/api/media/jobs/{load.waiting}/cancel/")
        await asyncio.gather(*running)
    assert cancelled.is_success
    assert restarted == set(SERVICES)
    assert not [name for name, pid in old.items() if site.processes[name].pid == pid]
    assert len(site.upstream.seen) - before == len(load.charges)
    assert load.cuts > 0
    await _settled(site, load)
    upstreams = {json.loads(line)["upstream"] for line in site.nginx.log.splitlines() if line.startswith("{")}
    assert {f"{site.nginx.host(service)}:{API_PORT}" for service in SERVICES} <= upstreams


async def _settled(site: Fleet, load: Load) -> None:
    """Each call and job was charged once, in full, and each job submitted once. Nothing is held."""
    account = load.customer.account_id
    holds = await site.world.rows("SELECT closed_by, state, charged FROM holds WHERE account_id = %s", account)
    assert {(by, state) for by, state, _ in holds} == {("call", "settled"), ("job", "settled"), ("job", "void")}
    assert sorted(charged for by, _, charged in holds if by == "call") == sorted(load.charges)
    prices = [job["credits_cost"] for job in load.jobs]
    assert sorted(charged for by, _, charged in holds if by == "job") == sorted([*prices, 0])
    jobs = await site.world.rows("SELECT id, state FROM media_jobs WHERE account_id = %s", account)
    ended = {UUID(job["job_uuid"]): "succeeded" for job in load.jobs}
    assert dict(jobs) == ended | {UUID(load.waiting): "cancelled"}
    for job in load.jobs:
        assert len(site.world.submissions(job["job_uuid"])) == 1
    assert await load.customer.balance() == (load.customer.opening - sum(load.charges) - sum(prices), 0)
    await site.world.books_are_clean()


@in_loop
async def test_a_process_that_refuses_is_passed_over(site: Fleet) -> None:
    """For POST too, without the script: it has seen nothing. The last test of this site: the process stays away."""
    customer = await site.world.customer()
    end(site.processes["api-2"])
    charges = await asyncio.gather(*(_call(customer.http, stream=False) for _ in range(6)))
    assert await customer.balance() == (customer.opening - sum(charges), 0)
