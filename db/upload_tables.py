"""The tables of files that callers send: uploads, and the input files of jobs. Their content is sealed, in parts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Float, ForeignKey, Index, Integer, LargeBinary, SmallInteger
from sqlmodel import Field, SQLModel

from db import media_tables  # noqa: F401  # files refer to jobs
from db.columns import epoch, owner, text_column, time


class UploadRow(SQLModel, table=True):
    """A file that waits for a job. Its owner's name for it is not here."""

    __tablename__ = "uploads"
    __table_args__ = (
        CheckConstraint("bytes > 0", name="bytes"),
        CheckConstraint("expires_at > created_at", name="expires_at"),
        Index(None, "account_id", "id"),
        Index("ix_uploads_expires_at", "expires_at"),
    )
    id: UUID = Field(primary_key=True)
    account_id: UUID = Field(foreign_key="accounts.id")
    epoch: int = Field(sa_column=epoch())
    content_type: str = Field(sa_column=text_column())
    bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    width: int | None = Field(default=None, sa_column=Column(Integer, nullable=True))
    height: int | None = Field(default=None, sa_column=Column(Integer, nullable=True))
    seconds: float | None = Field(default=None, sa_column=Column(Float, nullable=True))
    created_at: datetime = Field(sa_column=time(nullable=False))
    expires_at: datetime = Field(sa_column=time(nullable=False))


class UploadPartRow(SQLModel, table=True):
    """A part of an upload, encrypted with its account's key."""

    __tablename__ = "upload_parts"
    upload_id: UUID = Field(sa_column=Column(ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True))
    part: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    epoch: int = Field(sa_column=epoch())
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    account_id: UUID | None = Field(default=None, sa_column=owner())


class JobFileRow(SQLModel, table=True):
    """A part of an input file of a job, encrypted with its account's key. It is deleted when the job ends."""

    __tablename__ = "job_files"
    # Its job is written after it, in the same transaction: the files first, so that the account is not locked for long.
    job_id: UUID = Field(
        sa_column=Column(
            ForeignKey("media_jobs.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"), primary_key=True
        )
    )
    file: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    part: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    role: str = Field(sa_column=text_column())
    content_type: str = Field(sa_column=text_column())
    epoch: int = Field(sa_column=epoch())
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    account_id: UUID | None = Field(default=None, sa_column=owner())
