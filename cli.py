"""`yout`: what an operator does. Against a running `make dev` it finds everything by itself."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, NoReturn

import orjson
import typer
from rich.console import Console
from rich.table import Table

import settings as configuration
from api.ids import new_id
from db import accounts, keys
from db.audit import Report, audit
from db.engine import Database
from db.keys import NewKey
from db.migrate import upgrade
from db.writer import LedgerWriter
from domain import keys as tokens
from domain.catalog import CatalogInvalid
from domain.errors import GatewayError
from domain.ledger import Grant, Granted
from settings import Settings
from wiring import load_catalog, wrapping

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
accounts_app = typer.Typer(no_args_is_help=True, help="Accounts and their credits.")
catalog_app = typer.Typer(no_args_is_help=True, help="Models, routes and prices.")
app.add_typer(accounts_app, name="accounts")
app.add_typer(catalog_app, name="catalog")
out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
COULD_NOT_RUN = 2


def fail(message: str, code: int = 1) -> NoReturn:
    err.print(f"[red]error:[/red] {message}", highlight=False)
    raise typer.Exit(code)


def _settings() -> Settings:
    try:
        return configuration.load()
    except ValueError:
        fail(
            "YOUT_DATABASE_URL and YOUT_SECRET_KEY are not set and no stack was started here. "
            "Run `make dev`, or set them (and YOUT_STATE_DIR if the state lies elsewhere).",
            COULD_NOT_RUN,
        )


def _run(work: Coroutine[Any, Any, Any], code: int = 1) -> Any:
    try:
        return asyncio.run(work)
    except GatewayError as refusal:
        fail(refusal.message, code)


def _print_json(value: Any) -> None:
    sys.stdout.write(orjson.dumps(value).decode() + "\n")


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema."""
    upgrade(_settings().database_url.get_secret_value())


@accounts_app.command("create")
def accounts_create(
    email: Annotated[str, typer.Option(help="The owner's e-mail address.")],
    credits: Annotated[int, typer.Option(min=0, help="Credits to begin with.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Make an account, give it credits and print its first API key, once. That key has every scope."""
    found = _settings()
    account_id, token = new_id(), tokens.mint(os.urandom(tokens.ENTROPY_BYTES))

    async def work() -> None:
        database = Database.open(found.database_url.get_secret_value(), pool=1)
        async with database.transaction() as session:
            await accounts.create(session, wrapping(found), account_id=account_id, user_id=new_id(), email=email)
            await keys.create(session, account_id, NewKey(new_id(), token, "first", tokens.SCOPES))
        await database.close()
        if credits:
            await _grant(found, Grant(account_id, credits, f"opening:{account_id}"))

    _run(work())
    if as_json:
        _print_json({"account_id": str(account_id), "api_key": token})
        return
    out.print(f"account  {account_id}\napi key  {token}\ncredits  {credits:,}", highlight=False)


@accounts_app.command("list")
def accounts_list(as_json: AsJson = False, limit: Annotated[int, typer.Option(min=1)] = 1000) -> None:
    """All accounts with their balances."""
    found = _settings()

    async def work() -> list[accounts.Listed]:
        database = Database.open(found.database_url.get_secret_value(), pool=1)
        async with database.reading() as session:
            listed = await accounts.listed(session, limit)
        await database.close()
        return listed

    rows = _run(work())
    if as_json:
        _print_json(rows)
        return
    table = Table("account", "e-mail", "available", "held", "created")
    for row in rows:
        table.add_row(str(row.account_id), row.email, f"{row.available:,}", f"{row.held:,}", str(row.created_at)[:19])
    out.print(table)


@app.command()
def grant(
    account: Annotated[str, typer.Argument(help="The account's id, or its owner's e-mail address.")],
    credits: Annotated[int, typer.Argument(min=1)],
    ref: Annotated[str | None, typer.Option(help="Your reference: the same one gives the credits once.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give an account credits."""
    found = _settings()

    async def work() -> Granted:
        database = Database.open(found.database_url.get_secret_value(), pool=1)
        async with database.reading() as session:
            account_id = await accounts.find(session, account)
        await database.close()
        return await _grant(found, Grant(account_id, credits, f"grant:{ref or new_id()}"))

    granted = _run(work())
    if as_json:
        _print_json({"balance": granted.available, "repeated": granted.repeated})
        return
    said = "was given before under this reference" if granted.repeated else f"gave {credits:,} credits"
    out.print(f"{said}; balance {granted.available:,}", highlight=False)


async def _grant(found: Settings, asked: Grant) -> Granted:
    async with LedgerWriter(found.database_url.get_secret_value(), application="yout-cli") as ledger:
        granted = await ledger.ask(asked)
    assert isinstance(granted, Granted)  # noqa: S101  # what a Grant is answered with
    return granted


@catalog_app.command("check")
def catalog_check(as_json: AsJson = False) -> None:
    """Whether the catalog is valid, and which models are active with the keys that are set."""
    try:
        catalog = load_catalog(configuration.catalog_path())
    except CatalogInvalid as invalid:
        fail("the catalog is not valid:\n" + "\n".join(f"  {problem}" for problem in invalid.problems))
    active = catalog.active_models()
    if as_json:
        _print_json({"models": len(catalog.models), "active": [model.id for model in active]})
        return
    out.print(f"{len(catalog.models)} models, {len(active)} active:", highlight=False)
    for model in active:
        routes = ", ".join(f"{route.provider.name}/{route.model}" for route in model.routes)
        out.print(f"  {model.id:<36} {model.modality:<10} {routes}", highlight=False)


@app.command("audit")
def audit_command(as_json: AsJson = False) -> None:
    """Prove the ledger over one snapshot. Exit code 0: clean, 1: drift (each named), 2: could not run."""
    found = _settings()

    async def work() -> Report:
        database = Database.open(found.database_url.get_secret_value(), pool=1)
        async with database.connection() as connection:
            report = await audit(connection)
        await database.close()
        return report

    try:
        report: Report = _run(work(), COULD_NOT_RUN)
    except (typer.Exit, KeyboardInterrupt):
        raise
    except Exception as fault:
        fail(f"the audit could not run: {type(fault).__name__}", COULD_NOT_RUN)
    if as_json:
        _print_json(report.as_dict())
    else:
        _print_report(report)
    raise typer.Exit(0 if report.clean else 1)


def _print_report(report: Report) -> None:
    for finding in report.findings:
        out.print(f"[red]{finding.check}[/red] {finding.subject}: {finding.detail}", highlight=False)
    for check, count in report.counts.items():
        out.print(f"{check}: {count}", highlight=False)
    said = "clean" if report.clean else f"DRIFT of {report.drift_credits} credits"
    out.print(
        f"{said}: {report.checks} checks over {report.accounts} accounts, {report.transactions} transactions, "
        f"{report.holds_open} open holds",
        highlight=False,
    )


def main() -> None:
    app()


if __name__ == "__main__":
    main()
