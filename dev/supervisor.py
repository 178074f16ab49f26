"""Runs the whole stack in one terminal: starts all parts, restarts them, and ends them together."""

import asyncio
import json
import shlex
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from io import TextIOWrapper
from typing import NoReturn

from rich.console import Console

import environment
from dev import logs, plan, ports, probe
from dev.child import finish
from dev.demo import EMAIL, Demo, DemoAccount
from dev.done import Done
from dev.errors import CannotStart
from dev.keeper import USUAL, Keeper, Part, Pauses, Process, Ready
from dev.plan import Commands, Plan
from dev.postgres import EmbeddedPostgres
from dev.report import Report, cause
from dev.state import StateFolder
from dev.stops import Stopped, Stops
from dev.temporal import EmbeddedTemporal, TemporalPorts

LOG_CHECK = 10.0
MIGRATING = ("db/migrations", "db/functions.sql", "db/migrate.py", "db/roles.py")
"""The sources that a migration run depends on."""


def main(settings_env: Mapping[str, str], commands: Commands | None = None, pauses: Pauses = USUAL) -> int:
    """Run the stack and return the exit code. Must be called in the main thread."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without our characters must not end the stack
    with suppress(KeyboardInterrupt):  # before the loop listens for it
        return asyncio.run(run(settings_env, commands, pauses))
    return 0


async def run(settings_env: Mapping[str, str], commands: Commands | None = None, pauses: Pauses = USUAL) -> int:
    """Run the stack until a signal stops it, and return the exit code. All settings are read from `settings_env`."""
    report, stops = Report(Console()), Stops()
    stops.listen()
    state = None
    try:
        state = StateFolder.claim(settings_env.get("YOUT_STATE_DIR") or environment.DEFAULT_STATE_DIR)
        last_run = state.last_run()
        planned = plan.read(settings_env, state.path, state.secret(), commands or Commands())
        await Stack(planned, state, report, pauses).run(stops, last_run)
    except CannotStart as problem:
        report.failure(str(problem))
        return 1
    except OSError as problem:
        where = f" ({problem.filename})" if problem.filename else ""
        report.failure(f"{problem.strerror}{where}. Was the state folder used by another user, or is the disk full?")
        return 1
    finally:
        if state is not None:
            state.release()
    return 0


class Stack:
    """One running stack."""

    def __init__(self, planned: Plan, state: StateFolder, report: Report, pauses: Pauses) -> None:
        self._plan = planned
        self._state = state
        self._report = report
        self._pauses = pauses
        self._postgres = EmbeddedPostgres(state.path / "postgres", log=state.log("postgres"))
        self._temporal = EmbeddedTemporal(
            state.path / "temporal",
            listen=TemporalPorts(
                planned.settings.temporal_port,
                planned.settings.temporal_ui_port,
                f"{planned.api_url}/codec/{planned.codec_token}",
            ),
            log=state.log("temporal"),
        )
        self._stopping: list[Part] = [self._temporal, self._postgres]
        """The parts in the order in which they end: each ends before the parts that it needs."""

    async def run(self, stops: Stops, last_run: Mapping[str, str]) -> None:
        refused: CannotStart | OSError | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(stops.interrupt())
                tasks.create_task(self._start(tasks, last_run))
        except* Stopped:
            self._report.note("\nStopping … (Ctrl-C again hurries)")
        except* (CannotStart, OSError) as group:
            refused = _first(group)
        finally:
            for part in self._stopping:
                await part.stop(stops.hurry)
        if refused is not None:
            raise refused
        self._report.note("Stopped.")

    async def _start(self, tasks: asyncio.TaskGroup, last_run: Mapping[str, str]) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        await self._clear_the_way()
        postgres = self._keep(tasks, self._postgres, needed=True)
        temporal = self._keep(tasks, self._temporal, needed=True)
        tasks.create_task(self._bound_logs())
        await postgres.up.wait()
        defined = tasks.create_task(self._define(temporal))
        await self._migrate()
        api = self._keep(tasks, self._program("api", self._plan.commands.api, self._serves))
        worker = tasks.create_task(self._work(tasks, temporal))
        await api.up.wait()
        commands = self._plan.commands
        demo = await DemoAccount(self._plan.api_url, self._run, commands.account, commands.reset_link).ready(last_run)
        await worker
        await defined
        self._tell(demo, clock() - began)

    async def _clear_the_way(self) -> None:
        """Check for what would prevent the stack from running, before any part of it starts."""
        for name in plan.EMBEDDED_ONLY:
            if self._plan.given.get(name):
                self._report.warning(f"{name} is set, but this stack brings its own: it is ignored here.")
        await self._temporal.reserve()
        await self._postgres.reserve()
        taken = await ports.taken(self._plan.ports)
        if taken:
            raise CannotStart("\n".join(taken))
        for log in (self._postgres.log, self._temporal.log):
            logs.rotate(log)
        self._report.note(f"Starting {self._postgres.title} and Temporal in {self._state.path} …")

    async def _migrate(self) -> None:
        """Migrate the database, unless that was done with the same sources: even a check takes seconds."""
        command = self._plan.commands.migrate
        done = Done(self._postgres.folder / "migrated", command, tuple(plan.ROOT / name for name in MIGRATING))
        if not done.already:
            await self._run("Migrating the database", command, owner=self._postgres.url)
            done.note()

    async def _define(self, temporal: Keeper) -> None:
        """Register the search attributes of our workflows in Temporal, unless that was done with the same sources."""
        command = self._plan.commands.search_attributes
        done = Done(self._temporal.folder / "attributes", command, (plan.ROOT / "temporal",))
        if not done.already:
            defined = json.loads(await self._run("Reading the search attributes", command))
            await temporal.up.wait()
            await self._temporal.define(defined)
            done.note()

    async def _run(self, what: str, command: tuple[str, ...], *, owner: str = "") -> str:
        """Run one of our programs to its end and return its output. Only migrations get the `owner`'s URL."""
        clock = asyncio.get_running_loop().time
        began = clock()
        done = await finish(self._plan.errand(what, command, self._postgres.app_url, owner))
        if done.code != 0:
            output = "\n".join(text for text in (done.output, done.errors) if text)
            raise CannotStart(f"{what} failed ({cause(done.code)}): {shlex.join(command)}\n{output}")
        self._report.step(what, clock() - began)
        return done.output

    async def _work(self, tasks: asyncio.TaskGroup, temporal: Keeper) -> None:
        """Start the worker after Temporal. The API waits for neither."""
        await temporal.up.wait()
        worker = self._keep(tasks, self._program("worker", self._plan.commands.worker))
        await worker.up.wait()

    def _program(self, name: str, command: tuple[str, ...], ready: Ready | None = None) -> Process:
        hear = partial(self._report.line, name)
        part = Process(self._plan.program(name, command, self._postgres.app_url), hear, ready)
        self._stopping.insert(len(self._stopping) - 2 if name == "worker" else 0, part)
        return part

    def _keep(self, tasks: asyncio.TaskGroup, part: Part, *, needed: bool = False) -> Keeper:
        keeper = Keeper(part, self._report, needed=needed, pauses=self._pauses)
        tasks.create_task(keeper.keep())
        return keeper

    async def _serves(self) -> bool:
        return all([await probe.status(self._plan.api_url + path) == 200 for path in ("/healthz", "/readyz")])

    async def _bound_logs(self) -> NoReturn:
        while True:
            await asyncio.sleep(LOG_CHECK)
            for log in (self._postgres.log, self._temporal.log):
                logs.bound(log)

    def _tell(self, demo: Demo, seconds: float) -> None:
        addresses = {
            "Web": f"{self._plan.api_url}/",
            "API": self._plan.api_url,
            "Docs": f"{self._plan.api_url}/docs",
            "Temporal UI": self._temporal.ui_url or "",
        }
        self._state.publish(
            {
                "api_url": self._plan.api_url,
                "api_key": demo.key,
                "email": EMAIL,
                "password": demo.password,
                "temporal_address": self._temporal.address,
                "temporal_ui_url": addresses["Temporal UI"],
                "codec_url": f"{self._plan.api_url}/codec",
                "codec_token": self._plan.codec_token,
                "database_url": self._postgres.app_url,
                "migration_database_url": self._postgres.url,
                "email_verification": self._plan.environment["YOUT_EMAIL_VERIFICATION"],
                **({"catalog": self._plan.environment["YOUT_CATALOG"]} if self._plan.settings.catalog else {}),
            }
        )
        self._report.ready(addresses, demo.key, f"{EMAIL}, password {demo.password}", seconds)


def _first(group: BaseExceptionGroup[CannotStart | OSError]) -> CannotStart | OSError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
