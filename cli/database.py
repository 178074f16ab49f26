"""The database that a command works on. Whatever is wrong with it is told in one line."""

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
    from db.faults import DatabaseFault
    from domain.operations import Operation
    from domain.results import Answer
    from settings import Settings

Value = TypeVar("Value")
Work = Callable[["AsyncSession"], Awaitable[Value]]
ATTEMPTS = 2
"""How often a change is asked for whose commit went unanswered."""
AGAIN = "run the same command again: it does nothing twice"


def settings() -> "Settings":
    import settings as configuration

    return configuration.load()


def open_database() -> "Database":
    """One connection. Raises `Failure` for a URL that is none."""
    from db.engine import Database

    return with_url(lambda url: Database.open(url, pool=1))


def with_url(work: Callable[[str], Value]) -> Value:
    """What the work makes of the database's URL. Raises `Failure` when it can make nothing of it."""
    from sqlalchemy.exc import ArgumentError

    from db.faults import place

    url = environment.database_url()
    try:
        return work(url)
    except (ValueError, ArgumentError):
        line = f"YOUT_DATABASE_URL is no valid URL ({place(url)}): {environment.DATABASE_URL_FORM}"
        raise Failure(line, CANNOT_RUN) from None


def run(work: Coroutine[Any, Any, Value]) -> Value:
    """What the work returns. A database that is away is told by its cause."""
    from domain.errors import ServiceUnavailable

    try:
        with contextlib.redirect_stdout(io.StringIO()):  # what the ledger logs for a server's operator
            return asyncio.run(work)
    except ServiceUnavailable as unavailable:
        fault = _fault()
        raise Failure(str(fault) if fault else unavailable.message, CANNOT_RUN) from None


def reading(work: "Work[Value]") -> Value:
    """What the work finds in one transaction that cannot write."""
    return run(_reading(work))


async def _reading(work: "Work[Value]") -> Value:
    database = open_database()
    try:
        async with database.reading() as session:
            return await work(session)
    finally:
        await database.close()


def writing(work: "Work[Value]") -> Value:
    """What the work came to, committed; or nothing, when it raises.

    The work is done again when its commit goes unanswered: it must find what it has already done.
    """
    return run(_writing(work))


def writing_once(work: "Work[tuple[Value, bool]]") -> tuple[Value, bool]:
    """The same for work that tells whether it had been done before: before this command, that is.

    What work finds when it is done again may be its own doing, so it counts only what it finds each time.
    """
    errors: list[bool] = []

    async def noting(session: "AsyncSession") -> Value:
        value, repeated = await work(session)
        errors.append(repeated)
        return value

    return writing(noting), all(errors)


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
    """The ledger's answer, durable. `again`: how the operator asks anew when it stays unknown what happened."""
    return run(_ask(operation, again))


async def _ask(operation: "Operation", again: str) -> "Answer":
    from db.writer import LedgerWriter
    from domain.errors import ServiceUnavailable

    for _ in range(ATTEMPTS):
        async with LedgerWriter(environment.database_url(), application="yout-cli") as ledger:
            try:
                return await ledger.ask(operation)
            except ServiceUnavailable:
                continue
    raise _in_doubt(again)


def _in_doubt(again: str) -> Failure:
    fault = _fault()
    reason = f"{fault}. " if fault else "The database did not answer. "
    return Failure(f"{reason}Whether it was done is not known: {again}", UNKNOWN_OUTCOME)


def _fault() -> "DatabaseFault | None":
    from db.faults import diagnose

    return diagnose(environment.database_url())
