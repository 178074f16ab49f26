"""What the API tells a trace of a request. Off: nothing is made and nothing called."""

from collections.abc import Iterable
from typing import Protocol

Headers = Iterable[tuple[bytes, bytes]]
UNTRACED = ("/healthz", "/readyz", "/metrics", "/static/")
"""Paths of what asks all the time, and of files: no traces."""


class RequestTrace(Protocol):
    def end(self, route: str, status: int | None, request_id: str, wire: str | None) -> None:
        """The answer has ended. `route` is a template; `status` is None when the client left before it began."""


class RequestTraces(Protocol):
    def begin(self, method: str, headers: Headers) -> RequestTrace:
        """Begin the trace that what this task does belongs to. `method` is one of HTTP's."""
