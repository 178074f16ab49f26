"""Kills a worker at a chosen moment, or freezes it, for fault tests. Does nothing unless a failpoint is set.

A failpoint is `<activity>:before`, `<activity>:after` (done and committed, not yet reported), `submit:between` (the
provider has accepted, its id is not recorded) or `copy:between` (one file is in storage, the activity continues).
After `freeze:` it stops the process there, once, until the test continues it.
"""

import os
import signal
from typing import Any, TypeVar, cast

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

T = TypeVar("T")

SUBMIT_BETWEEN = "submit:between"
COPY_BETWEEN = "copy:between"
FREEZE = "freeze:"


class Failpoint:
    """Where it happens, and what."""

    def __init__(self, named: str) -> None:
        self.where = named.removeprefix(FREEZE)
        self._signal: int | None = signal.SIGKILL if self.where == named else signal.SIGSTOP

    def strike(self) -> None:
        if self._signal is not None:
            blow, self._signal = self._signal, None
            os.kill(os.getpid(), blow)


class Failpoints(Interceptor):
    """Kills or freezes this process right before or right after the named activity."""

    def __init__(self, failpoint: str) -> None:
        self._failpoint = Failpoint(failpoint)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _AtActivity(next, self._failpoint)


class _AtActivity(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, failpoint: Failpoint) -> None:
        super().__init__(following)
        self._failpoint = failpoint

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name = activity.info().activity_type
        if self._failpoint.where == f"{name}:before":
            self._failpoint.strike()
        result = await super().execute_activity(input)
        if self._failpoint.where == f"{name}:after":
            self._failpoint.strike()
        return result


def fatal(inner: T, method: str, failpoint: Failpoint) -> T:
    """Return a proxy of `inner` that kills or freezes the process as soon as `method` has returned."""
    return cast(T, _Fatal(inner, method, failpoint))


class _Fatal:
    def __init__(self, inner: object, method: str, failpoint: Failpoint) -> None:
        self._inner = inner
        self._method = method
        self._failpoint = failpoint

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if name != self._method:
            return attribute

        async def last(*args: object, **options: object) -> object:
            result = await attribute(*args, **options)
            self._failpoint.strike()
            return result

        return last
