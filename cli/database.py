"""Runs a command's work in the database. A fault of the database becomes a `Failure` of one line."""

import asyncio
import contextlib
import io
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import environment
from exits import CANNOT_RUN, UNKNOWN_OUTCOME, Failure

if TYPE_CHECKING:
    from uuid import UUID

    from sqlmodel.ext.asyncio.session import AsyncSession

    from db.engine import Database
    from domain.faults import Fault
    from domain.operations import Operation
    from domain.results import Answer
    from settings import Settings

Value = TypeVar("Value")
Work = Callable[["AsyncSession"], Awaitable[Value]]
ATTEMPTS = 2
"""How often a change is tried while its commit is not answered."""
AGAIN = "run the same command again: it does nothing twice"


def settings() -> "Settings":
    import settings as configuration

    return configuration.load()


def open_database() -> "Database":
    """Open a pool of one connection. Raises `Failure` for an invalid URL."""
    from db.engine import Database

    return with_url(lambda url: Database.open(url, pool=1))


def with_url(work: Callable[[str], Value]) -> Value:
    """Call the work with the database's URL. Raises `Failure` if it raises because the URL is invalid."""
    from sqlalchemy.exc import ArgumentError

    from db.faults import place

    url = environment.database_url()
    try:
        return work(url)
    except (ValueError, ArgumentError):
        line = f"YOUT_DATABASE_URL is no valid URL ({place(url)}): {environment.DATABASE_URL_FORM}"
        raise Failure(line, CANNOT_RUN) from None


def run(work: Coroutine[Any, Any, Value], *, quiet: bool = True) -> Value:
    """Run the work and return its result. Raises `Failure` with the cause when the database is unavailable."""
    from domain.errors import ServiceUnavailable

    nowhere = contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext()
    try:
        with nowhere:  # the ledger's log lines are for servers
            return asyncio.run(work)
    except ServiceUnavailable as unavailable:
        fault = _fault()
        raise Failure(str(fault) if fault else unavailable.message, CANNOT_RUN) from None


def reading(work: "Work[Value]") -> Value:
    """Run the work, which reads alone, and return its result."""
    return run(_reading(work))


def snapshot(work: "Work[Value]") -> Value:
    """Run the work, whose statements read the same moment, and return its result. It may `SET LOCAL`."""
    return run(_reading(work, whole=True))


async def _reading(work: "Work[Value]", *, whole: bool = False) -> Value:
    database = open_database()
    try:
        async with database.snapshot() if whole else database.reading() as session:
            return await work(session)
    finally:
        await database.close()


def writing(work: "Work[Value]") -> Value:
    """Run the work in one transaction, commit it and return its result. Nothing is committed when it raises.

    If the commit is not answered, the work runs again: it must be idempotent. Raises `Failure` with the exit code for
    an unknown outcome when no commit is answered.
    """
    return run(_writing(work))


def writing_once(work: "Work[tuple[Value, bool]]") -> tuple[Value, bool]:
    """Like `writing`, for work that also returns whether it had been done before.

    The flag returned is True only when every run of the work reported it: a second run may find what the first one
    has committed.
    """
    repeats: list[bool] = []

    async def noting(session: "AsyncSession") -> Value:
        value, repeated = await work(session)
        repeats.append(repeated)
        return value

    return writing(noting), all(repeats)


async def _writing(work: "Work[Value]") -> Value:
    from domain.errors import ServiceUnavailable

    database = open_database()
    in_doubt = False
    try:
        for _ in range(ATTEMPTS):
            committing = False
            try:
                async with database.transaction() as session:
                    value = await work(session)
                    committing = True
                return value
            except ServiceUnavailable:
                if not committing and not in_doubt:
                    raise
                in_doubt = True
        raise _in_doubt(AGAIN)
    finally:
        await database.close()


def account_id(named: str) -> "UUID":
    from db import accounts

    return reading(lambda session: accounts.find(session, named))


def ask(operation: "Operation", *, again: str) -> "Answer":
    """Send the operation to the ledger and return its committed answer.

    Raises `Failure` with an unknown outcome when the ledger does not answer; `again` tells the operator how to repeat
    the command.
    """
    return run(_ask(operation, again))


async def _ask(operation: "Operation", again: str) -> "Answer":
    from db.writer import LedgerWriter
    from domain.errors import ServiceUnavailable

    in_doubt = False
    for _ in range(ATTEMPTS):
        async with LedgerWriter(environment.database_url(), application="yout-cli") as ledger:
            try:
                return await ledger.ask(operation)
            except ServiceUnavailable as unavailable:
                if unavailable.reported and not in_doubt:  # the database refused it: nothing was done
                    raise
                in_doubt = True
    raise _in_doubt(again)


def _in_doubt(again: str) -> Failure:
    fault = _fault()
    reason = f"{fault}. " if fault else "The database did not answer. "
    return Failure(f"{reason}Whether it was done is not known: {again}", UNKNOWN_OUTCOME)


def database_fault() -> "Fault":
    """Return why the database cannot be used: what shows when it is looked at again, at least that it was away."""
    from db.faults import describe

    return _fault() or describe(TimeoutError(), environment.database_url())


def _fault() -> "Fault | None":
    from db.faults import diagnose

    return diagnose(environment.database_url())
