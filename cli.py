"""`yout`: what an operator does. Against a running `make dev` it finds everything by itself."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import orjson
import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

import settings as configuration
from domain.errors import GatewayError
from settings import Settings

if TYPE_CHECKING:
    from db.accounts import Listed
    from db.audit import Report
    from domain.ledger import Grant, Granted

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
accounts_app = typer.Typer(no_args_is_help=True, help="Accounts and their credits.")
catalog_app = typer.Typer(no_args_is_help=True, help="Models, routes and prices.")
app.add_typer(accounts_app, name="accounts")
app.add_typer(catalog_app, name="catalog")
out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
COULD_NOT_RUN = 2

# Commands import what they need when they run: the whole of it takes seconds, and most need little.


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
def dev() -> None:
    """Run everything here: API, worker, PostgreSQL, Temporal and its UI. `make dev` does this."""
    from dev import supervisor

    raise typer.Exit(supervisor.main(os.environ))


@app.command()
def api() -> None:
    """Run one API process."""
    from api.__main__ import main

    raise typer.Exit(main())


@app.command()
def worker() -> None:
    """Run one worker process."""
    from worker import main

    asyncio.run(main(_settings()))


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema. Safe to run twice, and from several machines at once."""
    from db.migrate import upgrade

    upgrade(_settings().database_url.get_secret_value())


@accounts_app.command("create")
def accounts_create(
    email: Annotated[str, typer.Option(help="The owner's e-mail address.")],
    credits: Annotated[int, typer.Option(min=0, help="Credits to begin with.")] = 0,
    exist_ok: Annotated[bool, typer.Option(help="An account that exists gets a new key, and no credits.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an account, give it credits and print an API key of it, once. That key has every scope."""
    from domain import keys as tokens

    found, token = _settings(), tokens.mint(os.urandom(tokens.ENTROPY_BYTES))
    account_id = _run(_create(found, email, token, credits=credits, exist_ok=exist_ok))
    if as_json:
        _print_json({"account_id": str(account_id), "api_key": token})
        return
    out.print(f"account  {account_id}\napi key  {token}", highlight=False)


async def _create(found: Settings, email: str, token: str, *, credits: int, exist_ok: bool) -> Any:
    from api.ids import new_id
    from db import accounts, keys
    from db.engine import Database
    from db.keys import NewKey
    from domain.keys import SCOPES
    from domain.ledger import Grant
    from domain.sealing import Wrapping

    database = Database.open(found.database_url.get_secret_value(), pool=1)
    wrapping = Wrapping.of(found.secret_key.get_secret_value(), found.previous_secrets)
    async with database.transaction() as session:
        known = await accounts.of_email(session, email) if exist_ok else None
        account_id = known or new_id()
        if known is None:
            await accounts.create(session, wrapping, account_id=account_id, user_id=new_id(), email=email)
        await keys.create(session, account_id, NewKey(new_id(), token, "from the command line", SCOPES))
    await database.close()
    if known is None and credits:
        await _grant(found, Grant(account_id, credits, f"opening:{account_id}"))
    return account_id


@accounts_app.command("list")
def accounts_list(as_json: AsJson = False, limit: Annotated[int, typer.Option(min=1)] = 1000) -> None:
    """All accounts with their balances."""
    found = _settings()

    async def work() -> "list[Listed]":
        from db import accounts
        from db.engine import Database

        database = Database.open(found.database_url.get_secret_value(), pool=1)
        async with database.reading() as session:
            listed = await accounts.listed(session, limit)
        await database.close()
        return listed

    rows: list[Listed] = _run(work())
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

    async def work() -> "Granted":
        from api.ids import new_id
        from db import accounts
        from db.engine import Database
        from domain.ledger import Grant

        database = Database.open(found.database_url.get_secret_value(), pool=1)
        async with database.reading() as session:
            account_id = await accounts.find(session, account)
        await database.close()
        return await _grant(found, Grant(account_id, credits, f"grant:{ref or new_id()}"))

    granted: Granted = _run(work())
    if as_json:
        _print_json({"balance": granted.available, "repeated": granted.repeated})
        return
    said = "was given before under this reference" if granted.repeated else f"gave {credits:,} credits"
    out.print(f"{said}; balance {granted.available:,}", highlight=False)


async def _grant(found: Settings, asked: "Grant") -> "Granted":
    from db.writer import LedgerWriter
    from domain.ledger import Granted

    async with LedgerWriter(found.database_url.get_secret_value(), application="yout-cli") as ledger:
        granted = await ledger.ask(asked)
    assert isinstance(granted, Granted)  # noqa: S101  # what a Grant is answered with
    return granted


@catalog_app.command("check")
def catalog_check(as_json: AsJson = False) -> None:
    """Whether the catalog is valid, and which models are active with the keys that are set."""
    from domain.catalog import CatalogInvalid
    from providers import catalog_file

    try:
        catalog = catalog_file.load(configuration.catalog_path(), configuration.provider_keys)
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


@app.command("openapi")
def openapi_command() -> None:
    """Print the API's OpenAPI document: `docs/openapi.json` is this."""
    from api.app import create_app

    nowhere = Settings(database_url=SecretStr("postgresql://nowhere"), secret_key=SecretStr("-" * 32))
    document = create_app(nowhere).openapi()
    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n")


@app.command("audit")
def audit_command(as_json: AsJson = False) -> None:
    """Prove the ledger over one snapshot. Exit code 0: clean, 1: drift (each named), 2: could not run."""
    found = _settings()

    async def work() -> "Report":
        from db.audit import audit
        from db.engine import Database

        database = Database.open(found.database_url.get_secret_value(), pool=1)
        async with database.connection() as connection:
            report = await audit(connection)
        await database.close()
        return report

    try:
        report: Report = _run(work(), COULD_NOT_RUN)
    except (typer.Exit, KeyboardInterrupt):
        raise
    except Exception as fault:  # a missing schema, say: the exit code must not look like drift
        fail(f"the audit could not run: {type(fault).__name__}", COULD_NOT_RUN)
    if as_json:
        _print_json(report.as_dict())
    else:
        _print_report(report)
    raise typer.Exit(0 if report.clean else 1)


def _print_report(report: "Report") -> None:
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
