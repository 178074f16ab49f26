"""The events that a stream's relay takes (`gateway.relay`), beside those of its provider."""

from domain.errors import GatewayError
from domain.records import record
from domain.results import Closed
from providers.base import Accepted, Delta, Done, Paused, Report


@record
class Start:
    """The call has its hold."""


@record
class Failed:
    """The route that was asked failed."""

    error: GatewayError


@record
class Extended:
    """The hold pays for so many output tokens now, and has so many credits."""

    output_tokens: int
    credits: int


@record
class NotExtended:
    """The balance does not pay for more."""


@record
class ClientDisconnected:
    pass


@record
class HoldLost:
    """The hold is not this call's any more, or may not be for long."""

    error: GatewayError


@record
class Shutdown:
    """This process stops."""


@record
class ReadEnough:
    """Stop reading for a client that has disconnected: the time is up, or too many streams are read."""


@record
class Settled:
    """The charge, or the release, has committed."""

    closed: Closed


@record
class NotSettled:
    """The ledger did not say whether it has."""

    error: GatewayError


Event = (
    Start
    | Accepted
    | Delta
    | Report
    | Done
    | Paused
    | Failed
    | Extended
    | NotExtended
    | ClientDisconnected
    | HoldLost
    | Shutdown
    | ReadEnough
    | Settled
    | NotSettled
)
