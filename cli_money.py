"""`yout grant`, `adjust`, `refund` and `holds`: credits by the operator's hand, each a transaction in the books."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from cli_terminal import AsJson, Named, account_id, ask, print_json, reading, say, tables, writing

if TYPE_CHECKING:
    from domain.ledger import Granted, Hold, Operation

holds = typer.Typer(no_args_is_help=True, help="Credits that are set aside for calls and jobs in flight.")
NEGATIVE_NUMBERS = {"ignore_unknown_options": True}
"""`-500` is an amount, and no option."""

Ref = Annotated[str | None, typer.Option(help="Your reference: the same one does it once.")]
Reason = Annotated[str, typer.Option(help="Kept in the books. The account's owner sees it in the statement.")]


def grant(
    account: Named, credits: Annotated[int, typer.Argument(min=1)], ref: Ref = None, as_json: AsJson = False
) -> None:
    """Give an account credits."""
    from domain.ledger import Grant
    from gateway.ids import new_id

    granted = _granted(Grant(account_id(account), credits, f"grant:{ref or new_id()}"))
    _tell(granted, "was given before under this reference", f"gave {credits:,} credits", as_json=as_json)


def adjust(
    account: Named,
    amount: Annotated[int, typer.Argument(metavar="±CREDITS", help="Credits to add, or with a minus to take.")],
    reason: Reason,
    ref: Ref = None,
    as_json: AsJson = False,
) -> None:
    """Correct a balance: +N adds, -N takes what is available, never more."""
    from domain.ledger import Adjust
    from gateway.ids import new_id

    adjusted = _granted(Adjust(account_id(account), amount, f"adjust:{ref or new_id()}", reason))
    did = f"added {amount:,} credits" if amount > 0 else f"took {-amount:,} credits"
    _tell(adjusted, "was adjusted before under this reference", did, as_json=as_json)


def refund(
    charge: Annotated[str, typer.Argument(help="`chatcmpl-…`, or a media job's id.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Give back, once, what a call or job was charged. The charge stays in the books, beside its refund."""
    from db import refunds
    from domain.receipts import read_id

    refunded = writing(lambda session: refunds.refund(session, read_id(charge), reason))
    if as_json:
        print_json(
            {
                "charge": charge,
                "account_id": refunded.account_id,
                "credits_refunded": refunded.credits,
                "balance": refunded.available,
                "repeated": refunded.repeated,
            }
        )
        return
    said = "was refunded before" if refunded.repeated else f"refunded {refunded.credits:,} credits"
    say(f"{said}; balance {refunded.available:,}")


@holds.command("list")
def holds_list(
    account: Annotated[str | None, typer.Option(help="Of this account alone: its id, or its owner's e-mail.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 1000,
    as_json: AsJson = False,
) -> None:
    """Open holds, the oldest first."""
    from db import billing

    of_account = account_id(account) if account else None
    found = reading(lambda session: billing.in_flight(session, of_account, limit))
    if as_json:
        print_json([_listed(hold) for hold in found])
        return
    table = Table("charge", "account", "kind", "model", "held", "relayed", "since", "lease until")
    for row in map(_listed, found):
        since, lease = str(row["created_at"])[:19], str(row["lease_until"] or "as the job")[:19]
        held = f"{row['credits']:,}", f"{row['relayed_output']:,}"
        table.add_row(row["charge"], str(row["account_id"]), row["kind"], row["model"], *held, since, lease)
    tables.print(table)


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


def _granted(asked: "Operation") -> "Granted":
    from domain.ledger import Granted

    granted = ask(asked)
    assert isinstance(granted, Granted)  # noqa: S101  # what a Grant and an Adjust are answered with
    return granted


def _tell(granted: "Granted", before: str, did: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"balance": granted.available, "repeated": granted.repeated})
        return
    say(f"{before if granted.repeated else did}; balance {granted.available:,}")
