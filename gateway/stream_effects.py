"""The effects that a stream's relay returns (`gateway.relay`), and that the stream carries out (`gateway.streams`)."""

from collections.abc import Sequence
from dataclasses import field

from domain.errors import GatewayError
from domain.pricing import Usage
from domain.records import record
from gateway.routing import Attempt
from gateway.saved_turns import Answered
from gateway.wire import Bill
from providers.base import Delta


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
