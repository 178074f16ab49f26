"""`yout`: what an operator does. Against a running `make dev` it finds everything by itself."""

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import orjson
import typer
from pydantic import SecretStr

import cli_accounts
import cli_money
import cli_usage
import settings as configuration
from cli_terminal import COULD_NOT_RUN, AsJson, fail, print_json, run, say, settings
from settings import Settings

if TYPE_CHECKING:
    from db.audit import Report

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
catalog_app = typer.Typer(no_args_is_help=True, help="Models, routes and prices.")
app.add_typer(cli_accounts.accounts, name="accounts")
app.add_typer(cli_accounts.keys, name="keys")
app.add_typer(cli_money.holds, name="holds")
app.add_typer(catalog_app, name="catalog")

# Commands import what they need when they run: the whole of it takes seconds, and most need little.


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

    asyncio.run(main(settings()))


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema. Safe to run twice, and from several machines at once."""
    from db.migrate import upgrade

    upgrade(settings().database_url.get_secret_value())


@catalog_app.command("check")
def catalog_check(as_json: AsJson = False) -> None:
    """Whether the catalog is valid, and which models are active with the keys that are set."""
    from catalog import files
    from domain.catalog import CatalogInvalid

    try:
        catalog = files.load(configuration.catalog_path(), configuration.provider_keys)
    except CatalogInvalid as invalid:
        fail("the catalog is not valid:\n" + "\n".join(f"  {problem}" for problem in invalid.problems))
    active = catalog.active_models()
    if as_json:
        print_json({"models": len(catalog.models), "active": [model.id for model in active]})
        return
    say(f"{len(catalog.models)} models, {len(active)} active:")
    for model in active:
        routes = ", ".join(f"{route.provider.name}/{route.model}" for route in model.routes)
        say(f"  {model.id:<36} {model.modality:<10} {routes}")


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
    found = settings()

    async def work() -> "Report":
        from db.audit import audit
        from db.engine import Database

        database = Database.open(found.database_url.get_secret_value(), pool=1)
        async with database.connection() as connection:
            report = await audit(connection)
        await database.close()
        return report

    try:
        report: Report = run(work(), COULD_NOT_RUN)
    except (typer.Exit, KeyboardInterrupt):
        raise
    except Exception as fault:  # a missing schema, say: the exit code must not look like drift
        fail(f"the audit could not run: {type(fault).__name__}", COULD_NOT_RUN)
    if as_json:
        print_json(report.as_dict())
    else:
        _print_report(report)
    raise typer.Exit(0 if report.clean else 1)


def _print_report(report: "Report") -> None:
    for finding in report.findings:
        say(f"[red]{finding.check}[/red] {finding.subject}: {finding.detail}")
    for check, count in report.counts.items():
        say(f"{check}: {count}")
    said = "clean" if report.clean else f"DRIFT of {report.drift_credits} credits"
    say(
        f"{said}: {report.checks} checks over {report.accounts} accounts, {report.transactions} transactions, "
        f"{report.holds_open} open holds"
    )


app.command()(cli_money.grant)
app.command(context_settings=cli_money.NEGATIVE_NUMBERS)(cli_money.adjust)
app.command()(cli_money.refund)
app.command()(cli_usage.usage)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
