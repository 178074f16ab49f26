"""Receipts of purges, for everybody who wants to verify one, and the keys that sign them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from db import purge_receipts as stored
from db import purges
from db.engine import Database
from domain import purge_receipts
from domain.errors import NotFound
from domain.purge_receipts import ReceiptInvalid
from domain.sealing import Wrapping


@dataclass(frozen=True, slots=True)
class ReceiptKeys:
    database: Database
    wrapping: Wrapping

    async def published(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys as a JWK set, those that sign no more too."""
        async with self.database.reading() as session:
            return {"keys": [purge_receipts.jwk(public) for public in await stored.public_keys(session)]}

    async def rotate(self) -> str:
        """Make the key that signs from now on, and return its name."""
        async with self.database.transaction() as session:
            return (await stored.new_key(session, self.wrapping)).kid

    async def receipts(self) -> list[dict[str, Any]]:
        """All receipts of this server, in order."""
        async with self.database.reading() as session:
            return await stored.all_of(session)

    async def receipt(self, purge_id: UUID) -> dict[str, Any]:
        """Raises `NotFound`."""
        async with self.database.reading() as session:
            row = await purges.receipt(session, purge_id)
        if row is None:
            raise NotFound("There is no receipt of such a purge.")
        return row

    async def verify(self, receipt: dict[str, Any], *, chain: bool) -> None:
        """Verify a receipt, and with `chain` its place among all of this server's. Raises `ReceiptInvalid`."""
        async with self.database.reading() as session:
            keys = {purge_receipts.thumbprint(public): public for public in await stored.public_keys(session)}
        purge_receipts.verify(receipt, keys)
        if not chain:
            return
        receipts = await self.receipts()
        purge_receipts.verify_chain(receipts, keys)
        if receipt not in receipts:
            raise ReceiptInvalid("it is none of this server's receipts")
