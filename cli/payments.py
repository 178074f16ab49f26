"""`yout payments`: what was paid, what went back, and what nobody has got anything for yet."""

from typing import TYPE_CHECKING, Any

import click

from cli import catalog
from cli.database import reading, writing_once
from cli.groups import Group
from cli.terminal import account, as_json, limit, print_json, print_table, say
from domain.counts import counted

if TYPE_CHECKING:
    from uuid import UUID

    from sqlmodel.ext.asyncio.session import AsyncSession


@click.group(cls=Group)
def payments() -> None:
    """What was paid, and what could not be matched to an account."""


@payments.command("list")
@click.option("--unmatched", is_flag=True, help="Only payments that gave nothing, and refunds of unknown payments.")
@limit
@as_json
def payments_list(unmatched: bool, limit: int, as_json: bool) -> None:
    """Payments, the newest first: what they gave, what was taken back, and what is still due."""
    from db import payment_lists
    from domain.payments import amount_text

    rows: list[Any] = reading(lambda session: payment_lists.payments(session, unmatched=unmatched, limit=limit))
    if as_json:
        print_json(rows)
        return
    print_table(
        ("payment", "account", "amount", "credits", "taken back", "still due", "problem"),
        [
            (
                row.id,
                str(row.account_id or ""),
                amount_text(row.amount, row.currency),
                f"{row.credits:,}",
                f"{row.taken:,}",
                f"{row.due:,}",
                row.problem or "",
            )
            for row in rows
        ],
        numbers=("amount", "credits", "taken back", "still due"),
    )


@payments.command("assign")
@click.argument("payment")
@account
@click.option("--credits", type=click.IntRange(min=1), help="Give these, where the catalog does not say what it buys.")
@as_json
def payments_assign(payment: str, account: str, credits: int | None, as_json: bool) -> None:
    """Give an account what a payment has bought that is in the list with a problem. Once."""
    from db import accounts
    from gateway import payments as use_cases

    offers = catalog.load().offers

    async def work(session: "AsyncSession") -> "tuple[tuple[UUID, int], bool]":
        account_id = await accounts.find(session, account)
        given, repeated = await use_cases.assign(session, offers, payment, account_id, credits)
        return (account_id, given), repeated

    (account_id, given), repeated = writing_once(work)
    if as_json:
        print_json({"payment": payment, "account_id": account_id, "credits": given, "repeated": repeated})
        return
    say(f"{'was assigned before' if repeated else 'assigned'}: {payment} gave {account_id} {counted(given, 'credit')}")
