"""`yout accounts` and `yout keys`: who may spend credits."""

import os
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.table import Table

from cli_terminal import AsJson, Named, fail, print_json, reading, say, settings, tables, writing

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from db.keys import Listed

accounts = typer.Typer(no_args_is_help=True, help="Accounts and their credits.")
keys = typer.Typer(no_args_is_help=True, help="API keys of accounts.")


@accounts.command("create")
def accounts_create(
    email: Annotated[str, typer.Option(help="The owner's e-mail address.")],
    credits: Annotated[int, typer.Option(min=0, help="Credits to begin with.")] = 0,
    exist_ok: Annotated[bool, typer.Option(help="An account that exists gets a new key, and no credits.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an account, give it credits and print an API key of it, once. That key has every scope."""
    from domain import keys as tokens

    token = tokens.mint(os.urandom(tokens.ENTROPY_BYTES))
    account_id = writing(lambda session: _create(session, email, token, credits, exist_ok=exist_ok))
    if as_json:
        print_json({"account_id": account_id, "api_key": token})
        return
    say(f"account  {account_id}\napi key  {token}")


async def _create(session: "AsyncSession", email: str, token: str, credits: int, *, exist_ok: bool) -> UUID:
    """The account with its key and its credits: all of it or nothing."""
    from db import accounts as stored
    from db import keys as stored_keys
    from db import ledger
    from db.engine import raw
    from db.keys import NewKey
    from domain.authority import Authority
    from domain.keys import SCOPES
    from domain.ledger import Grant
    from domain.sealing import Wrapping
    from gateway.ids import new_id

    found = settings()
    known = await stored.of_email(session, email) if exist_ok else None
    account_id = known or new_id()
    if known is None:
        wrapping = Wrapping.of(found.secret_key.get_secret_value(), found.previous_secrets)
        await stored.create(session, wrapping, account_id=account_id, user_id=new_id(), email=email)
    await stored_keys.create(session, account_id, NewKey(new_id(), token, "from the command line", Authority(SCOPES)))
    if known is None and credits:
        (verdict,) = await ledger.execute(await raw(session), [Grant(account_id, credits, f"opening:{account_id}")])
        if isinstance(verdict, Exception):
            raise verdict
    return account_id


@accounts.command("list")
def accounts_list(as_json: AsJson = False, limit: Annotated[int, typer.Option(min=1)] = 1000) -> None:
    """All accounts with their balances."""
    from db import accounts as stored

    rows = reading(lambda session: stored.listed(session, limit))
    if as_json:
        print_json(rows)
        return
    table = Table("account", "e-mail", "available", "held", "created")
    for row in rows:
        email = f"{row.email} (suspended)" if row.suspended else row.email
        table.add_row(str(row.account_id), email, f"{row.available:,}", f"{row.held:,}", str(row.created_at)[:19])
    tables.print(table)


@accounts.command("suspend")
def accounts_suspend(account: Named, as_json: AsJson = False) -> None:
    """Let an account begin no call more, in any process. What runs goes on, and is charged."""
    _suspend(account, suspended=True, as_json=as_json)


@accounts.command("resume")
def accounts_resume(account: Named, as_json: AsJson = False) -> None:
    """Let a suspended account make calls again."""
    _suspend(account, suspended=False, as_json=as_json)


def _suspend(account: str, *, suspended: bool, as_json: bool) -> None:
    from db import accounts as stored

    async def work(session: "AsyncSession") -> tuple[UUID, bool]:
        account_id = await stored.find(session, account)
        return account_id, await stored.suspend(session, account_id, suspended=suspended)

    account_id, changed = writing(work)
    if as_json:
        print_json({"account_id": account_id, "suspended": suspended, "repeated": not changed})
        return
    done, before = ("suspended", "was suspended before") if suspended else ("resumed", "was not suspended")
    say(f"{done if changed else before}: {account_id}")


@accounts.command("set")
def accounts_set(
    account: Named,
    recognise_retries: Annotated[
        bool | None, typer.Option(help="Answer a stock SDK's retry of a call with that call, not with a second one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
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


@keys.command("list")
def keys_list(account: Named, as_json: AsJson = False) -> None:
    """An account's keys that are not revoked, the newest first."""
    from db import accounts as stored
    from db import keys as stored_keys

    async def work(session: "AsyncSession") -> "list[Listed]":
        return await stored_keys.listed(session, await stored.find(session, account))

    rows = reading(work)
    if as_json:
        print_json(rows)
        return
    table = Table("key", "name", "token", "scopes", "created", "last used")
    for row in rows:
        times = str(row.created_at)[:19], str(row.last_used_at or "never")[:19]
        table.add_row(str(row.id), row.name, row.masked, " ".join(row.scopes), *times)
    tables.print(table)


@keys.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(help="The key's id, or a whole token of it.")], as_json: AsJson = False
) -> None:
    """The very next call with this key is 401, in every process. For good."""
    from db import keys as stored_keys

    async def work(session: "AsyncSession") -> "tuple[Listed, bool]":
        account_id, key_id, revoked_at = await stored_keys.find(session, key)
        return await stored_keys.revoke(session, account_id, key_id), revoked_at is not None

    revoked, repeated = writing(work)
    if as_json:
        print_json({"id": revoked.id, "masked": revoked.masked, "revoked_at": revoked.revoked_at, "repeated": repeated})
        return
    say(f"{'was revoked before' if repeated else 'revoked'}: {revoked.masked} ({revoked.id})")
