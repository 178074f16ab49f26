"""`yout holds`: credits that are set aside for calls and jobs in flight."""

from typing import TYPE_CHECKING, Any

import click

from cli.database import account_id, reading
from cli.groups import Group
from cli.terminal import as_json, limit, print_json, print_table

if TYPE_CHECKING:
    from domain.holds import Hold


@click.group(cls=Group)
def holds() -> None:
    """Credits that are set aside for calls and jobs in flight."""


@holds.command("list")
@click.option("--account", help="Of this account alone: its id, or its owner's e-mail.")
@limit
@as_json
def holds_list(account: str | None, limit: int, as_json: bool) -> None:
    """Open holds, the oldest first."""
    from db import billing

    of_account = account_id(account) if account is not None else None
    rows = [_listed(hold) for hold in reading(lambda session: billing.in_flight(session, of_account, limit))]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("charge", "account", "kind", "model", "held", "relayed", "since", "lease until"),
        [
            (
                row["charge"],
                str(row["account_id"]),
                row["kind"],
                row["model"],
                f"{row['credits']:,}",
                f"{row['relayed_output']:,}",
                str(row["created_at"])[:19],
                str(row["lease_until"] or "as the job")[:19],
            )
            for row in rows
        ],
        numbers=("held", "relayed"),
    )


def _listed(hold: "Hold") -> dict[str, Any]:
    from domain.receipts import public_id

    return {
        "charge": public_id(hold),
        "account_id": hold.account_id,
        "key_id": hold.key_id,
        "kind": hold.kind,
        "model": hold.model,
        "credits": hold.amount,
        "output_limit": hold.output_limit,
        "relayed_output": hold.relayed_output,
        "created_at": hold.created_at,
        "lease_until": hold.lease_until,
    }
