"""`yout accounts`: who may spend credits."""

from typing import TYPE_CHECKING
from uuid import UUID

import click

import environment
from cli.database import settings, writing, writing_once
from cli.groups import Group
from cli.terminal import account, as_json, fail, limit, print_json, print_table, say

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from db.listings import Account
    from gateway.people import OneTimeLink


@click.group(cls=Group)
def accounts() -> None:
    """Accounts and their credits."""


@accounts.command("create")
@click.option("--email", required=True, help="The owner's e-mail address.")
@click.option("--credits", type=click.IntRange(min=0), default=0, show_default=True, help="Credits to begin with.")
@click.option("--exist-ok", is_flag=True, help="An account that exists gets a new key, and no credits.")
@as_json
def accounts_create(email: str, credits: int, exist_ok: bool, as_json: bool) -> None:
    """Make an account, give it credits and print an API key of it, once. That key has every scope."""
    from gateway.accounts import AccountOrder, first_key, open_account

    wrapping = settings().wrapping
    order = AccountOrder(email, first_key("from the command line"), credits, exist_ok)
    account_id = writing(lambda session: open_account(session, wrapping, order))
    if as_json:
        print_json({"account_id": account_id, "api_key": order.key.token})
        return
    say(f"account  {account_id}\napi key  {order.key.token}")


@accounts.command("list")
@limit
@as_json
def accounts_list(limit: int, as_json: bool) -> None:
    """All accounts with their balances."""
    from db import listings

    rows = listings.accounts(environment.database_url(), limit)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("account", "e-mail", "verified", "available", "held", "created"),
        [
            (
                str(row.account_id),
                f"{_owner(row)} (suspended)" if row.suspended else _owner(row),
                "yes" if row.verified else "no",
                f"{row.available:,}",
                f"{row.held:,}",
                str(row.created_at)[:19],
            )
            for row in rows
        ],
        numbers=("available", "held"),
    )


def _owner(row: "Account") -> str:
    from domain.house_account import HOUSE_ACCOUNT

    return "pays for visitors" if row.account_id == HOUSE_ACCOUNT else row.email or ""


@accounts.command("suspend")
@account
@as_json
def accounts_suspend(account: str, as_json: bool) -> None:
    """Let an account begin no call more, in any process. What runs goes on, and is charged."""
    _suspend(account, suspended=True, as_json=as_json)


@accounts.command("resume")
@account
@as_json
def accounts_resume(account: str, as_json: bool) -> None:
    """Let a suspended account make calls again."""
    _suspend(account, suspended=False, as_json=as_json)


def _suspend(account: str, *, suspended: bool, as_json: bool) -> None:
    from db import accounts as stored

    async def work(session: "AsyncSession") -> tuple[UUID, bool]:
        account_id = await stored.find(session, account)
        return account_id, not await stored.suspend(session, account_id, suspended=suspended)

    account_id, repeated = writing_once(work)
    if as_json:
        print_json({"account_id": account_id, "suspended": suspended, "repeated": repeated})
        return
    done, before = ("suspended", "was suspended before") if suspended else ("resumed", "was not suspended")
    say(f"{before if repeated else done}: {account_id}")


@accounts.command("set")
@account
@click.option(
    "--recognise-retries/--no-recognise-retries",
    default=None,
    help="Answer a stock SDK's retry of a call with that call, not with a second one.",
)
@as_json
def accounts_set(account: str, recognise_retries: bool | None, as_json: bool) -> None:
    """Change how an account is served."""
    from db import accounts as stored

    if recognise_retries is None:
        fail("Nothing to set: give --recognise-retries or --no-recognise-retries.")

    async def work(session: "AsyncSession") -> UUID:
        account_id = await stored.find(session, account)
        await stored.recognise_retries(session, account_id, recognised=recognise_retries)
        return account_id

    account_id = writing(work)
    if as_json:
        print_json({"account_id": account_id, "recognise_retries": recognise_retries})
        return
    say(f"retries are {'recognised' if recognise_retries else 'not recognised'}: {account_id}")


@accounts.command("reset-link")
@click.argument("email")
@as_json
def accounts_reset_link(email: str, as_json: bool) -> None:
    """Print a link by which the owner of an account chooses a password. It works once, for an hour."""
    from gateway import sign_in

    _print_link("reset", writing(lambda session: sign_in.operators_reset_link(session, email)), as_json=as_json)


@accounts.command("verify-link")
@click.argument("email")
@as_json
def accounts_verify_link(email: str, as_json: bool) -> None:
    """Print a link that verifies an address which waits for it, as of a sign-up. It works once, for a day."""
    from gateway import sign_up

    _print_link("verify", writing(lambda session: sign_up.operators_link(session, email)), as_json=as_json)


def _print_link(page: str, link: "OneTimeLink | None", *, as_json: bool) -> None:
    from gateway.letters import Letters

    if link is None:
        fail("There is no account, or nothing to verify, with this e-mail address.")
    url = Letters(settings().public_url).link(page, link.secret)
    if as_json:
        print_json({"link": url, "token": link.secret, "seconds": int(link.stored.lifetime.total_seconds())})
        return
    say(url)
