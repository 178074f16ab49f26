"""What activities need of the database, as Protocols: importing an activity for its type pulls in no database."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.media import Job, JobError, MediaInput, MediaRequest, Output, Phase, State, SubmitIntent


class Maintaining(Protocol):
    """What nobody else does for a job: `gateway.maintenance`. Each returns how many jobs it dealt with."""

    async def start_orphans(self) -> int: ...

    async def start_deliveries(self) -> int: ...

    async def recover(self) -> int: ...

    async def reconcile(self) -> int: ...


class DeletingOutputs(Protocol):
    """Storage without what nobody needs: `gateway.stored_outputs`. Each returns how many jobs' objects it deleted."""

    async def delete_expired(self) -> int: ...

    async def delete_orphans(self) -> int: ...


class DeletedPage(Protocol):
    """A page of jobs whose objects and histories are gone."""

    @property
    def after(self) -> UUID | None:
        """Where the next page begins. None: there is none."""


class Erasing(Protocol):
    """The steps of a purge: `gateway.erasure_steps`."""

    async def cut(self, purge_id: UUID) -> int:
        """End what runs. Return how many calls and jobs are still open."""

    async def survey(self, purge_id: UUID) -> None: ...

    async def shred(self, purge_id: UUID) -> None: ...

    async def delete_media(self, purge_id: UUID, after: UUID | None) -> DeletedPage: ...

    async def media_left(self, purge_id: UUID) -> int: ...

    async def delete_rows(self, purge_id: UUID) -> bool:
        """True when none is left; so is the next."""

    async def roll_up(self, purge_id: UUID) -> bool: ...

    async def conclude(self, purge_id: UUID) -> bool:
        """False when something is left."""


class Sweeping(Protocol):
    async def sweep(self) -> int:
        """Settle or release holds whose lease has run out. How many ended; 0 when none is left that can be.

        Safe from many processes at once; so is the next.
        """


class Pruning(Protocol):
    async def forget(self) -> int:
        """Delete some of what is older than it is kept. How many rows."""


class GrantedBatch(Protocol):
    @property
    def given(self) -> int: ...
    @property
    def after(self) -> tuple[datetime, UUID] | None: ...


class GivingPlans(Protocol):
    """The monthly credits of plans: `gateway.plans`. Safe to do twice, and from many processes at once."""

    async def give(self, after: tuple[datetime, UUID] | None) -> GrantedBatch:
        """Give what is due to one batch of accounts; `after` says where the next one begins."""

    async def collect(self) -> int:
        """Take what accounts owe of payments that went back, as far as they have it. How many accounts paid."""


class AttemptStep(Protocol):
    @property
    def state(self) -> str: ...
    @property
    def pause(self) -> timedelta | None: ...


class Delivering(Protocol):
    """Deliveries of webhooks: `gateway.deliveries`."""

    async def attempt(self, delivery_id: UUID, round_: int, /) -> AttemptStep:
        """Make the next attempt, if it is due. Safe to do twice, and late."""


class Inputs(Protocol):
    """The input files of media jobs."""

    async def of(self, job_id: UUID) -> tuple[MediaInput, ...]:
        """Return them unsealed, in their order. None once the job has ended."""


class Jobs(Protocol):
    """Media jobs in Postgres. Every method is one transaction, safe to do twice and safe to do late."""

    async def load(self, job_id: UUID) -> Job:
        """Raises `NotFound`."""

    async def owned(self, account_id: UUID, job_id: UUID) -> Job:
        """As its account sees it. Raises `NotFound` also for a job that a purge of the account erases."""

    async def request(self, job_id: UUID) -> MediaRequest:
        """The unsealed input. Raises `NotFound` once the job has ended and its input is gone."""

    async def begin(self, job_id: UUID) -> Job:
        """`queued` becomes `running`; any other state stays as it is and is returned."""

    async def intend_submit(self, job: Job) -> SubmitIntent:
        """Record that this attempt is about to submit, in place of an earlier one that was. Look whether it may.

        Raises `UpstreamBusy`, with a pause, while the provider's limits leave no place: then nothing is recorded.
        Raises `NotFound` for a job that has ended since it was loaded, and `ServiceUnavailable` for one that has
        another provider by now: nobody may submit those.
        """

    async def require_intent(self, job_id: UUID, intent: SubmitIntent) -> None:
        """Raises `ServiceUnavailable` if another attempt has taken it over."""

    async def change_route(self, job_id: UUID, provider: str, *, again: bool) -> Job:
        """The job's provider certainly did not accept it, and the intent is taken back: give it the next route.

        With `again` the route so far becomes the last one. Nothing changes if there is no other route, the job has a
        provider's id, or another provider by now. Raises `ServiceUnavailable` while another attempt has an intent.
        """

    async def forget_submit(self, job: Job, intent: SubmitIntent) -> None:
        """The provider certainly did not accept: take the intent back.

        Not if its id is recorded after all, nor if another attempt has an intent by now.
        """

    async def record_submitted(self, job: Job, provider_job_id: str, produced: Sequence[Output] | None = None) -> str:
        """Record the provider's id, and the outputs if they came with it. The first id wins and is returned.

        So it is another one if the job has gone to another provider than `job.provider`.
        """

    async def record_progress(self, job_id: UUID, percent: int | None, phase: Phase) -> None:
        """Record how far a running job is. Neither its percentage nor the phase `copying` goes back."""

    async def succeed(self, job_id: UUID, outputs: Sequence[Output]) -> Job:
        """Capture the held price and make the job `succeeded`, in one transaction.

        A job that has ended otherwise in the meantime is returned as it is: look at its state.
        """

    async def end(self, job_id: UUID, state: State, error: JobError | None) -> Job:
        """Release the held price and make the job `failed` or `cancelled`, in one transaction.

        A job that has already ended is returned as it is.
        """
