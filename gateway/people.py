"""What the use cases of sign-in share. Each module beside this one is a use case: `sign_up`, `sign_in`, `own_account`.

None of them tells by its answer, by its time or by what it stores whether an address has an account, but for its owner.
"""

import os
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from db.engine import Database
from db.people import NewLink
from domain import sessions
from domain.errors import LinkUnusable
from domain.sessions import SECRET_BYTES
from gateway.free_tier import FreeTier
from gateway.known_browsers import KnownBrowsers
from gateway.letters import Letters
from gateway.outbox import Outbox
from gateway.passwords import Passwords
from gateway.sessions import NewSession, Sessions
from gateway.throttles import Throttles

VERIFICATION_LIFETIME = timedelta(hours=24)
RESET_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True, repr=False)
class People:
    database: Database
    sessions: Sessions
    passwords: Passwords
    throttles: Throttles
    browsers: KnownBrowsers
    free_tier: FreeTier
    letters: Letters
    outbox: Outbox
    verification: bool
    """An address counts only after its owner has opened a link that was mailed to it."""


@dataclass(frozen=True, slots=True, repr=False)
class SignedIn:
    account_id: UUID
    session: NewSession
    browser: str = field(repr=False)
    """The cookie by which this browser is known the next time."""


@dataclass(frozen=True, slots=True, repr=False)
class OneTimeLink:
    """A link before it is stored. Only its digest will be."""

    secret: str = field(repr=False)
    stored: NewLink
    wanted: str
    """What it was requested for. Mails are counted for each of these: none uses up the mails of another."""


def new_link(email: str, lifetime: timedelta, wanted: str) -> OneTimeLink:
    secret = sessions.secret(os.urandom(SECRET_BYTES))
    return OneTimeLink(secret, NewLink(digest_of(secret), email, lifetime), wanted)


def digest_of(token: str) -> bytes:
    """Return what is stored of a link's secret. Raises `LinkUnusable` for a text that is none."""
    digest = sessions.digest(token)
    if digest is None:
        raise LinkUnusable
    return digest
