"""`yout purges`: how far each erasure of an account is, and which do not come further."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from cli.database import account_id, reading
from cli.groups import Group
from cli.terminal import as_json, duration, limit, print_json, print_table, say_folded

if TYPE_CHECKING:
    from gateway.erasure import Standing


@click.group(cls=Group)
def purges() -> None:
    """Purges: what accounts have requested to erase."""


@purges.command("list")
@click.option("--account", help="Of this account alone: its id, or its owner's e-mail.")
@limit
@as_json
def purges_list(account: str | None, limit: int, as_json: bool) -> None:
    """Purges that run, the oldest first, then completed ones. A line for each stuck one says where to look."""
    from gateway import erasure

    of_account = account_id(account) if account is not None else None
    standings = reading(lambda session: erasure.standings(session, of_account, limit))
    now = datetime.now(UTC)
    if as_json:
        print_json([_listed(standing, now) for standing in standings])
        return
    print_table(
        ("account", "purge", "of", "step", "age", "left"),
        [
            (
                str(standing.account_id),
                str(standing.id),
                standing.part or "everything",
                standing.step,
                duration(_age(standing, now)),
                ", ".join(f"{name} {number:,}" for name, number in standing.left.items()),
            )
            for standing in standings
        ],
        numbers=("age",),
    )
    for standing in standings:
        if stuck := standing.stuck_for(now):
            say_folded(_complaint(standing, stuck))


def _listed(standing: "Standing", now: datetime) -> dict[str, Any]:
    stuck = standing.stuck_for(now)
    return {
        "account_id": standing.account_id,
        "purge_id": standing.id,
        "part": standing.part or None,
        "step": standing.step,
        "requested_at": standing.requested_at,
        "progressed_at": standing.progressed_at,
        "completed_at": standing.completed_at,
        "age_seconds": int(_age(standing, now).total_seconds()),
        "stuck_seconds": int(stuck.total_seconds()) if stuck else None,
        "left": standing.left,
    }


def _age(standing: "Standing", now: datetime) -> timedelta:
    """Return how long it runs, or how long it took."""
    return max((standing.completed_at or now) - standing.requested_at, timedelta(0))


def _complaint(standing: "Standing", stuck: timedelta) -> str:
    from domain.ids import purge_workflow_id

    queues = "queue purge"
    if standing.step in ("accepted", "cut"):
        queues = "queues purge, ledger, maintenance and media-…"
    return (
        f"purge {standing.id}: no progress for {duration(stuck)}: is a worker running on its {queues}? "
        f"If so, Temporal's workflow {purge_workflow_id(standing.id)} shows the last failure"
    )
