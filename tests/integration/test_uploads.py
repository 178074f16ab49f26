"""Uploads at rest: sealed in parts, each at its place alone; and the space that an account has for them."""

import asyncio

import psycopg
import pytest

from db import uploads as stored
from db.data_keys import Sealing
from db.engine import Database
from db.writer import LedgerWriter
from domain.errors import NotFound, StorageFull
from domain.media_files import FileFacts, MediaFile
from domain.sealing import SealBroken
from gateway.uploads import UploadRules, Uploads
from tests.support.bank import WRAPPING, Customer, open_account

FACTS = FileFacts("audio/mpeg", seconds=1.5)
SECRET = b"the-secret-of-this-recording"
LARGE = SECRET * 80_000


@pytest.fixture
def uploads(database: Database) -> Uploads:
    return Uploads(database, Sealing(WRAPPING), UploadRules(max_bytes=4_000_000))


@pytest.fixture
async def customer(database: Database, ledger: LedgerWriter) -> Customer:
    return await open_account(database, ledger, 0)


def file(content: bytes) -> MediaFile:
    return MediaFile(FACTS, content)


async def test_what_is_sealed_in_parts_is_read_again(uploads: Uploads, customer: Customer, database_url: str) -> None:
    upload = await uploads.create(customer.account_id, file(LARGE))
    assert await uploads.read(customer.account_id, upload.name) == file(LARGE)
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT sealed, u::text FROM upload_parts JOIN uploads u ON u.id = upload_id")
        parts = rows.fetchall()
    assert len(parts) == 3
    assert not any(SECRET[:8] in sealed or SECRET.decode() in text for sealed, text in parts)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM upload_parts WHERE part = 2",
        "DELETE FROM upload_parts WHERE part = 1",
        "UPDATE upload_parts SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE part = 1",
        "UPDATE upload_parts SET part = CASE part WHEN 0 THEN 10 ELSE 9 END WHERE part < 2",
    ],
    ids=["last one gone", "one gone", "changed", "in another order"],
)
async def test_parts_that_were_changed_do_not_open(
    uploads: Uploads, customer: Customer, database_url: str, change: str
) -> None:
    upload = await uploads.create(customer.account_id, file(LARGE))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(change.encode())
    with pytest.raises(SealBroken):
        await uploads.read(customer.account_id, upload.name)


async def test_the_space_of_an_account_is_exact_under_parallel_uploads(uploads: Uploads, customer: Customer) -> None:
    content = file(b"x" * 900_000)
    results = await asyncio.gather(
        *(uploads.create(customer.account_id, content) for _ in range(10)), return_exceptions=True
    )
    full = [error for error in results if isinstance(error, StorageFull)]
    assert len(full) == 6
    assert "DELETE /api/media/uploads/" in str(full[0])
    page = await uploads.listed(customer.account_id, None, 100)
    assert [upload.bytes for upload in page.data] == [900_000] * 4
    await uploads.delete(customer.account_id, page.data[0].name)
    assert (await uploads.create(customer.account_id, content)).bytes == 900_000


async def test_an_expired_upload_is_as_none_and_is_deleted(
    uploads: Uploads, customer: Customer, database: Database, database_url: str
) -> None:
    upload, other = [await uploads.create(customer.account_id, file(b"x")) for _ in range(2)]
    with psycopg.connect(database_url, autocommit=True) as connection:
        change = "UPDATE uploads SET created_at = now() - interval '2 h', expires_at = now() WHERE id = %s"
        connection.execute(change, [upload.id])
        for ask in (uploads.find, uploads.read, uploads.delete):
            with pytest.raises(NotFound):
                await ask(customer.account_id, upload.name)
        assert [await stored.delete_expired(database), await stored.delete_expired(database)] == [1, 0]
        left = connection.execute("SELECT upload_id FROM upload_parts").fetchall()
    assert left == [(other.id,)]


async def test_an_upload_of_before_a_purge_is_not_found(
    uploads: Uploads, customer: Customer, database_url: str
) -> None:
    upload = await uploads.create(customer.account_id, file(b"x"))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE accounts SET epoch = epoch + 1 WHERE id = %s", [customer.account_id])
    with pytest.raises(NotFound):
        await uploads.find(customer.account_id, upload.name)
    assert (await uploads.listed(customer.account_id, None, 9)).data == []
