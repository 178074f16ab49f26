"""A round of maintenance: many items, each by itself. One that fails is reported, and the others go on."""

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from domain.errors import GatewayError, ServiceUnavailable
from domain.faults import Fault, FaultLog

T = TypeVar("T")

MAX_UNAVAILABLE_IN_A_ROW = 3
"""Items of as many groups in a row could not reach a service: it is away, and the round ends."""
FAILED = "maintenance failed"
TASKS = (
    "cancel",
    "collect_returned",
    "delete_expired_outputs",
    "delete_expired_shares",
    "delete_expired_uploads",
    "delete_orphaned_outputs",
    "forget",
    "forget_visitors",
    "forget_webhooks",
    "grant_plans",
    "job_changes",
    "leadership",
    "reconcile",
    "recover",
    "start_deliveries",
    "start_orphans",
    "start_purges",
    "sweep",
)
"""The names of all tasks of maintenance. Each is counted from 0: Prometheus sees no increase in a counter that begins
with 1."""


def of_task(fault: Fault) -> Fault:
    """Return what maintenance failed to do with an item as a fault of its task: no id is in it. Others as they are."""
    if fault.what != FAILED:
        return fault
    task = fault.where.partition(" ")[0]
    return Fault(FAILED, task, f"the log line `{FAILED}` names the row; if it stays, look at that row")


class MaintenanceErrors:
    """What failed in this process: named in the log, counted by task for the metrics."""

    def __init__(self, log: FaultLog, describe: Callable[[Exception], str]) -> None:
        self._log, self._describe = log, describe
        self.by_task = Counter(dict.fromkeys(TASKS, 0))

    def failed(self, task: str, item: str, error: Exception) -> None:
        """`item` is an id: of an account, a job or a row."""
        reported = isinstance(error, GatewayError) and error.reported
        if reported and isinstance(error, ServiceUnavailable):  # nothing was done, of which something could fail
            return
        self.by_task[task] += 1
        if reported:
            return
        remedy = "the round goes on without it and tries it again; if it stays, look at this row"
        self._log.report(FAILED, where=f"{task} {item}", remedy=remedy, fault=self._describe(error))

    def succeeded(self, task: str, item: str) -> None:
        self._log.clear(f"{task} {item}")


@dataclass(frozen=True, slots=True)
class Round(Generic[T]):
    """How the items of one maintenance task are worked on."""

    task: str
    name: Callable[[T], str]
    """An item's id, for the log."""
    group: Callable[[T], Hashable]
    """Items that wait for the same lock, such as those of an account."""
    errors: MaintenanceErrors

    async def run(self, items: Iterable[T], act: Callable[[T], Awaitable[int]]) -> int:
        """The sum of what `act` returned.

        After an item that met `ServiceUnavailable` (a lock that somebody keeps looks like that too), the rest of its
        group waits for the next round. Raises `ServiceUnavailable` when the service is away for every group.
        """
        done, reached = 0, False
        unavailable, left = list[tuple[T, ServiceUnavailable]](), set[Hashable]()
        for item in items:
            if self.group(item) in left:
                continue
            try:
                done += await act(item)
            except ServiceUnavailable as error:
                left.add(self.group(item))
                unavailable.append((item, error))
                if len(unavailable) == MAX_UNAVAILABLE_IN_A_ROW:
                    raise
            except Exception as error:
                self.errors.failed(self.task, self.name(item), error)
            else:
                reached = True
                self._report(unavailable)
                self.errors.succeeded(self.task, self.name(item))
        last = unavailable[-1][1] if unavailable else None
        self._report(unavailable)
        if last and not reached:
            raise last
        return done

    def _report(self, unavailable: list[tuple[T, ServiceUnavailable]]) -> None:
        """Report failed items: another item of the round succeeded, so the service is available."""
        for item, error in unavailable:
            self.errors.failed(self.task, self.name(item), error)
        unavailable.clear()
