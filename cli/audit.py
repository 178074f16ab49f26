"""`yout audit`: proves the ledger."""

import sys
from typing import TYPE_CHECKING

import click

from cli.database import open_database, run
from cli.terminal import as_json, print_json, say, say_folded, working
from domain.counts import counted

if TYPE_CHECKING:
    from db.audit import Report

DRIFT = 1


@click.command()
@as_json
def audit(as_json: bool) -> None:
    """Prove the ledger over one snapshot. Exit code 0: clean, 1: drift (each named), 2: could not run."""
    with working("reading the books"):
        report = run(_audit())
    if as_json:
        print_json(report.as_dict())
    else:
        _print_report(report)
    sys.exit(0 if report.clean else DRIFT)


async def _audit() -> "Report":
    from db.audit import audit

    database = open_database()
    try:
        async with database.connection() as connection:
            return await audit(connection)
    finally:
        await database.close()


def _print_report(report: "Report") -> None:
    for finding in report.findings:
        say_folded(f"{finding.check} {finding.subject}: {finding.detail}")
    for check, count in report.counts.items():
        say(f"{check}: {count}")
    outcome = "clean" if report.clean else f"DRIFT of {counted(report.drift_credits, 'credit')}"
    say_folded(
        f"{outcome}: {report.checks} checks over {report.accounts} accounts, {report.transactions} transactions, "
        f"{report.holds_open} open holds"
    )
    if not report.clean:
        say_folded("Stop changes by hand, keep a dump, and go on with `Ledger drift` in docs/runbooks.md.")
