"""A browser in which an account's owner is signed in, without the sign-in."""

from uuid import UUID

import httpx2
from sqlmodel import select

from db.engine import Database
from db.tables import UserRow
from domain.sessions import SessionLifetime
from gateway.sessions import Sessions

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
"""What a browser says with a request that one of our own pages makes."""


async def cookie_of(database: Database, account_id: UUID) -> str:
    """The secret of a new session of the account's owner."""
    sessions = Sessions(database, SessionLifetime())
    async with database.transaction() as session:
        user_id = (await session.exec(select(UserRow.id).where(UserRow.account_id == account_id))).one()
        return (await sessions.begin(session, user_id)).secret


async def browser(database: Database, account_id: UUID, url: str) -> httpx2.AsyncClient:
    """A client with the cookie of a new session, as our own pages use it. Its user closes it."""
    cookies = {"yout": await cookie_of(database, account_id)}
    return httpx2.AsyncClient(base_url=url, cookies=cookies, headers=SAME_ORIGIN, timeout=30)
