"""`yout grant`, `adjust` and `refund`: an operator changes credits, each time by a transaction in the ledger."""

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from cli.database import account_id, ask, writing_once
from cli.terminal import account, as_json, fail, print_json, say
from domain.counts import counted
from exits import CANNOT_RUN

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from db.refunds import Refunded
    from domain.operations import Operation
    from domain.results import Granted

MAX_REFERENCE_CHARACTERS = 200
NEGATIVE_NUMBERS = {"ignore_unknown_options": True}
"""Makes click read `-500` as an amount, not as an option."""

ref = click.option("--ref", help="Your reference: the same one does it once.")
reason = click.option(
    "--reason", required=True, help="Kept in the books. The account's owner sees it in the statement."
)


@dataclass(frozen=True, slots=True)
class Reference:
    """The idempotency reference of a change of credits: the operator's own, or one made for this command (`ours`)."""

    text: str
    ours: bool

    @classmethod
    def of(cls, given: str | None) -> "Reference":
        from gateway.ids import new_id

        if given is None:
            return cls(str(new_id()), ours=True)
        if not given.strip() or len(given) > MAX_REFERENCE_CHARACTERS:
            fail(f"--ref must have 1 to {MAX_REFERENCE_CHARACTERS} characters, or be left out", CANNOT_RUN)
        return cls(given, ours=False)

    @property
    def again(self) -> str:
        return f"run the command again with --ref {shlex.quote(self.text)} to do it once"


@click.command()
@account
@click.argument("credits", type=click.IntRange(min=1))
@ref
@as_json
def grant(account: str, credits: int, ref: str | None, as_json: bool) -> None:
    """Give an account credits."""
    from domain.operations import Grant

    reference = Reference.of(ref)
    granted = _granted(Grant(account_id(account), credits, f"grant:{reference.text}"), reference)
    _tell(granted, "was given before under this reference", f"gave {counted(credits, 'credit')}", as_json=as_json)


@click.command(context_settings=NEGATIVE_NUMBERS)
@account
@click.argument("amount", type=int, metavar="[+-]CREDITS")
@reason
@ref
@as_json
def adjust(account: str, amount: int, reason: str, ref: str | None, as_json: bool) -> None:
    """Correct a balance: +N adds, -N takes what is available, never more."""
    from domain.operations import Adjust

    reference = Reference.of(ref)
    adjusted = _granted(Adjust(account_id(account), amount, f"adjust:{reference.text}", reason), reference)
    did = f"added {counted(amount, 'credit')}" if amount > 0 else f"took {counted(-amount, 'credit')}"
    _tell(adjusted, "was adjusted before under this reference", did, as_json=as_json)


@click.command()
@click.argument("charge")
@reason
@as_json
def refund(charge: str, reason: str, as_json: bool) -> None:
    """Give back, once, what a call or job was charged. The charge stays in the books, beside its refund.

    CHARGE is `chatcmpl-...`, or a media job's id.
    """
    from db import refunds
    from domain.receipts import read_id

    async def work(session: "AsyncSession") -> "tuple[Refunded, bool]":
        refunded = await refunds.refund(session, read_id(charge), reason)
        return refunded, refunded.repeated

    refunded, repeated = writing_once(work)
    if as_json:
        print_json(
            {
                "charge": charge,
                "account_id": refunded.account_id,
                "credits_refunded": refunded.credits,
                "balance": refunded.available,
                "repeated": repeated,
            }
        )
        return
    event = "was refunded before" if repeated else f"refunded {counted(refunded.credits, 'credit')}"
    say(f"{event}; balance {refunded.available:,}")


def _granted(operation: "Operation", reference: Reference) -> "Granted":
    """Return the ledger's answer.

    A reference that this command made cannot have been used before: if the answer is `repeated`, the first try
    committed and only its reply was lost.
    """
    from domain.results import Granted

    granted = ask(operation, again=reference.again)
    assert isinstance(granted, Granted)  # noqa: S101  # the answer to a Grant and to an Adjust
    return replace(granted, repeated=granted.repeated and not reference.ours)


def _tell(granted: "Granted", before: str, did: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"balance": granted.available, "repeated": granted.repeated})
        return
    say(f"{before if granted.repeated else did}; balance {granted.available:,}")
