"""Run by the failpoint tests: `submit` and `copy` of one job, in one child process per failpoint that it is given.

Writes, as JSON, how each child ended and which steps it had reached.
"""

import asyncio
import dataclasses
import json
import os
import sys

from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.media import Files, MediaActivities
from activities.payloads import JobRef
from domain.media import State
from temporal.failpoints import Failpoints
from tests.support.temporal.fakes import QUICK, Fakes
from tests.support.temporal.fleet import parts_of
from tests.support.temporal.script import Script
from worker import with_failpoint


class Telling(Script):
    def __init__(self, pipe: int) -> None:
        super().__init__()
        self._pipe = pipe

    async def at(self, step: str) -> None:
        os.write(self._pipe, f"{step}\n".encode())


class _Innermost(ActivityInboundInterceptor):
    def __init__(self) -> None:
        pass

    async def execute_activity(self, input: ExecuteActivityInput) -> object:
        return await input.fn(*input.args)


async def submit_and_copy(failpoint: str, script: Script) -> None:
    fakes = Fakes(script)
    ref = JobRef(job_id=fakes.accepted().id)
    fakes.jobs.update(ref.job_id, state=State.RUNNING)
    parts = with_failpoint(parts_of(fakes), failpoint)
    media = MediaActivities(parts.jobs, parts.providers, Files(parts.storage, parts.sniff, parts.inputs), QUICK)
    interceptor = Failpoints(failpoint).intercept_activity(_Innermost())
    for activity in (media.submit, media.copy):
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(environment.info, activity_type=activity.__name__)
        call = ExecuteActivityInput(fn=activity, args=[ref], executor=None, headers={})
        await environment.run(interceptor.execute_activity, call)


def fate(failpoint: str) -> tuple[int, list[str]]:
    read_end, tell = os.pipe()
    child = os.fork()
    if child == 0:
        asyncio.run(submit_and_copy(failpoint, Telling(tell)))
        os._exit(0)
    os.close(tell)
    with os.fdopen(read_end) as steps:
        reached = steps.read().split()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), reached


if __name__ == "__main__":
    sys.stdout.write(json.dumps({failpoint: fate(failpoint) for failpoint in sys.argv[1:]}))
