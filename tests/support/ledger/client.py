"""A client of the ledger as a process of its own, with the real writer: asked through a pipe, killed by its pid."""

import asyncio
import contextlib
import multiprocessing
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from multiprocessing.connection import Connection
from typing import Self

import db.writer  # what the processes are forked with
from domain.operations import Operation
from domain.results import Result
from tests.support.ledger.result_codec import EncodedResult, encode

RESULT_TIMEOUT = timedelta(seconds=60)
"""Nobody gives up on a slow machine: a test that hangs is ended by its own time limit."""
GIVEN_UP: EncodedResult = ("given up",)
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([__name__, "pytest"])


class Client:
    """Started at once; `ask` any number of times; `kill` it, or let it end with what waits written."""

    def __init__(self, url: str) -> None:
        self._pipe, theirs = processes.Pipe()
        self._process = processes.Process(target=_run, args=(url, theirs), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    async def ask(self, operations: Sequence[Operation]) -> list[EncodedResult | None]:
        """All at once; what was heard of each. None: the client was killed before it heard."""
        results: list[EncodedResult | None] = [None] * len(operations)
        await self.send(operations)
        with contextlib.suppress(EOFError, ConnectionError):
            for _ in operations:
                number, result = await self.next()
                results[number] = result
        return results

    async def send(self, operations: Sequence[Operation]) -> None:
        self._say(list(operations))

    async def give_up(self, number: int) -> None:
        """The caller of that operation leaves, before it hears anything: `next` says so when it has."""
        self._say(number)

    def _say(self, what: list[Operation] | int | None) -> None:
        with contextlib.suppress(ConnectionError):
            self._pipe.send(what)

    async def next(self) -> tuple[int, EncodedResult]:
        """The next result, and of which operation. Raises `EOFError` once the client is gone."""
        return await asyncio.to_thread(self._pipe.recv)

    async def kill(self) -> None:
        """SIGKILL; returns when it is dead."""
        self._process.kill()
        await self._dead()

    async def end(self) -> None:
        self._say(None)
        await self._dead()

    async def _dead(self) -> None:
        await asyncio.to_thread(self._process.join)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()
        self._pipe.close()


def _run(url: str, pipe: Connection) -> None:
    asyncio.run(_serve(url, pipe))


async def _serve(url: str, pipe: Connection) -> None:
    waiting: list[asyncio.Future[Result]] = []
    async with db.writer.LedgerWriter(url, timeout=RESULT_TIMEOUT) as ledger:
        while (message := await _received(pipe)) is not None:
            if isinstance(message, int):
                waiting[message].cancel()
                continue
            waiting = [ledger.submit(operation) for operation in message]
            for number, result in enumerate(waiting):
                result.add_done_callback(partial(_tell, pipe, number))


async def _received(pipe: Connection) -> list[Operation] | int | None:
    try:
        return await asyncio.to_thread(pipe.recv)
    except EOFError:
        return None


def _tell(pipe: Connection, number: int, result: "asyncio.Future[Result]") -> None:
    pipe.send((number, GIVEN_UP if result.cancelled() else encode(result.result())))
