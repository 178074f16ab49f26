"""`yout outputs`: what media jobs have made, and is still in storage."""

import click

from cli.database import reading
from cli.groups import Group
from cli.terminal import as_json, print_json, print_table


@click.group(cls=Group)
def outputs() -> None:
    """What media jobs have made, and is still in storage."""


@outputs.command("list")
@as_json
def outputs_list(as_json: bool) -> None:
    """How much each account stores, the most first."""
    from db import media_figures

    rows = [
        {"account_id": stored.account_id, "objects": stored.objects, "bytes": stored.bytes}
        for stored in reading(media_figures.stored_by_account)
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("account", "objects", "bytes"),
        [(str(row["account_id"]), f"{row['objects']:,}", f"{row['bytes']:,}") for row in rows],
        numbers=("objects", "bytes"),
    )
