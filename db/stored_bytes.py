"""How much an account stores: the live outputs of its jobs, and its uploads."""

from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import StorageFull
from domain.records import record

# The clock of the database decides. Outputs that are not served any more do not count: their deletion is our affair.
SUMS = """
(SELECT coalesce(sum(output_bytes), 0) FROM media_jobs
 WHERE account_id = :account AND state = 'succeeded' AND outputs_deleted_at IS NULL AND expires_at > now()),
(SELECT coalesce(sum(bytes), 0) FROM uploads WHERE account_id = :account AND expires_at > now())
"""
"""The two columns of a `StoredBytes`."""
_STORED = text(f"SELECT {SUMS}")  # of our own


@record
class StoredBytes:
    outputs: int
    uploads: int

    @property
    def total(self) -> int:
        return self.outputs + self.uploads

    def require_room(self, max_bytes: int | None) -> None:
        """Raises `StorageFull` if there is no byte left for another file."""
        if max_bytes is not None and self.total >= max_bytes:
            raise self._full(max_bytes)

    def require_within(self, max_bytes: int | None) -> None:
        """Raises `StorageFull` if the files, of which the last was added just now, are too large together."""
        if max_bytes is not None and self.total > max_bytes:
            raise self._full(max_bytes)

    def _full(self, max_bytes: int) -> StorageFull:
        return StorageFull(
            f"The files of this account have {self.total:,} bytes of {max_bytes:,}. Delete outputs (DELETE "
            "/api/media/jobs/<uuid>/outputs/) or uploads (DELETE /api/media/uploads/<id>/), or wait until some expire."
        )


async def of(session: AsyncSession, account_id: UUID) -> StoredBytes:
    outputs, uploads = (await (await session.connection()).execute(_STORED, {"account": account_id})).one()
    return StoredBytes(int(outputs), int(uploads))
