"""The tables of media jobs and of their outputs in storage."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from db import tables  # noqa: F401  # media jobs refer to accounts
from db.columns import cost, epoch, money, now, owner, text_column, time

OWN_OUTPUTS = """
NOT jsonb_path_exists(outputs, '$.**.object_key ? (!(@ starts with $folder))', jsonb_build_object(
    'folder', replace(account_id::text, '-', '') || '/' || replace(id::text, '-', '') || '/'))
""".strip()
"""A check that all outputs of a job are in the folder of its account and its id."""

OWN_PRODUCED = OWN_OUTPUTS.replace("outputs", "produced", 1)


class MediaJobRow(SQLModel, table=True):
    """A media job. Its id is also the id of its hold. The prompt is not here: see `job_inputs`."""

    __tablename__ = "media_jobs"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="state"),
        CheckConstraint("phase IN ('waiting', 'running', 'copying')", name="phase"),
        Index(None, "account_id", "created_at", "id"),
        Index("ix_media_jobs_unfinished", "created_at", postgresql_where=text("state IN ('queued', 'running')")),
        # Jobs with something to delete from storage: outputs that expire, and files of a job without outputs.
        Index(
            "ix_media_jobs_expiring",
            "expires_at",
            postgresql_where=text("outputs_deleted_at IS NULL AND state = 'succeeded'"),
        ),
        Index(
            "ix_media_jobs_leftover",
            "finished_at",
            postgresql_where=text(
                "outputs_deleted_at IS NULL AND state IN ('failed', 'cancelled') AND submit_intended_at IS NOT NULL"
            ),
        ),
        Index(
            "ix_media_jobs_to_cancel",
            "cancel_requested_at",
            postgresql_where=text("state IN ('queued', 'running') AND cancel_requested_at IS NOT NULL"),
        ),
        # What an account stores: a sum over the outputs that are there.
        Index(
            "ix_media_jobs_stored",
            "account_id",
            postgresql_include=["expires_at", "output_bytes"],
            postgresql_where=text("outputs_deleted_at IS NULL AND state = 'succeeded'"),
        ),
        CheckConstraint(OWN_OUTPUTS, name="own_outputs"),
        CheckConstraint(OWN_PRODUCED, name="own_produced"),
        CheckConstraint("outputs_ordered >= 1", name="outputs_ordered"),
        # What a provider's limits count: jobs at it, and those that were sent to it in the last minute.
        Index(
            "ix_media_jobs_at_provider",
            "provider",
            "account_id",
            postgresql_where=text("state = 'running' AND submit_intended_at IS NOT NULL"),
        ),
        Index(
            "ix_media_jobs_waiting",
            "provider",
            "account_id",
            postgresql_where=text("state = 'running' AND submit_intended_at IS NULL AND slot_wanted_at IS NOT NULL"),
        ),
        Index("ix_media_jobs_sent", "provider", "submit_intended_at"),
    )
    id: UUID = Field(primary_key=True)
    account_id: UUID = Field(foreign_key="accounts.id")
    kind: str = Field(sa_column=text_column())
    model: str = Field(sa_column=text_column())
    provider: str = Field(sa_column=text_column())
    state: str = Field(sa_column=text_column())
    progress: int | None = Field(default=None, sa_column=Column(SmallInteger, nullable=True))
    credits_cost: int = Field(sa_column=money())
    credits_refunded: int = Field(default=0, sa_column=money(0))
    submit_intended_at: datetime | None = Field(default=None, sa_column=time())
    provider_job_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    produced: list[dict[str, Any]] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True), repr=False
    )
    """Outputs that came with the provider's answer to the submission. Recorded together with its id."""
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True))
    outputs: list[dict[str, Any]] = Field(
        default_factory=list, sa_column=Column(JSONB, nullable=False, server_default=text("'[]'::jsonb")), repr=False
    )
    created_at: datetime | None = Field(default=None, sa_column=now())
    started_at: datetime | None = Field(default=None, sa_column=time())
    finished_at: datetime | None = Field(default=None, sa_column=time())
    deadline: datetime = Field(sa_column=time(nullable=False))
    expires_at: datetime | None = Field(default=None, sa_column=time())
    outputs_ordered: int = Field(default=1, sa_column=Column(SmallInteger, nullable=False, server_default=text("1")))
    """With fewer outputs, only those are charged."""
    provider_model: str | None = Field(default=None, sa_column=text_column(nullable=True))
    """The provider's name of the model, once the job has another route than the one in its sealed input."""
    routes: list[dict[str, Any]] = Field(
        default_factory=list, sa_column=Column(JSONB, nullable=False, server_default=text("'[]'::jsonb"))
    )
    """Where else the job can go while nobody has accepted it, in order."""
    priority: int = Field(default=3, sa_column=Column(SmallInteger, nullable=False, server_default=text("3")))
    share: int = Field(default=1, sa_column=Column(SmallInteger, nullable=False, server_default=text("1")))
    """How it stands in the queues of workers, by the plan of its account when it was accepted."""
    slot_wanted_at: datetime | None = Field(default=None, sa_column=time())
    """When the job last waited for its provider's limits."""
    provider_cost: Decimal | None = Field(default=None, sa_column=cost())
    outputs_deleted_at: datetime | None = Field(default=None, sa_column=time())
    """When the last of the job's files was deleted from storage. Until then its row is kept."""
    epoch: int = Field(default=1, sa_column=epoch())
    outputs_retry_at: datetime | None = Field(default=None, sa_column=time())
    """When to try again after files could not be deleted."""
    output_bytes: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    """Of its outputs and their posters."""
    request_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    """The request that ordered it. Null: a process of a release before this column accepted it."""
    traceparent: str | None = Field(default=None, sa_column=text_column(nullable=True), repr=False)
    """Where exported traces have that request."""
    phase: str | None = Field(default=None, sa_column=text_column(nullable=True))
    """What is done for a running job: see `domain.media.Phase`."""
    cancel_requested_at: datetime | None = Field(default=None, sa_column=time())
    cancel_sent_at: datetime | None = Field(default=None, sa_column=time())
    """When its workflow last learned of the wish to cancel it."""
    size: str | None = Field(default=None, sa_column=text_column(nullable=True))
    seconds: float | None = Field(default=None, sa_column=Column(Double, nullable=True))
    """Of a video, as it was ordered."""
    deleted_at: datetime | None = Field(default=None, sa_column=time())
    """When its owner deleted a video: it is not listed any more."""


class StorageScanRow(SQLModel, table=True):
    """How far the search for objects without a row has come. The table has one row."""

    __tablename__ = "storage_scans"
    __table_args__ = (CheckConstraint("id = 1", name="one"),)
    id: int = Field(default=1, sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    position: str = Field(default="", sa_column=text_column(default=""), repr=False)
    """The last object key that was checked; empty between two searches."""
    finished_at: datetime | None = Field(default=None, sa_column=time())


class WorkerFaultRow(SQLModel, table=True):
    """A fault that workers meet at present. All of its texts are ours; the place is named as in the log."""

    __tablename__ = "worker_faults"
    what: str = Field(sa_column=Column(Text, primary_key=True))
    place: str = Field(sa_column=Column(Text, primary_key=True))
    remedy: str = Field(sa_column=text_column())
    seen_at: datetime = Field(sa_column=now())


class JobInputRow(SQLModel, table=True):
    """The input of a job, encrypted with its account's key. It is deleted when the job ends."""

    __tablename__ = "job_inputs"
    job_id: UUID = Field(sa_column=Column(ForeignKey("media_jobs.id", ondelete="CASCADE"), primary_key=True))
    epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    account_id: UUID | None = Field(default=None, sa_column=owner())
