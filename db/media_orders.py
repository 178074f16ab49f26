"""What is stored of an order of a media job: what the ledger holds for it, and its row."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from db import media_routes
from db.media_tables import MediaJobRow
from domain.caller import Payer
from domain.current_request import REQUEST_ID, TRACEPARENT
from domain.errors import GatewayError
from domain.key_rules import KeyRules
from domain.limits import NO_LIMITS, Limits
from domain.media import DEADLINES, JobRoute, Kind, MediaInput, MediaRequest, State
from domain.operations import IdempotencyClaim, Reserve
from domain.plans import Turn
from domain.pricing import FlatTerms
from domain.results import Reserved


@dataclass(frozen=True, slots=True)
class Order:
    """A job to be accepted: it has a price, and nothing is held for it yet."""

    job_id: UUID
    payer: Payer
    kind: Kind
    model: str
    provider: str
    price: FlatTerms
    request: MediaRequest
    pro_only: bool = False
    ceiling: Limits = NO_LIMITS
    claim: IdempotencyClaim | None = None
    admitted: bool = False
    cost: int | None = None
    """What the provider bills for the job, in billionths of a credit, or None if that is unknown."""
    routes: tuple[JobRoute, ...] = ()
    """Where else it may go, in order, until a provider has accepted it."""
    deadline: timedelta | None = None
    """From its acceptance to its end. None: what its kind has."""
    unroutable: Callable[[KeyRules], GatewayError | None] | None = None
    """As in `Reserve`."""
    webhook_url: str | None = field(default=None, repr=False)
    """Who is told its end, beside the account's endpoints."""
    files: tuple[MediaInput, ...] = field(default=(), repr=False)
    """The input files. Their caller is known by its account, too."""
    recorded_seconds: float | None = None

    def reserve(self) -> Reserve:
        return Reserve(
            hold_id=self.job_id,
            scope="media",
            kind=self.kind,
            model=self.model,
            terms=self.price,
            digest=self.payer.digest,
            account_id=None if self.payer.digest else self.payer.account_id,
            lease=None,
            pro_only=self.pro_only,
            ceiling=self.ceiling,
            claim=self.claim,
            admitted=self.admitted,
            unroutable=self.unroutable,
        )

    def row(self, reserved: Reserved, turn: Turn) -> MediaJobRow:
        """The queued job, accepted now."""
        now = datetime.now(UTC)
        return MediaJobRow(
            id=self.job_id,
            account_id=reserved.account_id,
            kind=self.kind,
            model=self.model,
            provider=self.provider,
            state=State.QUEUED,
            credits_cost=reserved.amount,
            provider_model=self.request.model,
            provider_cost=media_routes.decimal(self.cost),
            routes=media_routes.plain(self.routes),
            created_at=now,
            deadline=now + (self.deadline or DEADLINES[self.kind]),
            outputs_ordered=self.request.n,
            epoch=reserved.epoch,
            priority=turn.priority,
            share=turn.share,
            request_id=REQUEST_ID.get(),
            traceparent=TRACEPARENT.get(),
            size=self.request.text("size") if self.kind is Kind.VIDEO else None,
            seconds=self.request.seconds if self.kind is Kind.VIDEO else self.recorded_seconds,
        )
