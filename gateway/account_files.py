"""What an account stores here: how much of it, and the early end of a job's outputs."""

from dataclasses import dataclass
from uuid import UUID

from db import stored_bytes
from db.engine import Database
from db.stored_bytes import StoredBytes
from db.stored_outputs import StoredOutputs
from domain.errors import RequestInvalid
from domain.media import Job


@dataclass(frozen=True, slots=True)
class AccountFiles:
    database: Database
    max_bytes: int | None
    """Of all files of an account. None: no limit."""
    max_upload_bytes: int
    """Of its uploads."""

    async def stored(self, account_id: UUID) -> StoredBytes:
        async with self.database.reading() as session:
            return await stored_bytes.of(session, account_id)

    async def expire(self, job: Job) -> None:
        """End the outputs of an ended job: at once for whoever has a link, and soon in storage. Idempotent."""
        if not job.state.terminal:
            raise RequestInvalid("This job has not ended: it has no outputs yet. Cancel it, or wait for its end.")
        await StoredOutputs(self.database).expire(job.account_id, job.id)
