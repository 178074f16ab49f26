"""`yout keys`: API keys of accounts."""

from typing import TYPE_CHECKING

import click

from cli.database import reading, writing_once
from cli.terminal import account, as_json, print_json, print_table, say

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from db.keys import Listed


@click.group()
def keys() -> None:
    """API keys of accounts."""


@keys.command("list")
@account
@as_json
def keys_list(account: str, as_json: bool) -> None:
    """An account's keys that are not revoked, the newest first."""
    from db import accounts as stored
    from gateway import keys as use_cases

    async def work(session: "AsyncSession") -> "list[Listed]":
        return await use_cases.listed(session, await stored.find(session, account))

    rows = reading(work)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("key", "name", "token", "scopes", "created", "last used"),
        [
            (
                str(row.id),
                row.name,
                row.masked,
                " ".join(row.scopes),
                str(row.created_at)[:19],
                str(row.last_used_at or "never")[:19],
            )
            for row in rows
        ],
    )


@keys.command("revoke")
@click.argument("key")
@as_json
def keys_revoke(key: str, as_json: bool) -> None:
    """The very next call with this key is 401, in every process. For good.

    KEY is its id, or a whole token of it.
    """
    from db import keys as stored_keys
    from gateway import keys as use_cases

    async def work(session: "AsyncSession") -> "tuple[Listed, bool]":
        account_id, key_id, revoked_at = await stored_keys.find(session, key)
        return await use_cases.revoke(session, account_id, None, key_id), revoked_at is not None

    revoked, repeated = writing_once(work)
    if as_json:
        print_json({"id": revoked.id, "masked": revoked.masked, "revoked_at": revoked.revoked_at, "repeated": repeated})
        return
    say(f"{'was revoked before' if repeated else 'revoked'}: {revoked.masked} ({revoked.id})")
