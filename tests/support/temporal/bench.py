"""One running job and the activities to try on it, without any server."""

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.media import Files, Limits, MediaActivities
from activities.payloads import JobRef
from activities.submissions import Providers
from domain.media import Job, Kind, State
from tests.support.temporal.fakes import QUICK, Fakes, sniff
from workflows.media import REVISION


class Bench:
    def __init__(self, *, kind: Kind = Kind.IMAGE, limits: Limits = QUICK) -> None:
        self.fakes = Fakes()
        self.script, self.provider = self.fakes.script, self.fakes.provider
        self.ref = JobRef(job_id=self.fakes.accepted(kind=kind).id, revision=REVISION)
        self.fakes.jobs.update(self.ref.job_id, state=State.RUNNING)
        self.work = f"work-of-{self.ref.job_id}"
        self._files, self._limits = Files(self.fakes.storage, sniff, self.fakes.inputs), limits
        self.provide(lambda *_: self.provider)
        self.environment = ActivityEnvironment()
        self.attempt(1)

    @property
    def before(self) -> JobRef:
        """The job as a workflow of an earlier build names it."""
        return self.ref.model_copy(update={"revision": 0})

    @property
    def job(self) -> Job:
        return self.fakes.job(self.ref.job_id)

    def provide(self, providers: Providers) -> None:
        """Give the activities other providers than the one."""
        self.does = MediaActivities(self.fakes.jobs, providers, self._files, self._limits)

    def attempt(self, number: int, *noted: str) -> None:
        self.environment.info = dataclasses.replace(
            self.environment.info,
            attempt=number,
            heartbeat_timeout=timedelta(seconds=15),
            heartbeat_details=list(noted),
        )

    def scheduled(self, ago: timedelta) -> None:
        """Have an attempt that comes so long after the first was scheduled."""
        info = self.environment.info
        since = info.current_attempt_scheduled_time - ago
        self.environment.info = dataclasses.replace(info, scheduled_time=since)

    async def run(self, activity: Callable[..., Any], payload: object = None) -> Any:
        return await self.environment.run(activity, payload or self.ref)

    def begin(self, activity: Callable[..., Any]) -> asyncio.Task[Any]:
        return asyncio.create_task(self.run(activity))

    async def fails(self, activity: Callable[..., Any], payload: object = None) -> ApplicationError:
        with pytest.raises(ApplicationError) as failure:
            await self.run(activity, payload)
        return failure.value

    def submitted(self) -> None:
        self.provider.submitted.append(str(self.ref.job_id))
        self.fakes.jobs.update(self.ref.job_id, provider_job_id=self.work)
