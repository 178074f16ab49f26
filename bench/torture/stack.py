"""The whole stack for media: vendors, PostgreSQL, Temporal, API processes and workers, each a process of its own."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, Signals
from typing import Any, Protocol

import aiohttp
import psycopg

from bench import process
from bench.stack import HERE, Api, Checkout, answering
from db import migrate
from db.audit import audit
from db.engine import Database
from db.writer import LedgerWriter
from dev import ports
from dev.child import Child
from dev.errors import CannotStart
from dev.postgres import EmbeddedPostgres
from dev.server import EmbeddedServer
from dev.temporal import EmbeddedTemporal
from domain.sealing import Wrapping
from tests.support.bank import open_account

PROGRAM = "tests.support.toy_program"
"""Our programs, with a provider that only tests have."""
VENDORS = "tests.support.doubles.vendors"


@dataclass(frozen=True, slots=True)
class Toys(Checkout):
    """Starts our modules with the toy provider."""

    def command(self, module: str, *words: str) -> tuple[str, ...]:
        return (str(self.interpreter), "-m", PROGRAM, module, *words)


@dataclass(slots=True)
class Worker:
    environment: Mapping[str, str] = field(repr=False)
    log: Path
    checkout: Checkout
    child: Child | None = None

    @property
    def pid(self) -> int:
        assert self.child is not None  # noqa: S101  # asked of one that was started
        return self.child.pid

    async def start(self) -> None:
        self.child = self.checkout.spawn(self.log, ["worker"], self.environment)

    async def stop(self) -> None:
        if self.child is not None:
            await self.child.end()


class Startable(Protocol):
    async def start(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the stack that can be killed and paused, with all of its processes."""

    name: str
    startable: Startable
    pid: Callable[[], int]
    wait: Callable[[], Any]

    async def kill(self) -> None:
        """As a loss of power would end it."""
        os.kill(self.pid(), SIGKILL)
        await self.wait()

    async def start(self) -> None:
        await self.startable.start()

    def pause(self) -> None:
        self._send(SIGSTOP)

    def resume(self) -> None:
        self._send(SIGCONT)

    def _send(self, signal: Signals) -> None:
        for pid in list(process.tree(self.pid())):
            with suppress(ProcessLookupError):
                os.kill(pid, signal)


@dataclass(slots=True)
class TortureStack:
    folder: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    """More settings of all processes."""
    checkout: Checkout = field(default_factory=lambda: Toys(HERE.root, HERE.interpreter))
    postgres: EmbeddedPostgres = field(init=False)
    temporal: EmbeddedTemporal = field(init=False)
    apis: list[Api] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    vendors: str = ""
    """Their address."""
    account: str = ""
    token: str = field(default="", repr=False)
    hook_secret: str = field(default="", repr=False)
    """Signs what the account's endpoint for webhooks gets."""
    job_secret: str = field(default="", repr=False)
    """Signs what `webhook_url` of a job gets."""
    _secret: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)
    _opened: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        self.postgres = EmbeddedPostgres(self.state / "postgres")
        self.temporal = EmbeddedTemporal(self.state / "temporal")

    @property
    def state(self) -> Path:
        """Where everything of ours lies, and nothing of the vendors."""
        return self.folder / "state"

    @property
    def url(self) -> str:
        """Of an API."""
        return self.apis[0].url

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("YOUT_")}
        return inherited | {
            "YOUT_DATABASE_URL": self.postgres.app_url,
            "YOUT_STATE_DIR": str(self.state),
            "YOUT_TEMPORAL_ADDRESS": self.temporal.address,
            "YOUT_SECRET_KEY": self._secret,
            "YOUT_CATALOG": str(self.folder / "catalog.toml"),
            "YOUT_LOG_FORMAT": "json",
            "YOUT_SHUTDOWN_TIMEOUT": "3",
            "YOUT_WEBHOOKS_ALLOW_LOOPBACK": "true",
            "PYTHONUNBUFFERED": "1",
            **self.extra,
        }

    async def start(self, apis: int, workers: int, credits: int) -> None:
        port = ports.free()
        child = HERE.spawn(self.folder / "vendors.log", [VENDORS, str(self.folder), str(port)])
        self._opened.push_async_callback(child.end)
        self.vendors = f"http://127.0.0.1:{port}"
        for server in (self.postgres, self.temporal):
            await self._opened.enter_async_context(server)
        await answering(self.vendors, child)
        migrate.upgrade(self.postgres.url, self.postgres.app_url)
        self.account, self.token = await self.open_account(credits)
        for _ in range(workers):
            await self.add_worker()
        for number in range(apis):
            api = Api(self.checkout, self.environment, self.state / f"api-{number}.log")
            self.apis.append(api)
            self._opened.push_async_callback(api.stop)
        await asyncio.gather(*(api.start() for api in self.apis))
        self.hook_secret = await self._secret_of("/api/webhooks/", {"url": f"{self.vendors}/hooks"}, 201)
        self.job_secret = await self._secret_of("/api/webhooks/settings/rotate-secret/", {}, 200)

    async def stop(self) -> None:
        await self._opened.aclose()

    async def add_worker(self) -> Worker:
        worker = Worker(self.environment, self.state / f"worker-{len(self.workers)}.log", self.checkout)
        self.workers.append(worker)
        self._opened.push_async_callback(worker.stop)
        await worker.start()
        return worker

    async def open_account(self, credits: int) -> tuple[str, str]:
        """Return its id and its key. In this process: a command takes a second to start."""
        async with self._database() as database, LedgerWriter(self.postgres.app_url) as ledger:
            customer = await open_account(database, ledger, credits, Wrapping.of(self._secret))
        return str(customer.account_id), customer.token

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        database = Database.open(self.postgres.app_url, pool=3)
        try:
            yield database
        finally:
            await database.close()

    async def _secret_of(self, path: str, body: dict[str, str], status: int) -> str:
        """The secret of webhooks. The vendors' process receives them."""
        headers = {"authorization": f"Bearer {self.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(self.apis[0].url + path, json=body) as answer,
        ):
            if answer.status != status:
                raise CannotStart(f"No secret for webhooks: {answer.status} {await answer.text()}")
            return str((await answer.json())["secret"])

    def parts(self) -> dict[str, list[Part]]:
        return {
            "worker": [_program("worker", worker) for worker in self.workers],
            "API": [_program("API", api) for api in self.apis],
            "Temporal": [_server("Temporal", self.temporal)],
            "PostgreSQL": [_server("PostgreSQL", self.postgres)],
        }

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.postgres.url, autocommit=True) as connection:
            cursor = await connection.execute(query.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def number(self, query: str, *values: object) -> int:
        ((value,),) = await self.rows(query, *values)
        return int(value or 0)

    async def audit(self) -> dict[str, Any]:
        async with self._database() as database, database.connection() as connection:
            report = await audit(connection)
        return asdict(report) | {"clean": report.clean}

    async def of_vendors(self, path: str = "/") -> Any:
        async with aiohttp.ClientSession() as session, session.get(self.vendors + path) as answer:
            return await answer.json()


def _program(name: str, program: Api | Worker) -> Part:
    async def wait() -> None:
        assert program.child is not None  # noqa: S101  # it was started
        await program.child.wait()

    return Part(name, program, lambda: program.pid, wait)


def _server(name: str, server: EmbeddedServer) -> Part:
    def pid() -> int:
        assert server.pid is not None  # noqa: S101  # it was started
        return server.pid

    return Part(name, server, pid, server.wait)
