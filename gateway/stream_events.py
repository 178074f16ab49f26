"""The events that a stream's relay takes, and the effects that it returns (`gateway.relay`, `gateway.streams`)."""

from collections.abc import Sequence
from dataclasses import field

from domain.errors import GatewayError
from domain.pricing import Usage
from domain.records import record
from domain.results import Closed
from gateway.routing import Attempt
from gateway.saved_turns import Answered
from gateway.wire import Bill
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


@record
class Ask:
    """Make this attempt, or its next part; leave the one before it."""

    attempt: Attempt


@record
class Send:
    delta: Delta


@record
class Extend:
    """Let the hold grow by so many output tokens per choice, at least. Read nothing meanwhile."""

    output_tokens: int


@record
class ReadOn:
    """Go on reading: the hold was extended."""


@record
class TellHeld:
    credits: int


@record
class ReadForBill:
    """Read on for a client that has disconnected, for a limited time. `replayed` streams are not limited in number."""

    replayed: bool


@record
class Close:
    """Leave the provider."""


@record
class Settle:
    usage: Usage
    minimum: bool
    unbilled_output: int = 0
    """Output tokens above the limit that was sent."""
    capped: bool = False
    """True if the charge is at most what is held, because the client left before the end."""
    answer: bytes | None = field(default=None, repr=False)
    answered: Answered | None = None
    """What there is to keep of the answer, for a call that is saved."""


@record
class Void:
    pass


@record
class End:
    last: Sequence[Delta]
    bill: Bill


@record
class Fail:
    error: GatewayError
    bill: Bill | None
    produced: bool
    """Whether any output was sent before."""


Effect = Ask | Send | Extend | ReadOn | TellHeld | ReadForBill | Close | Settle | Void | End | Fail
Effects = list[Effect]
