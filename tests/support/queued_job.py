"""A job that was accepted, and has not begun, for tests without a database."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from domain.media import Job, Kind, State


def queued_job(
    account: UUID | None = None,
    job: UUID | None = None,
    *,
    age: timedelta = timedelta(),
    kind: Kind = Kind.VIDEO,
    request_id: str | None = None,
) -> Job:
    """Ids that are not given are new. `age` is the time since its acceptance."""
    created = datetime.now(UTC) - age
    return Job(
        id=job or uuid4(),
        account_id=account or uuid4(),
        kind=kind,
        model="demo-image",
        provider="demo",
        state=State.QUEUED,
        credits_cost=1,
        created_at=created,
        deadline=created + timedelta(hours=1),
        request_id=request_id,
    )
