"""What goes into activities and workflows and comes out: ids, states, our own words. Never a prompt, never a byte.

Add optional fields only: a worker of yesterday reads what a worker of today wrote, and the other way round.
"""

from datetime import timedelta
from enum import Enum
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from domain.media import JobError, Kind, Output, State

NEWS_PERCENT = 10


class Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class JobRef(Payload):
    """The input of a media workflow."""

    job_id: UUID
    account_id: UUID | None = None


class MediaResult(Payload):
    """The result of a media workflow."""

    job_id: UUID
    state: State


class Begun(Payload):
    """What the workflow needs to know of its job."""

    state: State
    kind: Kind
    model: str
    provider: str
    deadline: AwareDatetime
    submitted: bool = False
    """An earlier run of the workflow brought it to the provider."""


class PollResult(Payload):
    """Where the work stands at the provider."""

    done: bool
    percent: int | None = None
    queued: bool = False
    """The provider has not begun with it."""

    def differs(self, other: "PollResult") -> bool:
        """Whether an operator wants to know: a little more of it is no news."""
        if self.percent is None or other.percent is None:
            return self.percent is not other.percent or self.queued is not other.queued
        return self.queued is not other.queued or abs(self.percent - other.percent) >= NEWS_PERCENT


class Accepted(Payload):
    """Which provider has the job."""

    provider: str
    outputs: tuple[Output, ...] | None = None
    """Those that came with its answer, stored already. None: it is still to be asked for them."""
    standing: PollResult | None = None
    """Where the work stands as far as is known. None: somebody has to look once."""


class Watch(Payload):
    """One look at the provider, or several within `patience`."""

    job_id: UUID
    patience: timedelta = timedelta(0)
    known: PollResult | None = None
    """What the workflow knows. The activity then completes when there is news, and is retried until there is."""


class CancelResult(Payload):
    """What became of a wish to cancel."""

    billed: bool
    """The provider had finished: its output is ours to keep and the caller's to pay."""
    goes_on: bool = False
    """The provider cannot be stopped: it will finish, and bill."""


class Copied(Payload):
    outputs: tuple[Output, ...]


class Success(Payload):
    job_id: UUID
    outputs: tuple[Output, ...]


class Ending(Payload):
    job_id: UUID
    state: State
    error: JobError | None = None


class Ended(Payload):
    """The truth about a job's end, whoever brought it about."""

    state: State


class JobCount(Payload):
    """How many jobs, or purges, a round of maintenance dealt with."""

    jobs: int


class RowCount(Payload):
    """How many holds, or rows kept beside them, a round of maintenance dealt with."""

    count: int


class Audited(Payload):
    """A clean audit."""

    accounts: int


class Maintained(Payload):
    """What a round came to. None: this part of it could not be done."""

    started: int | None = None
    closed: int | None = None
    swept: int | None = None
    forgotten: int | None = None
    recovered: int | None = None
    expired: int | None = None
    """Jobs whose outputs were deleted."""
    orphaned: int | None = None


class PurgeRef(Payload):
    purge_id: UUID


class PurgeStep(Enum):
    CUT = "cut"
    MEDIA = "media"
    ROWS = "rows"


class PurgeState(PurgeRef):
    """The input of a purge's workflow: where it begins. `after` is the last job of the page before."""

    step: PurgeStep = PurgeStep.CUT
    after: UUID | None = None

    @property
    def ref(self) -> PurgeRef:
        return PurgeRef(purge_id=self.purge_id)


class StepDone(Payload):
    done: bool


class DeletedMedia(Payload):
    after: UUID | None = None


class Purged(Payload):
    """The result of a purge's workflow."""

    purge_id: UUID


class DeliveryRef(Payload):
    """The input of a webhook's workflow."""

    delivery_id: UUID
    round: int = 0


class DeliveryStep(Payload):
    """What one attempt came to. Without a pause the delivery has ended."""

    state: str
    pause: timedelta | None = None


class DeliveryResult(Payload):
    state: str


class GrantCursor(Payload):
    """Where a batch of plans begins: after this one."""

    at: AwareDatetime
    term_id: UUID


class GrantBatch(Payload):
    """What a batch came to. `after` is None if it was the last one."""

    given: int
    after: GrantCursor | None = None


class GrantBegin(Payload):
    after: GrantCursor | None = None


class Granted(Payload):
    """How many months of plans a round gave."""

    given: int
