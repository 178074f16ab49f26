"""Three API processes behind nginx, as `deploy/compose` has them: all are restarted by its script while calls run, and
what nginx refuses, hides and does not keep."""

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from aiohttp import web

from dev.postgres import EmbeddedPostgres
from tests.support import nginx as proxies
from tests.support.doubles.entries import text_model
from tests.support.doubles.openai_server import ANSWER, OpenAIServer, event
from tests.support.fork_server import Process
from tests.support.media_stack import Customer, World
from tests.support.nginx import API_PORT, SERVICES, Nginx
from tests.support.own_stack import own_stack
from tests.support.stack import end, eventually

in_loop = pytest.mark.asyncio(loop_scope="module")

MODEL = "test-steady"
CLIENTS, STREAMS = 6, 3
PAUSE = 0.15
PATIENCE = 120.0
NO_REUSE = httpx2.Limits(max_keepalive_connections=0)
"""A client that reuses a connection which the server is closing loses its request: that is HTTP, with any server."""


class Steady(OpenAIServer):
    """It takes a second for an answer, or for a stream of pieces; `held` streams wait for `release` in the middle."""

    async def _whole(self, body: dict[str, Any]) -> web.Response:
        await asyncio.sleep(5 * PAUSE)
        return await super()._whole(body)

    async def _script(self, body: dict[str, Any], write: Callable[[str], Awaitable[None]]) -> None:
        await write(event(body, {"role": "assistant", "content": "The"}))
        if body["model"] == "held":
            await asyncio.to_thread(self.release.wait, 30)
        for _ in range(5):
            await asyncio.sleep(PAUSE)
            await write(event(body, {"content": " word"}))
        await self._speak(body, write)


CATALOG = """
[providers.foreign]
kind = "openai"
base_url = "{url}"
capabilities = ["stream_usage", "abort_stops_billing"]
"""


@dataclass(slots=True)
class Site:
    """nginx, the processes behind it, and who calls."""

    nginx: Nginx
    world: World
    upstream: Steady
    processes: dict[str, Process] = field(default_factory=dict)

    async def start(self, service: str) -> None:
        address = {"YOUT_HOST": self.nginx.host(service), "YOUT_PORT": str(API_PORT)}
        process = self.processes[service] = self.world.stack.spawn("api", address)
        async with httpx2.AsyncClient(base_url=f"http://{address['YOUT_HOST']}:{API_PORT}") as http:

            async def ready() -> bool:
                assert process.poll() is None, self.world.stack.log("api")
                with suppress(httpx2.TransportError):
                    return (await http.get("/readyz")).status_code == 200
                return False

            assert await eventually(ready, PATIENCE), f"{service} is not ready"

    async def restart(self, service: str) -> int:
        """Return the exit code of the old process."""
        process = self.processes[service]
        process.terminate()
        code = await asyncio.to_thread(process.wait, 60)
        await self.start(service)
        return code

    async def rolled(self) -> set[str]:
        """Restart all by the script of the deployment. Return what it restarted."""
        environment = {"PATH": os.defpath, "COMPOSE": str(proxies.compose_double(self.nginx)), "PAUSE": "1"}
        command = ["sh", str(self.nginx.folder / "roll.sh")]
        script = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.DEVNULL)
        restarted: set[str] = set()
        while script.returncode is None:
            if service := proxies.wanted(self.nginx):
                assert await self.restart(service) == 0
                restarted.add(service)
                proxies.done(self.nginx, service)
            with suppress(TimeoutError):
                await asyncio.wait_for(script.wait(), 0.05)
        assert script.returncode == 0
        return restarted


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with AsyncExitStack() as opened:
        nginx = opened.enter_context(proxies.running(tmp_path_factory.mktemp("rolling") / "compose"))
        upstream = opened.enter_context(Steady())
        catalog = CATALOG.format(url=upstream.url) + text_model(MODEL, "foreign/steady")
        stack = own_stack(postgres, tmp_path_factory, "rolling", catalog + text_model("test-held", "foreign/held"))
        stack.port = nginx.port
        stack.extra = {"YOUT_TRUSTED_PROXIES": "127.0.0.0/8", "YOUT_SHUTDOWN_TIMEOUT": "10"}
        world = await opened.enter_async_context(World.of(stack))
        there = Site(nginx, world, upstream)
        try:
            await asyncio.gather(*(there.start(service) for service in SERVICES))
            yield there
        finally:
            for process in there.processes.values():
                end(process)


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


