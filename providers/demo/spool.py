"""The demo provider's storage: one folder per submission, shared by any number of processes.

A submission is a folder with outputs and record that one rename makes visible: a process that is killed while it
renders has submitted nothing. No prompt is ever written here.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from domain.errors import UpstreamGone
from domain.media import Kind

RECORD = "record.json"
STALE = 3600
"""Seconds. A draft that is older belongs to a process that has ended."""


class Outcome(StrEnum):
    DONE = "done"
    FAILED = "failed"


class File(BaseModel):
    """One output and its metadata."""

    model_config = ConfigDict(frozen=True)

    name: str
    content_type: str
    extension: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None


class Submission(BaseModel):
    """One job of the demo provider. Its state is computed from the time."""

    model_config = ConfigDict(frozen=True)

    id: str
    reference: str
    kind: Kind
    model: str
    submitted_at: datetime
    ready_at: datetime
    outcome: Outcome
    cancelled_at: datetime | None = None
    files: tuple[File, ...] = ()


class Spool:
    def __init__(self, folder: Path) -> None:
        self._jobs = folder / "jobs"
        self._drafts = folder / "drafts"

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """Yield a folder to render into. It is deleted unless it is published."""
        for folder in (self._jobs, self._drafts):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        draft = self._drafts / uuid4().hex
        draft.mkdir()
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def publish(self, draft: Path, submission: Submission, require: Callable[[], None] = lambda: None) -> None:
        """Make the job exist, with its outputs, by one rename. `require` raises if it may not be made any more."""
        _write(draft / RECORD, submission)
        require()
        draft.rename(self._jobs / submission.id)

    def submissions(self, reference: str | None = None) -> list[Submission]:
        """Return every submission (of one reference, if given), oldest first."""
        if not self._jobs.is_dir():
            return []
        records = [_read(folder / RECORD) for folder in self._jobs.iterdir()]
        chosen = [each for each in records if reference is None or each.reference == reference]
        return sorted(chosen, key=lambda each: each.submitted_at)

    @contextmanager
    def opened(self, job_id: str, *, exclusive: bool = False) -> Iterator[Submission]:
        """Yield the job under a lock between processes, so that all of them see the same state."""
        # Only ids that this module made are looked up: a path is not one.
        if not job_id.isalnum() or not (self._jobs / job_id / RECORD).is_file():
            raise UpstreamGone
        folder = os.open(self._jobs / job_id, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            yield _read(self._jobs / job_id / RECORD)
        finally:
            os.close(folder)

    def rewrite(self, submission: Submission) -> None:
        _write(self._jobs / submission.id / RECORD, submission)

    def path(self, submission: Submission, file: File) -> Path:
        return self._jobs / submission.id / file.name

    def discard(self, submission: Submission) -> None:
        for file in submission.files:
            self.path(submission, file).unlink(missing_ok=True)

    def _sweep(self) -> None:
        for left in self._drafts.iterdir():
            try:
                stale = left.stat().st_mtime < time.time() - STALE
            except FileNotFoundError:  # its owner has just finished
                continue
            if stale:
                shutil.rmtree(left, ignore_errors=True)


def _read(path: Path) -> Submission:
    return Submission.model_validate_json(path.read_bytes())


def _write(path: Path, submission: Submission) -> None:
    """Write the record atomically, also for processes that read at this moment."""
    draft = path.with_name(f"{uuid4().hex}.draft")
    draft.write_text(submission.model_dump_json())
    draft.replace(path)
