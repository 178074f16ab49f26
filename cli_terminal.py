"""What the commands share: how they print and fail, and the database that they work on."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import orjson
import typer
from rich.console import Console
from rich.markup import escape

import settings as configuration
from domain.errors import GatewayError
from settings import Settings

if TYPE_CHECKING:
    from uuid import UUID

    from sqlmodel.ext.asyncio.session import AsyncSession

    from domain.ledger import Answer, Operation

Found = TypeVar("Found")
Work = Callable[["AsyncSession"], Awaitable[Found]]

out = Console(soft_wrap=True)
tables = Console(soft_wrap=True, width=10_000)
"""With columns enough for any: a table takes what it needs, and no id is cut to fit a narrow window or a pipe."""
err = Console(stderr=True, soft_wrap=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Named = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id, or its owner's e-mail address.")]
COULD_NOT_RUN = 2


def fail(message: str, code: int = 1) -> NoReturn:
    err.print(f"[red]error:[/red] {escape(message)}", highlight=False)
    raise typer.Exit(code)


def say(line: str) -> None:
    out.print(line, highlight=False)


def print_json(value: Any) -> None:
    sys.stdout.write(orjson.dumps(value).decode() + "\n")


def settings() -> Settings:
    try:
        return configuration.load()
    except ValueError:
        fail(
            "YOUT_DATABASE_URL and YOUT_SECRET_KEY are not set and no stack was started here. "
            "Run `make dev`, or set them (and YOUT_STATE_DIR if the state lies elsewhere).",
            COULD_NOT_RUN,
        )


def run(work: Coroutine[Any, Any, Found], code: int = 1) -> Found:
    try:
        return asyncio.run(work)
    except GatewayError as refusal:
        fail(refusal.message, code)


def reading(work: "Work[Found]") -> Found:
    """What the work finds in one transaction that cannot write."""
    return run(_in_transaction(settings(), work, writes=False))


def writing(work: "Work[Found]") -> Found:
    """What the work came to, committed; or nothing, when it raises."""
    return run(_in_transaction(settings(), work, writes=True))


async def _in_transaction(found: Settings, work: "Work[Found]", *, writes: bool) -> Found:
    from db.engine import Database

    database = Database.open(found.database_url.get_secret_value(), pool=1)
    try:
        async with database.transaction() if writes else database.reading() as session:
            return await work(session)
    finally:
        await database.close()


def account_id(named: str) -> "UUID":
    from db import accounts

    return reading(lambda session: accounts.find(session, named))


def ask(operation: "Operation") -> "Answer":
    """The ledger's verdict, durable."""
    return run(_ask(settings(), operation))


async def _ask(found: Settings, operation: "Operation") -> "Answer":
    from db.writer import LedgerWriter

    async with LedgerWriter(found.database_url.get_secret_value(), application="yout-cli") as ledger:
        return await ledger.ask(operation)
