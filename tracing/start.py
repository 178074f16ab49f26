"""What composition roots put around the parts of a process where no traces are exported: nothing.

`tracing.export` has the other one. This module loads nothing of OpenTelemetry.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from temporalio.client import Interceptor

import environment
from activities.submissions import Providers
from api.request_traces import RequestTraces
from gateway.attempt_traces import CallTraces
from logs import OperatorFaults

T = TypeVar("T")


class Untraced:
    def requests(self, *, joins: bool) -> RequestTraces | None:
        """`joins`: a request with a valid `traceparent` belongs to its caller's trace."""
        return None

    def calls(self) -> CallTraces | None:
        return None

    def interceptors(self) -> list[Interceptor]:
        """Return those of a client of Temporal; the workers that it makes have them too."""
        return []

    def ledger(self, ledger: T) -> T:
        return ledger

    def jobs(self, jobs: T) -> T:
        return jobs

    def deliveries(self, deliveries: T) -> T:
        return deliveries

    def providers(self, providers: Providers) -> Providers:
        return providers

    def log_ids(self) -> Mapping[str, str]:
        """Return what each line of the log has of the present trace."""
        return {}


NO_TRACES = Untraced()


@contextmanager
def exporting(service: str, faults: OperatorFaults) -> Iterator[Untraced]:
    """Export the traces of this process until the block ends, if the environment names a receiver.

    `service` is its name there unless `OTEL_SERVICE_NAME` is another. Raises `SettingsInvalid`.
    """
    if environment.trace_receiver() is None:
        yield NO_TRACES
        return
    from tracing.export import exported  # a second of imports, which nobody else waits for

    with exported(service, faults) as traces:
        yield traces
