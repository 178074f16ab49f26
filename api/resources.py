"""The resources of a running API process. `server.py` builds and closes them; handlers use `api/deps.py`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from api.statement_cursor import StatementCursor
from db.engine import Database
from domain.catalog import Catalog
from domain.limits import Limits
from domain.signed_urls import SignedUrls
from gateway.calls import Calls
from gateway.conversations import Conversations
from gateway.idempotency import IdempotentRequests
from gateway.jobs import Jobs


@dataclass(slots=True)
class Resources:
    claims: IdempotentRequests
    statement_cursor: StatementCursor
    catalog: Callable[[], Catalog]
    """Returns the current catalog, which a reload replaces."""
    database: Database
    calls: Calls
    conversations: Conversations
    jobs: Jobs
    urls: SignedUrls
    public_url: str
    ceiling: Limits
    """The operator's maximum for every key."""
    temporal_answers: Callable[[], Awaitable[bool]]
    stopping: bool = False


def path_of(job_id: UUID) -> str:
    return f"/api/media/jobs/{job_id}/"
