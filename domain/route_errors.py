"""Which error of several routes the caller gets, of a chat and of a media job alike."""

from collections.abc import Sequence
from datetime import timedelta

from domain.errors import GatewayError, UpstreamBusy, UpstreamError

USUAL_WAIT = timedelta(seconds=5)
"""Of a provider that is busy and does not say for how long."""


def shown(errors: Sequence[GatewayError]) -> GatewayError:
    """Return the error that counts when no route is left. `errors` has the newest of each route, in the order of time.

    What is wrong with the request itself counts before all. Then a route that may work soon: the one with the shortest
    wait. Else the last error.
    """
    last = errors[-1]
    if not isinstance(last, UpstreamError) or not last.retryable:
        return last
    later = [error for error in errors if isinstance(error, UpstreamError) and _may_work_soon(error)]
    return min(later, key=lambda error: error.retry_after or USUAL_WAIT, default=last)


def _may_work_soon(error: UpstreamError) -> bool:
    """Tell whether the provider is at its limit, or has an error of its own and says when to ask again."""
    if isinstance(error, UpstreamBusy):
        return True
    return error.retry_after is not None and error.status is not None and error.status >= 500
