"""`yout usage`: what calls brought in, and what is left of it once the providers are paid."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.table import Table

from cli_terminal import AsJson, account_id, fail, print_json, reading, tables
from domain.margins import By, Margin, Span, total

DAYS = 30


def usage(
    account: Annotated[str | None, typer.Argument(metavar="ACCOUNT", help="Its id or e-mail; or all.")] = None,
    by: Annotated[By, typer.Option(help="By provider: as long as single rows are kept.")] = By.DAY,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day, in UTC; or the last 30.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The day after the last; or tomorrow.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Calls, credits charged, refunded and written off, what providers bill, and the margin. In credits.

    Calls whose cost is not known count as costing nothing: `uncosted` says how many there are.
    """
    from db import margins

    end = (until or datetime.now(UTC) + timedelta(days=1)).date()
    begin = since.date() if since else end - timedelta(days=DAYS)
    if begin >= end:
        fail("--to must be later than --from")
    span = Span(begin, end, account_id(account) if account else None)
    found = reading(lambda session: margins.margins(session, by, span))
    if as_json:
        rows = [_told(by, margin) for margin in found]
        print_json({"by": by, "from": begin, "to": end, "total": _told(by, total(found)), "data": rows})
        return
    columns = ("calls", "charged", "refunded", "written_off", "provider_cost", "margin", "uncosted")
    table = Table(by.value, *(column.replace("_", " ") for column in columns))
    for margin in found:
        _add(table, str(margin.group or "-"), _told(by, margin), columns)
    _add(table, "total", _told(by, total(found)), columns)
    tables.print(table)


def _add(table: Table, name: str, told: dict[str, Any], columns: Sequence[str]) -> None:
    table.add_row(name, *(_shown(told[column]) for column in columns))


def _told(by: By, margin: Margin) -> dict[str, Any]:
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
    """Every digit of it, as a string: JSON's numbers would lose some."""
    written = f"{credits:f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


def _shown(value: Any) -> str:
    return "unknown" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
