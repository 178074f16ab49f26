"""What a stream's relay is told, and what it wants done: the words between `gateway.relay` and `gateway.streams`."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.catalog import Route
from domain.errors import GatewayError
from domain.ledger import Closed
from domain.pricing import Usage
from gateway.wire import Bill
from providers.base import Accepted, Delta, Done, Report


@dataclass(frozen=True, slots=True)
class Start:
    """The call has its hold."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The route that was asked failed."""

    error: GatewayError


@dataclass(frozen=True, slots=True)
class Extended:
    """The hold pays for so many output tokens now, and has so many credits."""

    output_tokens: int
    credits: int


@dataclass(frozen=True, slots=True)
class NotExtended:
    """The balance does not pay for more."""


@dataclass(frozen=True, slots=True)
class ClientDisconnected:
    pass


@dataclass(frozen=True, slots=True)
class HoldLost:
    """The hold is not this call's any more, or may not be for long."""

    error: GatewayError


@dataclass(frozen=True, slots=True)
class Shutdown:
    """This process stops."""


@dataclass(frozen=True, slots=True)
class ReadEnough:
    """Nothing more is read for a client who has gone: its time is up, or too many are read for."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The charge, or the release, has committed."""

    closed: Closed


@dataclass(frozen=True, slots=True)
class NotSettled:
    """The ledger did not say whether it has."""

    error: GatewayError


Event = (
    Start
    | Accepted
    | Delta
    | Report
    | Done
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


@dataclass(frozen=True, slots=True)
class Ask:
    """Open this route; leave the one before it."""

    route: Route


@dataclass(frozen=True, slots=True)
class Send:
    delta: Delta


@dataclass(frozen=True, slots=True)
class Extend:
    """Let the hold grow by so many output tokens per choice, at least. Read nothing meanwhile."""

    output_tokens: int


@dataclass(frozen=True, slots=True)
class ReadOn:
    """Read what is left: it has grown, or nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class TellHeld:
    credits: int


@dataclass(frozen=True, slots=True)
class ReadForBill:
    """Read on for a client who has gone, for a limited time. `replayed`: however many are read so."""

    replayed: bool


@dataclass(frozen=True, slots=True)
class Close:
    """Leave the provider."""


@dataclass(frozen=True, slots=True)
class Settle:
    usage: Usage
    minimum: bool
    unbilled_output: int = 0
    """Output tokens above the limit that was sent."""
    capped: bool = False
    """Never above what is held: its client left before the end."""
    answer: bytes | None = None


@dataclass(frozen=True, slots=True)
class Void:
    pass


@dataclass(frozen=True, slots=True)
class End:
    last: Sequence[Delta]
    bill: Bill


@dataclass(frozen=True, slots=True)
class Fail:
    error: GatewayError
    bill: Bill | None
    produced: bool
    """Whether any output was sent before."""


Effect = Ask | Send | Extend | ReadOn | TellHeld | ReadForBill | Close | Settle | Void | End | Fail
Effects = list[Effect]
