"""Media jobs: what is asked for, which states a job goes through, and what comes out."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from domain.errors import UpstreamError, UpstreamTimeout
from domain.plans import DEFAULT_PRIORITY, DEFAULT_SHARE
from domain.privacy import PrivacyClass
from domain.records import record


class Kind(StrEnum):
    # Each is a `Modality` of models, by the same name.
    IMAGE = "image"
    VIDEO = "video"
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"


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
    Kind.TRANSCRIPTION: timedelta(minutes=15),
    Kind.VIDEO: timedelta(minutes=60),
}
"""From acceptance to the end, whatever happens: a job past its deadline fails and its credits go back."""


_FORMER_FIELDS = ("seconds", "voice", "response_format", "speed", "seed")
_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", re.ASCII)


class MediaRequest(BaseModel):
    """What the caller asked for, as the provider gets it. Holds the prompt: sealed at rest, never in Temporal."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Kind
    model: str
    """The provider's own name of the model."""
    prompt: str = Field(repr=False)
    """The text of a speech, too. Empty for a transcription."""
    parameters: dict[str, JsonValue] = Field(default_factory=dict, repr=False)
    """Our names, which are OpenAI's where it has one: `size`, `quality`, `seed`, `seconds`, `voice` and so on.

    They are validated and have their defaults. A parameter that is not here was not given and has no default.
    """
    n: int = 1
    privacy: PrivacyClass = PrivacyClass.UNKNOWN
    """The weakest class of a provider that may make it."""

    @model_validator(mode="before")
    @classmethod
    def _with_parameters(cls, given: Any) -> Any:
        """Also read a request whose parameters are fields of their own: older jobs were sealed so."""
        if not isinstance(given, dict):
            return given
        parameters = {name: value for name in _FORMER_FIELDS if (value := given.get(name)) is not None}
        if given.get("width") and given.get("height"):
            parameters["size"] = f"{given['width']}x{given['height']}"
        return given | {"parameters": parameters | (given.get("parameters") or {})}

    @property
    def width(self) -> int | None:
        return self._sides[0]

    @property
    def height(self) -> int | None:
        return self._sides[1]

    @property
    def seconds(self) -> float | None:
        return self._number("seconds")

    @property
    def voice(self) -> str | None:
        return self.text("voice")

    @property
    def response_format(self) -> str | None:
        return self.text("response_format")

    @property
    def speed(self) -> float:
        speed = self._number("speed")
        return 1.0 if speed is None else speed

    @property
    def seed(self) -> int | None:
        seed = self.parameters.get("seed")
        return seed if isinstance(seed, int) else None

    def text(self, name: str) -> str | None:
        """Return a parameter that is a text. None also for one of another type."""
        value = self.parameters.get(name)
        return value if isinstance(value, str) else None

    def _number(self, name: str) -> float | None:
        value = self.parameters.get(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    @property
    def _sides(self) -> tuple[int | None, int | None]:
        match = _SIZE.fullmatch(self.text("size") or "")
        return (int(match[1]), int(match[2])) if match else (None, None)


@record
class MediaInput:
    """One input file of a job, read from where it is sealed."""

    role: str
    """`image`, `mask`, `audio`, `first_frame`, `last_frame` or `reference`."""
    content_type: str
    content: bytes = field(repr=False)


class Output(BaseModel):
    """One output file of a job, in our own storage."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    object_key: str = Field(repr=False)
    content_type: str
    bytes: int
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    poster: "Output | None" = None
    """A picture of a film, beside it in our storage."""

    @property
    def files(self) -> "tuple[Output, ...]":
        """The output and its poster."""
        return (self,) if self.poster is None else (self, self.poster)

    @property
    def stored_bytes(self) -> int:
        return sum(file.bytes for file in self.files)


class JobError(BaseModel):
    """Why a job ended without an output, in our own words. Never a provider's text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str
    message: str = Field(repr=False)


GIVEN_BACK = " The credits held for this job were given back."
INTERNAL_ERROR = JobError(
    code="internal_error",
    message=f"Something went wrong on our side.{GIVEN_BACK}",
)
PROVIDER_FAILED = JobError(
    code=UpstreamError.code,
    message=f"The provider failed to make this.{GIVEN_BACK}",
)
TOO_LATE = JobError(
    code=UpstreamTimeout.code,
    message=f"The provider did not make this in time.{GIVEN_BACK}",
)


class JobRoute(BaseModel):
    """Another way to make a job, while no provider has accepted it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    model: str
    """The provider's own name of the model."""
    cost: int | None = None
    """What that provider bills for the job, in billionths of a credit. None: not known."""


@record
class ProviderLimits:
    """What a provider takes of us, over all workers. None: no limit."""

    max_concurrent: int | None = None
    """Jobs that are at it, from their submission to their end."""
    requests_per_minute: int | None = None
    """Submissions."""


@record
class SubmitIntent:
    """That one attempt is about to submit a job. The next attempt takes it over: nobody else may submit then."""

    at: datetime
    """Later than that of any attempt before."""
    again: bool
    """An earlier attempt had one, so the provider may have the job."""
    unwanted: bool = False
    """The job's owner has cancelled it: nobody may submit it any more. With no earlier intent, none is recorded."""


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
    provider_model: str | None = None
    """The provider's own name of the model. None: the sealed input says it alone."""
    routes: tuple[JobRoute, ...] = ()
    """Where else it can go while nobody has accepted it, in order."""
    submit_intended_at: datetime | None = None
    """Set once a submission may have been made."""
    provider_job_id: str | None = None
    produced: tuple[Output, ...] | None = None
    """Outputs that the provider gave with its answer to the submission: there is nothing to poll and to fetch."""
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
    size: str | None = None
    seconds: float | None = None
    """Of a video, as it was ordered."""
    priority: int = DEFAULT_PRIORITY
    share: int = DEFAULT_SHARE
    """Its `Turn`, by the plan that its account had at its acceptance."""
    request_id: str | None = None
    traceparent: str | None = Field(default=None, repr=False)
    """The request that ordered it, and where exported traces have it."""

    def served(self, now: datetime) -> tuple[Output, ...]:
        """The outputs that its owner may still have."""
        expired = self.outputs_deleted_at is not None or self.expires_at is None or self.expires_at <= now
        return () if expired else self.outputs


@dataclass(frozen=True, slots=True)
class JobKey:
    """What a round of maintenance needs to choose a job by: read from columns that nothing can make unreadable."""

    id: UUID
    account_id: UUID
    kind: str
    """A `Kind`, if nothing is wrong with the row."""
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
