"""Counts requests by route, and calls by wire and model: rate, errors and duration, of this process.

The values of labels are bounded: by the routes of this program, the methods and statuses of HTTP, the catalog and the
codes of our errors. Nothing of a request's path, query, headers or body is one.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from starlette.types import Scope

from gateway.distributions import SECONDS, Distribution

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
"""Of a path that no route serves, and of a method that HTTP does not have."""
NO_ANSWER = "none"
"""The status of a request whose client left before an answer began."""
SERVER_ERRORS = ("500", "502", "503", "504")
"""Statuses that an alert counts: each is there from 0 on with the first request of a route. Prometheus sees no increase
in a counter that begins with 1."""
STATUS = "status"
"""Where the state of a request has the status of its answer."""


class RequestFigures:
    """Implements `prometheus_client`'s collector."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._durations: dict[str, Distribution] = {}
        self._calls: Counter[tuple[str, str]] = Counter()
        self._errors: Counter[tuple[str, str, str]] = Counter()

    def ended(self, scope: Scope, route: str, began: float) -> None:
        """Count a request. `began` is of `time.perf_counter`."""
        method = scope["method"] if scope["method"] in METHODS else OTHER
        status = scope.get("state", {}).get(STATUS, NO_ANSWER)
        if (method, route, SERVER_ERRORS[0]) not in self._requests:
            self._requests.update({(method, route, error): 0 for error in SERVER_ERRORS})
        self._requests[method, route, str(status)] += 1
        duration = self._durations.get(route)
        if duration is None:
            duration = self._durations[route] = Distribution(SECONDS)
        duration.add(time.perf_counter() - began)

    def call(self, wire: str, model: str) -> None:
        """Count a call for which credits are held."""
        self._calls[wire, model] += 1

    def failed(self, wire: str, model: str, code: str) -> None:
        """Count a call that ended with an error, before or after its answer began."""
        self._errors[wire, model, code] += 1

    def collect(self) -> Iterator[Metric]:
        yield _counter("yout_http_requests", "Requests by route", ["method", "route", "status"], self._requests)
        durations = HistogramMetricFamily(
            "yout_http_request_seconds", "From the head of a request to the end of its answer", labels=["route"]
        )
        for route, duration in self._durations.items():
            durations.add_metric([route], duration.cumulative(), duration.total)
        yield durations
        yield _counter("yout_calls", "Calls of models that began, by client wire", ["wire", "model"], self._calls)
        labels = ["wire", "model", "code"]
        yield _counter("yout_call_errors", "Of them, those that ended with an error", labels, self._errors)


def _counter(name: str, text: str, labels: list[str], counts: Mapping[Any, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric(list(values), count)
    return family
