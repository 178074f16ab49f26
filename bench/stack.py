"""The gateway under measurement: API processes on an embedded PostgreSQL, with an account that has credits."""

import asyncio
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psycopg

from dev import ports
from dev.bytecode import bytecode
from dev.child import Child, Program, Streams, finish, spawn
from dev.errors import CannotStart
from dev.postgres import EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".yout" / "bench"
TIMEOUT = 90.0
CREDITS = 10**15
CAPABILITIES = '["abort_stops_billing"]'
METERED = "metered-"
"""Before a model's behaviour: its hold may grow while it streams."""
NOT_DURABLE = "PostgreSQL runs with {}={}: what is measured here is worth nothing unless commits reach the disk."


@dataclass(frozen=True, slots=True)
class Checkout:
    """A source tree, and the interpreter that has what the tree needs."""

    root: Path
    interpreter: Path

    def command(self, module: str, *words: str) -> tuple[str, ...]:
        return (str(self.interpreter), "-m", module, *words)

    def spawn(self, log: Path, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Child:
        """A module of the tree, with its words, as a process that ends with us."""
        module, *words = command
        given = os.environ if environment is None else environment
        program = Program(
            name=module,
            command=self.command(module, *words),
            environment={**given, **bytecode(given, STATE)},
            folder=self.root,
        )
        with log.open("ab") as output:
            return spawn(program, Streams(output=output))


HERE = Checkout(ROOT, Path(sys.executable))


def catalog(upstream: int, models: Sequence[str]) -> str:
    """A file such as an operator writes: our upstream, and a model for each way in which it answers."""
    provider = f"""
[providers.bench]
kind = "openai"
base_url = "http://127.0.0.1:{upstream}/v1"
api_key = "sk-bench"
capabilities = {CAPABILITIES}

[providers.metered]
kind = "openai"
base_url = "http://127.0.0.1:{upstream}/v1"
capabilities = {CAPABILITIES[:-1]}, "meterable"]
"""
    return provider + "".join(
        f"""
[models.bench-{model}]
name = "{model}"
modality = "text"
context_window = 1000000
max_output_tokens = 500000
credits_per_1k_input = 300
credits_per_1k_output = 1500
routes = [ {{ provider = "{_provider(model)}", model = "{model.removeprefix(METERED)}" }} ]
"""
        for model in models
    )


def _provider(model: str) -> str:
    return "metered" if model.startswith(METERED) else "bench"


@dataclass(slots=True)
class Api:
    """One API process; may be killed and started again on its port."""

    checkout: Checkout
    environment: Mapping[str, str]
    log: Path
    port: int = field(default_factory=ports.free)
    child: Child | None = None

    @property
    def pid(self) -> int:
        assert self.child is not None  # noqa: S101  # asked of one that was started
        return self.child.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        own = {"YOUT_PORT": str(self.port), "YOUT_PUBLIC_URL": self.url}
        self.child = self.checkout.spawn(self.log, ["api"], {**self.environment, **own})
        await answering(f"{self.url}/healthz", self.child)

    async def figures(self) -> dict[str, float]:
        """What `GET /metrics` says, without labels."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/metrics") as response:
            return parse_metrics(await response.text())

    async def stop(self) -> None:
        if self.child is not None:
            await self.child.end()


@dataclass(slots=True)
class Stack:
    """Everything in `folder`: PostgreSQL, the catalog, logs. `stop` ends whatever was started."""

    folder: Path
    upstream: int
    models: Sequence[str]
    checkout: Checkout = HERE
    postgres: EmbeddedPostgres = field(init=False)
    apis: list[Api] = field(default_factory=list)
    account: str = ""
    token: str = ""
    _secret: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.postgres = EmbeddedPostgres(self.folder / "postgres")

    @property
    def environment(self) -> dict[str, str]:
        """Settings under names that every commit knows; what differs between commits is left at its default."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("YOUT_")}
        return inherited | {
            "YOUT_DATABASE_URL": self.postgres.url,
            "YOUT_STATE_DIR": str(self.folder),
            "YOUT_TEMPORAL_ADDRESS": "127.0.0.1:1",  # chat does without
            "YOUT_SECRET_KEY": self._secret,
            "YOUT_CATALOG": str(self.folder / "catalog.toml"),
            "YOUT_LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
        }

    async def start(self, processes: int, credits: int = CREDITS) -> None:
        (self.folder / "catalog.toml").write_text(catalog(self.upstream, self.models))
        await self.postgres.start()
        await require_durable(self.postgres.url)
        await self._yout("migrate")
        self.account, self.token = await self.open_account("bench@example.test", credits)
        for number in range(processes):
            api = Api(self.checkout, self.environment, self.folder / f"api-{number}.log")
            self.apis.append(api)
            await api.start()

    async def stop(self) -> None:
        for api in self.apis:
            await api.stop()
        await self.postgres.stop()

    async def open_account(self, email: str, credits: int) -> tuple[str, str]:
        """Its id and its first key."""
        words = ("accounts", "create", "--email", email, "--credits", str(credits), "--json")
        account = orjson.loads(await self._yout(*words))
        return account["account_id"], account["api_key"]

    async def refund(self, charge: str) -> None:
        await self._yout("refund", charge, "--reason", "It was broken on purpose.")

    async def audit(self) -> dict[str, Any]:
        report: dict[str, Any] = orjson.loads(await self._yout("audit", "--json", codes=(0, 1)))
        return report

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.postgres.url, autocommit=True) as connection:
            cursor = await connection.execute(query.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def run(self, statements: str) -> None:
        """Statements that end with a semicolon and a new line, on one connection."""
        async with await psycopg.AsyncConnection.connect(self.postgres.url, autocommit=True) as connection:
            for statement in statements.strip().split(";\n"):
                await connection.execute(statement.encode())

    async def number(self, query: str, *values: object) -> int:
        ((value,),) = await self.rows(query, *values)
        return int(value or 0)

    async def _yout(self, *words: str, codes: Sequence[int] = (0,)) -> str:
        program = Program(
            name="yout",
            command=self.checkout.command("cli", *words),
            environment=self.environment,
            folder=self.checkout.root,
        )
        done = await finish(program)
        if done.code not in codes:
            raise CannotStart(f"`yout {' '.join(words)}` failed:\n{done.errors or done.output}")
        return done.output


async def start_upstream(log: Path) -> tuple[int, Child]:
    port = ports.free()
    child = HERE.spawn(log, ["bench.upstream", str(port)])
    await answering(f"http://127.0.0.1:{port}/", child)
    return port, child


async def answering(url: str, child: Child, max_seconds: float = TIMEOUT) -> None:
    deadline = asyncio.get_running_loop().time() + max_seconds
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while asyncio.get_running_loop().time() < deadline:
            if child.code is not None:
                raise CannotStart(f"{child.program.name} ended with {child.code}")
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.1)
    raise CannotStart(f"{child.program.name} does not answer at {url}")


async def require_durable(url: str) -> dict[str, str]:
    """Raises when a commit could be lost."""
    settings = {}
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            row = await (await connection.execute("SELECT current_setting(%s)", [name])).fetchone()
            settings[name] = str(row[0]) if row else "?"
            if settings[name] != "on":
                raise CannotStart(NOT_DURABLE.format(name, settings[name]))
    return settings


def parse_metrics(text: str) -> dict[str, float]:
    lines = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {words[0]: float(words[1]) for words in lines if len(words) == 2}
