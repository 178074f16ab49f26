"""The id of the request that a task serves: what its answer calls `x-request-id`, and its log lines `request_id`."""

import re
from contextvars import ContextVar

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""None outside of a request, and outside of the work for one. A worker's activity has that of its job's request."""
FORM = re.compile(r"req_[0-9a-f]{24}")
