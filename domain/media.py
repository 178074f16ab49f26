"""Media jobs: what is asked for, which states a job goes through, and what comes out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from domain.privacy import PrivacyClass


class Kind(StrEnum):
    IMAGE = "image"
    VIDEO = "video"
    SPEECH = "speech"


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELLED)


class Phase(StrEnum):
    """What is done for a running job."""

    WAITING = "waiting"
    """In the queue of the provider."""
    RUNNING = "running"
    """The provider makes it."""
    COPYING = "copying"
    """The outputs are copied into our storage."""


DEADLINES = {
    Kind.IMAGE: timedelta(minutes=15),
    Kind.SPEECH: timedelta(minutes=15),
    Kind.VIDEO: timedelta(minutes=60),
}
"""From acceptance to the end, whatever happens: a job past its deadline fails and its credits go back."""


class MediaRequest(BaseModel):
    """What the caller asked for, as the provider gets it. Holds the prompt: sealed at rest, never in Temporal."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Kind
    model: str
    """The provider's own name of the model."""
    prompt: str = Field(repr=False)
    width: int | None = None
    height: int | None = None
    n: int = 1
    seconds: float | None = None
    voice: str | None = None
    response_format: str | None = None
    speed: float = 1.0
    seed: int | None = None
    image: str | None = Field(default=None, repr=False)
    privacy: PrivacyClass = PrivacyClass.UNKNOWN
    """The weakest class of a provider that may make it."""


class Output(BaseModel):
    """One output file of a job, in our own storage."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    object_key: str = Field(repr=False)
    content_type: str
    bytes: int
    width: int | None = None
    height: int | None = None
    duration: float | None = None


class JobError(BaseModel):
    """Why a job ended without an output, in our own words. Never a provider's text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str
    message: str = Field(repr=False)


INTERNAL_ERROR = JobError(
    code="internal_error",
    message="Something went wrong on our side. The credits held for this job were given back.",
)


class Job(BaseModel):
    """A job as Postgres knows it. No prompt in here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: UUID
    account_id: UUID
    kind: Kind
    model: str
    """The name the client asked for."""
    provider: str
    state: State
    progress: int | None = None
    """Percent, where the provider tells it."""
    phase: Phase | None = None
    """Of a running job. None: not at the provider yet."""
    credits_cost: int
    credits_refunded: int = 0
    provider_job_id: str | None = None
    error: JobError | None = None
    outputs: tuple[Output, ...] = ()
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    deadline: datetime
    expires_at: datetime | None = None
    """From then on its outputs are served no more, and deleted."""
    outputs_deleted_at: datetime | None = None
    cancel_requested_at: datetime | None = None

    def served(self, now: datetime) -> tuple[Output, ...]:
        """The outputs that its owner may still have."""
        expired = self.outputs_deleted_at is not None or self.expires_at is None or self.expires_at <= now
        return () if expired else self.outputs


@dataclass(frozen=True, slots=True)
class JobKey:
    """What a round of maintenance needs to choose a job by: read from columns that nothing can make unreadable."""

    id: UUID
    account_id: UUID
    deadline: datetime


ALLOWED: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.FAILED, State.CANCELLED}),
    State.RUNNING: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


COPY_GRACE = timedelta(minutes=15)
"""A late attempt to copy may still write for so long after its job has ended otherwise."""


def may_become(now: State, then: State) -> bool:
    """Terminal states never change."""
    return then in ALLOWED[now]


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """Where the outputs of one job lie, and nothing else."""

    account_id: UUID
    job_id: UUID

    @classmethod
    def of(cls, object_key: str) -> Self | None:
        """None for a key that is none of ours."""
        account, _, rest = object_key.partition("/")
        try:
            folder = cls(UUID(hex=account), UUID(hex=rest.partition("/")[0]))
        except ValueError:
            return None
        return folder if object_key.startswith(f"{folder.prefix}/") else None

    @property
    def prefix(self) -> str:
        return f"{self.account_id.hex}/{self.job_id.hex}"


def object_key(account_id: UUID, job_id: UUID, index: int, extension: str) -> str:
    """Where an output lies: derived, so that copying twice writes one object. No user text in it."""
    return f"{OutputFolder(account_id, job_id).prefix}/{index}.{extension}"
