"""Tells a provider that has lost a job, or its output, from one that fails for a moment."""

from collections import OrderedDict

from domain.errors import AdapterFault, UpstreamError, UpstreamGone

MAX_NOT_FOUND = 5
"""Times that a provider may answer so about a job that it accepted. Then the job is lost."""
MAX_JOBS = 10_000


class LostJobs:
    """Counts such answers in a row, by the provider's id of a job. One process counts what it sees itself."""

    def __init__(self) -> None:
        self._not_found: OrderedDict[str, int] = OrderedDict()

    @staticmethod
    def counts(error: UpstreamError) -> bool:
        """Tell whether an error may mean that a job is lost: 404, 400, 410 and so on, or a body that is no answer."""
        return error.status == 404 or isinstance(error, AdapterFault | UpstreamGone)

    def seen(self, job_id: str) -> None:
        """The provider knows it."""
        self._not_found.pop(job_id, None)

    def lost(self, job_id: str) -> bool:
        """Count one more. Return True when the job is lost."""
        count = self._not_found.pop(job_id, 0) + 1
        if count >= MAX_NOT_FOUND:
            return True
        self._not_found[job_id] = count
        if len(self._not_found) > MAX_JOBS:
            self._not_found.popitem(last=False)
        return False
