"""The free tier: credits that a new account gets, once for each mailbox and once for each account.

The grant's reference is a keyed hash of the mailbox. The ledger keeps it for ever, and no other account can have the
same: neither a purge nor a change of the address gives the credits again.
"""

import hmac
from dataclasses import dataclass
from uuid import UUID

from db import free_tier as stored
from db import ledger
from db.engine import Session, raw
from domain import email_addresses
from domain.operations import Grant
from domain.sealing import Wrapping


@dataclass(frozen=True, slots=True, repr=False)
class FreeTier:
    wrapping: Wrapping
    credits: int
    """0: there is no free tier."""

    async def give(self, session: Session, account_id: UUID, email: str, network: str | None = None) -> bool:
        """Grant the credits unless this mailbox or this account had them. Part of the caller's transaction.

        `network` is the client's, if nobody has verified the address: then each network has the credits once as well.
        """
        if not self.credits:
            return False
        key = await stored.hash_key(session, self.wrapping)
        digest = _digest(key, "mailbox", email_addresses.mailbox(email))
        await stored.lock(session, digest)
        ref = f"free_tier:{digest.hex()}"
        if await stored.granted(session, ref):
            return False
        if network is not None and not await stored.claim(session, _digest(key, "network", network)):
            return False
        if not await stored.claim(session, _digest(key, "account", str(account_id))):
            return False
        (result,) = await ledger.execute(await raw(session), [Grant(account_id, self.credits, ref)])
        if isinstance(result, Exception):
            raise result
        return True


def _digest(key: bytes, kind: str, name: str) -> bytes:
    return hmac.digest(key, f"{kind}\n{name}".encode(), "sha256")
