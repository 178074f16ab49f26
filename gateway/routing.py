"""Chooses the route of a call: in the catalog's order, and the next one as long as no output was produced.

The one place that decides about a fallback, for streams and whole answers alike.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from domain.catalog import Route
from domain.errors import GatewayError, UpstreamError

log = structlog.get_logger(__name__)

T = TypeVar("T")
Again = Callable[[Route, GatewayError], bool]
"""Tells whether the same route is to be asked again after an error, in another way: `gateway.call.Call.again`."""


class RouteFaults:
    """Counts what is our own fault in an adapter, by provider. The next route is asked, as if the provider had failed.

    A text of such an exception may hold a prompt: its type and place are logged, nothing else.
    """

    def __init__(self) -> None:
        self.by_provider: Counter[str] = Counter()

    def error(self, route: Route, fault: Exception) -> GatewayError:
        """Return the error of a failed route. An exception that is not a `GatewayError` is logged and counted."""
        if isinstance(fault, GatewayError):
            return fault
        self.by_provider[route.provider.name] += 1
        log.error(
            "route failed by a fault of ours",
            provider=route.provider.name,
            model=route.model,
            fault=type(fault).__name__,
            at=_where(fault),
        )
        return UpstreamError()


class Attempts:
    """Goes through the routes of one call in order."""

    def __init__(self, routes: Sequence[Route], again: Again) -> None:
        self._routes = routes
        self._again = again
        self._next = 0

    def next(self) -> Route | None:
        if self._next >= len(self._routes):
            return None
        self._next += 1
        return self._routes[self._next - 1]

    def after(self, error: GatewayError, *, produced: bool = False) -> Route | None:
        """The route to try after `error`. None means that the client gets the error."""
        if not produced and error.unsupported and self._next and self._again(self._routes[self._next - 1], error):
            return self._routes[self._next - 1]
        if produced or not isinstance(error, UpstreamError) or not error.retryable:
            return None
        return self.next()


async def first_answer(
    routes: Sequence[Route], again: Again, faults: RouteFaults, ask: Callable[[Route], Awaitable[T]]
) -> T:
    """Return the first route's answer that succeeds. Raises the `GatewayError` of the last route."""
    attempts = Attempts(routes, again)
    route = attempts.next()
    error: GatewayError = UpstreamError()
    while route is not None:
        try:
            return await ask(route)
        except Exception as fault:
            error = faults.error(route, fault)
        route = attempts.after(error)
    raise error from None


def _where(fault: Exception) -> str:
    """File and line: the only part of a traceback that cannot contain a prompt."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
