"""The request that a task works for: its id, and where exported traces have it. A job's row keeps both.

The id is what the request's answer calls `x-request-id`, and its log lines `request_id`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""None outside of a request, and outside of the work for one. A worker's activity has that of its job's request."""
TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""As W3C's Trace Context writes it. None where no traces are exported."""
REQUEST_ID_FORM = re.compile(r"req_[0-9a-f]{24}")


@contextmanager
def working_for(request_id: str | None, traceparent: str | None) -> Iterator[None]:
    """Until the block ends, the task works for this request."""
    outer = REQUEST_ID.set(request_id), TRACEPARENT.set(traceparent)
    try:
        yield
    finally:
        REQUEST_ID.reset(outer[0])
        TRACEPARENT.reset(outer[1])
