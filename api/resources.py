"""The resources of a running API process. `server.py` builds and closes them; handlers use `api/deps.py`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from api.client_address import ClientAddresses
from api.session_cookie import SessionCookie
from api.statement_cursor import StatementCursor
from api.visitor_cookie import VisitorCookie
from db.engine import Database
from db.videos import Videos
from domain.catalog import Catalog
from domain.limits import Limits
from domain.shares import Lifetimes
from domain.signed_urls import SignedUrls
from domain.task_queues import Backlog
from gateway import body_budget
from gateway.account_files import AccountFiles
from gateway.body_budget import BodyBudget
from gateway.calls import Calls
from gateway.concurrent_requests import OF_ACCOUNTS, OF_EVENTS, ConcurrentRequests
from gateway.conversations import Conversations
from gateway.delivery_log import DeliveryLog
from gateway.erasure import Erasure
from gateway.fair_turns import FairTurns
from gateway.idempotency import IdempotentRequests
from gateway.job_cancellations import JobCancellations
from gateway.job_changes import JobChanges
from gateway.job_waits import JobWaits
from gateway.jobs import Jobs
from gateway.listeners import Listeners
from gateway.media_inputs import MediaInputs
from gateway.payments import Payments
from gateway.people import People
from gateway.purge_receipts import ReceiptKeys
from gateway.sessions import Sessions
from gateway.shares import Shares
from gateway.stored_content import StoredContent
from gateway.uploads import Uploads
from gateway.visitors import Visitors
from gateway.webhooks import Webhooks

MAX_OPEN = 64
"""Networks whose sign-in, sign-up or reset is worked on at a time: one request of each."""
MAX_READS = 4
"""Requests without a body of one account that are answered at a time. Half of the connections, by default."""
MAX_EVENTS = 8
"""Events above 64 KiB of one network, whose sender is not known yet, that are read at a time."""
MAX_OPEN_WAITING = 16
"""More requests of one network, that wait. One more is answered with 429."""


@dataclass(slots=True)
class Resources:
    claims: IdempotentRequests
    statement_cursor: StatementCursor
    catalog: Callable[[], Catalog]
    """Returns the current catalog, which a reload replaces."""
    database: Database
    calls: Calls
    bodies: BodyBudget
    """Of accounts: large bodies that are read, and whose calls are under way."""
    conversations: Conversations
    jobs: Jobs
    uploads: Uploads
    account_files: AccountFiles
    inputs: MediaInputs
    job_changes: JobChanges
    videos: Videos
    listeners: Listeners
    cancellations: JobCancellations
    shares: Shares
    share_lifetimes: Lifetimes
    urls: SignedUrls
    public_url: str
    ceiling: Limits
    """The operator's maximum for every key."""
    erasure: Erasure
    stored_content: StoredContent
    receipt_keys: ReceiptKeys
    sessions: Sessions
    people: People
    cookie: SessionCookie
    addresses: ClientAddresses
    visitors: Visitors
    visitor_cookie: VisitorCookie
    temporal_answers: Callable[[], Awaitable[bool]]
    backlogs: Callable[[], Awaitable[Sequence[Backlog] | None]]
    """What waits in Temporal's task queues. None while Temporal is unavailable."""
    payments: Payments
    webhooks: Webhooks
    delivery_log: DeliveryLog
    open_turns: FairTurns = field(default_factory=lambda: FairTurns(MAX_OPEN, MAX_OPEN_WAITING))
    """Turns of networks at what is open to everybody, such as sign-in."""
    job_waits: JobWaits = field(default_factory=JobWaits)
    reads: ConcurrentRequests = field(default_factory=lambda: ConcurrentRequests(MAX_READS, message=OF_ACCOUNTS))
    """Of each account, requests without a body: each takes a connection to the database."""
    large_events: ConcurrentRequests = field(
        default_factory=lambda: ConcurrentRequests(MAX_EVENTS, body_budget.TIMEOUT, OF_EVENTS)
    )
    stopping: bool = False


def path_of(job_id: UUID) -> str:
    return f"/api/media/jobs/{job_id}/"