async def _charges(customer: Customer, over: asyncio.Event, number: int) -> list[int]:
    charges: list[int] = []
    headers = {"authorization": f"Bearer {customer.token}"}
    async with httpx2.AsyncClient(
        base_url=customer.http.base_url, headers=headers, timeout=60, limits=NO_REUSE
    ) as http:
        while not over.is_set():
            charges.append(await _call(http, stream=number < STREAMS))
    return charges


@in_loop
async def test_a_stream_passes_as_it_comes_and_is_in_no_file(site: Site) -> None:
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
async def test_what_nginx_logs_has_no_query_and_no_path(site: Site) -> None:
    customer = await site.world.customer()
    answer = await customer.http.get("/media/some-id?sig=the-signature")
    await customer.http.get("/codec/the-token/decode")
    lines = [json.loads(line) for line in site.nginx.log.splitlines() if line.startswith("{")]
    logged = [line for line in lines if line["request_id"] == answer.headers["x-request-id"]]
    assert [(line["route"], line["status"]) for line in logged] == [("/media", answer.status_code)]
    for secret in ("the-signature", "some-id", "the-token", customer.token):
        assert secret not in site.nginx.log


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
@in_loop
async def test_what_is_for_the_inside_is_closed(site: Site, path: str) -> None:
    async with httpx2.AsyncClient(base_url=site.nginx.url) as http:
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


def test_nobody_is_behind_nginx(alone: Nginx) -> None:
    """It answers with an error of our form, and says when to ask again."""
    answer = httpx2.post(f"{alone.url}/v1/chat/completions", json=_body(stream=False))
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "service_unavailable"
    assert answer.headers["retry-after"]


@pytest.mark.timeout(900)  # six starts of the API, on a machine that does other things too
@in_loop
async def test_a_restart_of_all_processes_loses_no_call_and_no_credit(site: Site) -> None:
    customer, over = await site.world.customer(100_000_000), asyncio.Event()
    before = len(site.upstream.seen)
    clients = [asyncio.create_task(_charges(customer, over, number)) for number in range(CLIENTS)]
    try:
        assert await site.rolled() == set(SERVICES)
    finally:
        over.set()
        charges = [charge for made in await asyncio.gather(*clients) for charge in made]
    assert len(charges) > 3 * CLIENTS
    assert len(site.upstream.seen) - before == len(charges)
    holds = await site.world.rows(
        "SELECT state, closed_by, charged FROM holds WHERE account_id = %s", customer.account_id
    )
    assert {(state, by) for state, by, _ in holds} == {("settled", "call")}
    assert sorted(charged for _, _, charged in holds) == sorted(charges)
    assert await customer.balance() == (customer.opening - sum(charges), 0)
    await site.world.books_are_clean()
    upstreams = {json.loads(line)["upstream"] for line in site.nginx.log.splitlines() if line.startswith("{")}
    assert {f"{site.nginx.host(service)}:{API_PORT}" for service in SERVICES} <= upstreams


@in_loop
async def test_a_process_that_refuses_is_passed_over(site: Site) -> None:
    """For POST too, without the script: it has seen nothing. The last test of this site: the process stays away."""
    customer = await site.world.customer()
    end(site.processes["api-2"])
    charges = await asyncio.gather(*(_call(customer.http, stream=False) for _ in range(6)))
    assert await customer.balance() == (customer.opening - sum(charges), 0)
