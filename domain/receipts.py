"""A charge explained: all that a reader needs to compute it again. Nothing is stored for it but the ledger itself."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain import pricing
from domain.errors import NotFound
from domain.holds import Hold, HoldState
from domain.ids import chat_id
from domain.ledger import Posting, TransactionKind
from domain.media import Kind
from domain.meters import Rates
from domain.pricing import Usage

_JOBS = frozenset(kind.value for kind in Kind)
_PREFIX = re.compile(r"^[a-z]+[-_](?=[0-9a-f]{32}$)")
"""What a client wire puts before the id of an answer: `chatcmpl-`, `resp_`."""


def public_id(hold: Hold) -> str:
    """The public id of a charge: the id of the answer or of the job."""
    return str(hold.id) if hold.kind in _JOBS else chat_id(hold.id)


def read_id(text: str) -> UUID:
    """A charge's id from its public form, or its bare one. Raises `NotFound`: what is no id names no charge."""
    try:
        return UUID(_PREFIX.sub("", text))
    except ValueError:
        raise NotFound("There is no such charge.") from None


@dataclass(frozen=True, slots=True)
class Movement:
    """One transaction of the ledger, as it was written."""

    id: UUID
    kind: TransactionKind
    created_at: datetime
    note: str | None = field(repr=False)
    lines: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class Extension:
    amount: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Calculation:
    """From tokens to credits: the exact cost, rounded up once, raised to the minimum or cut at the hold."""

    exact_cost: str
    rounded_cost: int
    minimum_applied: bool
    capped_at_hold: bool
    cost: int
    """What was charged and what was written off, together."""


@dataclass(frozen=True, slots=True)
class Receipt:
    hold: Hold
    usage: Usage | None
    """None while the call runs, when it was released, and once its owner has had the usage erased."""
    movements: tuple[Movement, ...]

    @property
    def held_at_first(self) -> int:
        return self.hold.amount - sum(extension.amount for extension in self.extensions)

    @property
    def extensions(self) -> tuple[Extension, ...]:
        growth = [movement for movement in self.movements if movement.kind is TransactionKind.EXTEND]
        return tuple(Extension(max(line.amount for line in movement.lines), movement.created_at) for movement in growth)

    @property
    def applied(self) -> Rates | None:
        """The rates that it was billed by: of the tier that its input reached, and the service tier that served it."""
        if self.usage is None or self.hold.prices is None:
            return None
        return pricing.applied(self.hold.prices, self.usage)

    @property
    def calculation(self) -> Calculation | None:
        """How the charge was calculated. None for a call that was not charged or whose usage was erased."""
        hold, cost = self.hold, self.hold.charged + self.hold.written_off
        if hold.state is not HoldState.SETTLED:
            return None
        if hold.prices is None:
            return Calculation(str(cost), cost, minimum_applied=False, capped_at_hold=False, cost=cost)
        if self.usage is None:
            return None
        rounded = pricing.cost(hold.prices, self.usage)
        return Calculation(
            pricing.exact_cost(hold.prices, self.usage),
            rounded,
            minimum_applied=cost > rounded,
            capped_at_hold=cost < rounded,
            cost=cost,
        )
