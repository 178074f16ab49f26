"""`yout keys`: API keys of accounts."""

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from cli.database import reading, writing, writing_once
from cli.groups import Group
from cli.terminal import account, as_json, print_json, print_table, say
from domain.privacy import Privacy

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from db.keys import Listed
    from gateway.keys import CreatedKey


@click.group(cls=Group)
def keys() -> None:
    """API keys of accounts."""


@keys.command("list")
@account
@as_json
def keys_list(account: str, as_json: bool) -> None:
    """An account's keys that are not revoked, the newest first."""
    from db import accounts as stored
    from db import keys as stored_keys

    async def work(session: "AsyncSession") -> "list[Listed]":
        return await stored_keys.listed(session, await stored.find(session, account))

    rows = reading(work)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("key", "name", "token", "scopes", "models", "privacy", "created", "expires", "last used"),
        [
            (
                str(row.id),
                row.name,
                row.masked,
                " ".join(row.scopes),
                " ".join(row.models) if row.models else "all",
                row.privacy,
                str(row.created_at)[:19],
                str(row.expires_at or "never")[:19],
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


@keys.command("set")
@click.argument("key")
@click.option("--privacy", type=click.Choice([each.value for each in Privacy]), required=True)
@as_json
def keys_set(key: str, privacy: str, as_json: bool) -> None:
    """Change what the calls of a key require of providers, from its next call on.

    `strict`: only providers that keep nothing answer. KEY is its id, or a whole token of it.
    """
    from db import keys as stored_keys
    from gateway import keys as use_cases

    async def work(session: "AsyncSession") -> "Listed":
        account_id, key_id, _ = await stored_keys.find(session, key)
        edit = use_cases.KeyEdit(settings={"privacy": Privacy(privacy)})
        return await use_cases.change(session, account_id, None, key_id, edit)

    changed = writing(work)
    if as_json:
        print_json(changed)
        return
    say(f"{changed.masked} ({changed.id}): privacy {changed.privacy}")


@keys.command("rotate")
@click.argument("key")
@click.option(
    "--grace",
    default=86_400,
    show_default=True,
    type=click.IntRange(0, 604_800),
    help="Seconds that the old token still works for. 0: it has leaked.",
)
@as_json
def keys_rotate(key: str, grace: int, as_json: bool) -> None:
    """Print a new token of this key, which is shown here alone. The key stays the same.

    KEY is its id, or a whole token of it.
    """
    from db import keys as stored_keys
    from gateway import keys as use_cases

    async def work(session: "AsyncSession") -> "CreatedKey":
        account_id, key_id, _ = await stored_keys.find(session, key)
        rotation = use_cases.Rotation(key_id, timedelta(seconds=grace))
        return await use_cases.rotate(session, account_id, None, rotation)

    rotated = writing(work)
    if as_json:
        print_json(rotated)
        return
    ends = rotated.previous_expires_at
    say(f"{rotated.key}\nThe token before {f'works until {str(ends)[:19]}' if ends else 'no longer works'}.")
