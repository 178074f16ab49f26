"""The purge of an account with words in it: what had been stored of them, and what still is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from db.data_keys import wrapping_aad
from db.erasure import ERASED as ERASED_TABLES
from domain import shares
from domain.sealing import SealBroken, Wrapping, unseal
from storage import probe
from tests.support.canaries import ERASED
from tests.support.canary_endpoints import Made
from tests.support.media_stack import Customer, World, until
from tests.support.stack import SECRET

TRANSCRIPTS = (".json", ".txt")
"""Of the demo, which has six sentences for all accounts: two may have the same one."""


@dataclass(frozen=True, slots=True)
class Purged:
    sealed: dict[bytes, str]
    """What had been stored encrypted, before it was erased, and in which column."""
    outputs: list[bytes]
    """A piece of each output that was erased."""
    still: set[bytes]
    """What of `sealed` a table has after the purge."""


async def purged(world: World, customer: Customer, made: Made) -> Purged:
    """Everything that the customer saved is erased: a row from a backup cannot be opened with the keys left."""
    keys = "SELECT epoch, wrapped FROM data_keys WHERE account_id = %s AND wrapped IS NOT NULL"
    shared = "SELECT slug_hash, sealed FROM shares WHERE account_id = %s"
    ((slug_hash, sealed),) = await world.rows(shared, customer.account_id)
    ((old, wrapped),) = await world.rows(keys, customer.account_id)
    place = shares.aad(customer.account_id, slug_hash, "messages")

    def opened(epoch: int, wrapped: bytes, of_epoch: int) -> bytes:
        data_key = Wrapping.of(SECRET).unwrap(wrapped, aad=wrapping_aad(customer.account_id, epoch))
        return unseal(data_key, sealed, aad=f"{place}|{of_epoch}")

    assert ERASED.encode() in opened(old, wrapped, old)
    stored_before = await _stored_bytes(world, customer)
    assert {sealed, wrapped} <= set(stored_before)
    stored = [path for path in _objects(world, customer) if path.is_file()]
    media = world.stack.state / "media"
    accounts = [folder for folder in media.iterdir() if folder.name != probe.PREFIX]
    others = [path for folder in accounts for path in folder.rglob("*") if path.is_file() and path not in stored]
    assert len(stored) == len(made.jobs) + 2  # each film has a poster
    outputs = [_only_in(path, others) for path in stored if path.suffix not in TRANSCRIPTS]
    started = await customer.http.post("/api/chat/purge/", json={"confirm": "erase"})
    assert started.status_code == 202

    async def completed() -> bool:
        answer = await customer.http.get(f"/api/chat/purge/{started.json()['purge_id']}/")
        return bool(answer.json()["status"] == "completed")

    await until(completed, "the purge")
    for path in (f"/c/{made.slug}", f"/api/chat/share/{made.slug}/"):
        assert (await customer.http.get(path)).status_code == 404
    assert ERASED not in (await customer.http.get("/api/chat/conversations/export/")).text
    ((epoch, wrapped),) = await world.rows(keys, customer.account_id)
    assert epoch > old
    for of_epoch in (old, epoch):
        with pytest.raises(SealBroken):
            opened(epoch, wrapped, of_epoch)
    assert not [path for path in _objects(world, customer) if path.is_file()]
    still = set(stored_before) & set(await _stored_bytes(world, customer))
    return Purged(stored_before, outputs, still)


def _objects(world: World, customer: Customer) -> Iterator[Path]:
    return (world.stack.state / "media" / customer.account_id.hex).rglob("*")


def _only_in(path: Path, others: Sequence[Path]) -> bytes:
    """48 bytes of this file that no other has: demo outputs may have whole stretches alike."""
    content, rest = path.read_bytes(), [other.read_bytes() for other in others]
    windows = (content[place:][:48] for place in range(len(content) // 2, len(content) - 48, 7))
    return next(window for window in windows if not any(window in other for other in rest))


async def _stored_bytes(world: World, customer: Customer) -> dict[bytes, str]:
    """What the tables that a purge erases, and that of keys, have of the customer in columns of bytes."""
    columns = "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND data_type = 'bytea'"
    columns += " AND column_name <> 'checksum'"  # a hash
    stored: dict[bytes, str] = {}
    for table in {"data_keys", *(each.table for each in ERASED_TABLES)} - {"job_inputs", "job_files", "upload_parts"}:
        for (column,) in await world.rows(columns, table):
            query = f"SELECT {column} FROM {table} WHERE account_id = %s AND {column} IS NOT NULL"
            stored |= {row[0]: f"{table}.{column}" for row in await world.rows(query, customer.account_id)}
    return {value: place for value, place in stored.items() if len(value) >= 28}
