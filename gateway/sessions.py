"""Sessions: begun by a sign-in, found by the cookie's secret, listed and ended by their owner.

PostgreSQL has them, so that a session that has ended is unknown to every process at once.
"""

import os
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from db import sessions as stored
from db.engine import Database, Session
from domain import sessions
from domain.caller import Caller, WebSession
from domain.errors import CallerUnknown, NotFound, ServiceUnavailable
from domain.sessions import SECRET_BYTES, SessionLifetime
from gateway.ids import new_id


@dataclass(frozen=True, slots=True, repr=False)
class NewSession:
    """A session that has begun. Only here is its secret, for the cookie."""

    id: UUID
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListedSession:
    id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    current: bool
    """True for the session that asks."""


class Sessions:
    def __init__(self, database: Database, lifetime: SessionLifetime) -> None:
        self._database = database
        self.lifetime = lifetime

    async def begin(self, session: Session, user_id: UUID) -> NewSession:
        """Begin a session in the caller's transaction, which commits."""
        new = NewSession(new_id(), sessions.secret(os.urandom(SECRET_BYTES)))
        digest = sessions.digest(new.secret)
        assert digest is not None  # noqa: S101  # it was written a line above
        await stored.begin(session, user_id, session_id=new.id, digest=digest, lifetime=self.lifetime)
        return new

    async def authenticate(self, secret: str) -> Caller:
        """Return who is signed in by the secret of a cookie. Raises `CallerUnknown` and `AccountSuspended`."""
        digest = sessions.digest(secret)
        if digest is None:
            raise CallerUnknown
        seen = await stored.find(self._database, digest, self.lifetime)
        if seen.stale and isinstance(seen.caller.credential, WebSession):
            await self._note_seen(seen.caller.credential.session_id)
        return seen.caller

    async def _note_seen(self, session_id: UUID) -> None:
        try:
            async with self._database.transaction() as session:
                await stored.seen(session, session_id)
        except ServiceUnavailable:
            return  # a database that cannot be written to answers reads all the same; the next request tries again

    async def listed(self, who: WebSession) -> list[ListedSession]:
        async with self._database.reading() as session:
            rows = await stored.listed(session, who.user_id, self.lifetime)
        return [
            ListedSession(row.id, row.created_at, row.last_seen_at, row.expires_at, row.id == who.session_id)
            for row in rows
        ]

    async def end(self, who: WebSession, session_id: UUID) -> None:
        """End one of the user's sessions, in every process. Raises `NotFound`."""
        async with self._database.transaction() as session:
            if not await stored.end(session, who.user_id, session_id):
                raise NotFound("There is no such session.")

    async def end_others(self, who: WebSession) -> int:
        """End all of the user's sessions but the one that asks. Returns how many ended."""
        async with self._database.transaction() as session:
            return await stored.end_all(session, who.user_id, but=who.session_id)

    async def end_all(self, session: Session, user_id: UUID, *, but: UUID | None = None) -> int:
        """End the user's sessions, but one, in the caller's transaction. Returns how many ended."""
        return await stored.end_all(session, user_id, but=but)

    async def end_by_secret(self, secret: str) -> None:
        """End the session of a cookie, if it has one."""
        digest = sessions.digest(secret)
        if digest is not None:
            async with self._database.transaction() as session:
                await stored.end_by_digest(session, digest)
