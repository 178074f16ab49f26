"""The processes of `deploy/compose` without containers: the API behind nginx, a fleet of workers, an object store."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self

import httpx2
import pytest
from aiohttp import web

from dev.postgres import EmbeddedPostgres
from dev.temporal import EmbeddedTemporal
from domain.secrets import Purpose, Secrets
from temporal import attributes
from tests.support import nginx as proxies
from tests.support.doubles.entries import text_model
from tests.support.doubles.openai_server import OpenAIServer, event
from tests.support.fork_server import Process
from tests.support.media_stack import World
from tests.support.nginx import API_PORT, SERVICES, Nginx
from tests.support.own_stack import own_stack
from tests.support.seaweed import Seaweed
from tests.support.stack import SECRET, end, eventually
from workflows.options import LEDGER, MAINTENANCE, MEDIA_QUEUES, PURGE, WEBHOOKS

MODEL = "test-steady"
PAUSE = 0.15
TIMEOUT = 120.0
CATALOG = """
[providers.foreign]
kind = "openai"
base_url = "{url}"
capabilities = ["abort_stops_billing"]
"""


def _activities(*queues: str) -> dict[str, str]:
    return {"YOUT_WORKER_ROLE": "activities", "YOUT_WORKER_QUEUES": ",".join(queues)}


WORKERS = {
    "worker-decisions": {"YOUT_WORKER_ROLE": "workflows"},
    "worker-books": _activities(LEDGER),
    "worker-media": _activities(*MEDIA_QUEUES),
    "worker-upkeep": _activities(MAINTENANCE, PURGE, WEBHOOKS),
}


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


@dataclass(slots=True)
class Fleet:
    """nginx, the processes behind it, and who calls."""

    nginx: Nginx
    world: World
    upstream: Steady
    objects: Seaweed
    processes: dict[str, Process] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def running(cls, postgres: EmbeddedPostgres, folders: pytest.TempPathFactory) -> AsyncIterator[Self]:
        async with AsyncExitStack() as opened:
            folder = folders.mktemp("rolling")
            nginx = opened.enter_context(proxies.running(folder / "compose"))
            upstream = opened.enter_context(Steady())
            objects = await opened.enter_async_context(Seaweed(folder / "objects"))
            temporal = EmbeddedTemporal(folder / "temporal", search_attributes=attributes.DEFINITIONS)
            await opened.enter_async_context(temporal)
            catalog = CATALOG.format(url=upstream.url) + text_model(MODEL, "foreign/steady")
            catalog += text_model("test-held", "foreign/held")
            stack = own_stack(postgres, folders, "rolling", catalog, temporal=temporal.address)
            stack.port = nginx.port
            stack.extra = {
                "YOUT_TRUSTED_PROXIES": "127.0.0.0/8",
                "YOUT_SHUTDOWN_TIMEOUT": "10",
                "YOUT_STORAGE_URL": objects.url,
                "YOUT_TEMPORAL_PAYLOAD_KEYS": _payload_keys(),
                **objects.options(),
            }
            fleet = cls(nginx, await opened.enter_async_context(World.of(stack)), upstream, objects)
            opened.callback(fleet._end)
            for worker in WORKERS:
                fleet.start_worker(worker)
            await asyncio.gather(*(fleet.start_api(service) for service in SERVICES))
            yield fleet

    def _end(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            end(process)

    def start_worker(self, name: str) -> None:
        self.processes[name] = self.world.stack.spawn("worker", WORKERS[name])

    async def start_api(self, service: str) -> None:
        address = {"YOUT_HOST": self.nginx.host(service), "YOUT_PORT": str(API_PORT)}
        process = self.processes[service] = self.world.stack.spawn("api", address)
        async with httpx2.AsyncClient(base_url=f"http://{address['YOUT_HOST']}:{API_PORT}") as http:

            async def ready() -> bool:
                assert process.poll() is None, self.world.stack.log("api")
                with suppress(httpx2.TransportError):
                    return (await http.get("/readyz")).status_code == 200
                return False

            assert await eventually(ready, TIMEOUT), f"{service} is not ready"

    async def rolled_workers(self) -> None:
        """Each gets a successor, and then ends in good order."""
        for name in WORKERS:
            old = self.processes[name]
            self.start_worker(name)
            old.terminate()
            assert await asyncio.to_thread(old.wait, 60) == 0, self.world.stack.log("worker")

    async def rolled(self) -> set[str]:
        """Restart the API processes by the script of the deployment. Return what it restarted."""
        environment = {"PATH": os.defpath, "COMPOSE": str(proxies.compose_double(self.nginx)), "PAUSE": "1"}
        command = ["sh", str(self.nginx.folder / "roll.sh")]
        script = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.DEVNULL)
        restarted: set[str] = set()
        while script.returncode is None:
            if service := proxies.wanted(self.nginx):
                assert await self._restart(service) == 0
                restarted.add(service)
                proxies.done(self.nginx, service)
            with suppress(TimeoutError):
                await asyncio.wait_for(script.wait(), 0.05)
        assert script.returncode == 0
        return restarted

    async def _restart(self, service: str) -> int:
        """Return the exit code of the old process."""
        process = self.processes[service]
        process.terminate()
        code = await asyncio.to_thread(process.wait, 60)
        await self.start_api(service)
        return code


def _payload_keys() -> str:
    return ",".join(key.hex() for key in Secrets(SECRET).derive(Purpose.TEMPORAL_PAYLOADS).every)
