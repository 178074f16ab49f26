"""Kills a worker at a chosen moment, for fault tests. Does nothing unless a failpoint is set.

A failpoint is `<activity>:before`, `<activity>:after` (done and committed, not yet reported), `submit:between` (the
provider has accepted, its id is not recorded) or `copy:between` (one file is in storage, the activity continues).
"""

import os
import signal
from typing import Any, TypeVar, cast

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

T = TypeVar("T")

SUBMIT_BETWEEN = "submit:between"
COPY_BETWEEN = "copy:between"


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Failpoints(Interceptor):
    """Kills this process right before or right after the named activity."""

    def __init__(self, failpoint: str) -> None:
        self._failpoint = failpoint

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _AtActivity(next, self._failpoint)


class _AtActivity(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, failpoint: str) -> None:
        super().__init__(following)
        self._failpoint = failpoint

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name = activity.info().activity_type
        if self._failpoint == f"{name}:before":
            _die()
        result = await super().execute_activity(input)
        if self._failpoint == f"{name}:after":
            _die()
        return result


def fatal(inner: T, method: str) -> T:
    """Return a proxy of `inner` that kills the process as soon as `method` has returned."""
    return cast(T, _Fatal(inner, method))


class _Fatal:
    def __init__(self, inner: object, method: str) -> None:
        self._inner = inner
        self._method = method

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if name != self._method:
            return attribute

        async def last(*args: object, **options: object) -> object:
            result = await attribute(*args, **options)
            _die()
            return result

        return last
