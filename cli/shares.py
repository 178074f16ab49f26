"""`yout shares`: take a shared page down that somebody reported."""

from typing import TYPE_CHECKING

import click

from cli.database import writing_once
from cli.groups import Group
from cli.terminal import as_json, print_json, say

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession


@click.group(cls=Group)
def shares() -> None:
    """Pages that accounts share with everybody."""


@shares.command("revoke")
@click.argument("page")
@as_json
def shares_revoke(page: str, as_json: bool) -> None:
    """Take a shared page down: its content is deleted, and its address answers 404 at once.

    PAGE is its address, or the last part of that.
    """
    from db import shares as stored
    from domain.errors import NotFound
    from domain.shares import slug_hash

    slug = page.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2]

    async def work(session: "AsyncSession") -> "tuple[None, bool]":
        return None, not await stored.delete(session, slug_hash(slug))

    _, missing = writing_once(work)
    if missing:
        raise NotFound("There is no such shared page, or no longer.")
    if as_json:
        print_json({"revoked": True})
        return
    say("revoked: the page is gone")
