"""`yout usage`: what calls were charged, what providers bill for them, and the margin."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import click
from click.shell_completion import CompletionItem

from cli.database import account_id, snapshot
from cli.groups import Group
from cli.terminal import as_json, fail, print_json, print_table
from cli.usage_export import DAY, export
from domain.margins import By, Margin, Span, total

DAYS = 30

REPORT = "report"


class _Usage(Group):
    """A word that names none of its commands, an account or an option, begins the report."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = bool(args) and (args[0] in self.commands or args[0] in self.get_help_option_names(ctx))
        completing = not args and ctx.resilient_parsing
        return super().parse_args(ctx, args if named or completing else [REPORT, *args])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands, and the options of the report."""
        report = self.commands[REPORT].shell_complete(ctx, incomplete)
        return super().shell_complete(ctx, incomplete) + report

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self.commands.get(cmd_name, self.commands[REPORT])


@click.group(
    cls=_Usage,
    invoke_without_command=True,
    help="What calls were charged: `yout usage [ACCOUNT]` reports it, `yout usage export` lists it.",
)
def usage() -> None:
    """Group the report and the export."""


usage.add_command(export)


@usage.command(REPORT)
@click.argument("account", required=False)
@click.option(
    "--by",
    type=click.Choice(By, case_sensitive=False),
    default=By.DAY,
    show_default=By.DAY.value,
    help="By provider: as long as single rows are kept.",
)
@click.option("--from", "since", type=DAY, help="The first day, in UTC; or the last 30.")
@click.option("--to", "until", type=DAY, help="The day after the last; or tomorrow.")
@as_json
def usage_report(account: str | None, by: By, since: datetime | None, until: datetime | None, as_json: bool) -> None:
    """Calls, credits charged, refunded and written off, what providers bill, and the margin. In credits.

    Calls whose cost is not known count as costing nothing: `uncosted` says how many there are.
    """
    from db import margins

    end = (until or datetime.now(UTC) + timedelta(days=1)).date()
    begin = since.date() if since else end - timedelta(days=DAYS)
    if begin >= end:
        fail("--to must be later than --from")
    span = Span(begin, end, account_id(account) if account is not None else None)
    groups = snapshot(lambda session: margins.margins(session, by, span))
    if as_json:
        rows = [_row(by, margin) for margin in groups]
        print_json({"by": by, "from": begin, "to": end, "total": _row(by, total(groups)), "data": rows})
        return
    columns = ("calls", "charged", "refunded", "written_off", "provider_cost", "margin", "uncosted")
    lines = [(str(margin.group or "-"), _row(by, margin)) for margin in groups] + [("total", _row(by, total(groups)))]
    heads = (by.value, *(column.replace("_", " ") for column in columns))
    table = [(name, *(_shown(values[column]) for column in columns)) for name, values in lines]
    print_table(heads, table, numbers=heads[1:])


def _row(by: By, margin: Margin) -> dict[str, Any]:
    left = margin.margin
    return {
        by.value: margin.group,
        "calls": margin.calls,
        "charged": margin.charged,
        "refunded": margin.refunded,
        "written_off": margin.written_off,
        "provider_cost": _exact(margin.cost) if margin.costed or not margin.calls else None,
        "margin": None if left is None else _exact(left),
        "uncosted": margin.calls - margin.costed,
    }


def _exact(credits: Decimal) -> str:
    """Return all digits as a string: JSON numbers would lose some."""
    written = f"{credits:f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


def _shown(value: Any) -> str:
    return "unknown" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
