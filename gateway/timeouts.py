"""The timeouts of an attempt: the deployment's, with what the catalog says of the provider and the route."""

from datetime import timedelta

from domain.catalog import Route
from providers.base import Timeouts

WHOLE_TOKENS_PER_SECOND = 10
"""An answer that is not streamed begins when it is done: each token that it may have adds this to its first byte."""


def of_stream(timeouts: Timeouts, route: Route) -> Timeouts:
    own = route.timeouts
    if own is None:
        return timeouts
    return Timeouts(
        connect=own.connect or timeouts.connect,
        first_byte=own.first_byte or timeouts.first_byte,
        idle=own.idle or timeouts.idle,
        total=own.total or timeouts.total,
    )


def of_whole(timeouts: Timeouts, route: Route, output_tokens: int) -> Timeouts:
    """The first byte may come when all of the answer is written. The same holds for a pause after the headers."""
    streamed = of_stream(timeouts, route)
    writing = timedelta(seconds=output_tokens / WHOLE_TOKENS_PER_SECOND)
    first_byte = min(streamed.first_byte + writing, streamed.total)
    return Timeouts(streamed.connect, first_byte, max(first_byte, streamed.idle), streamed.total)
