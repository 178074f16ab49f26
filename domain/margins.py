"""What calls brought in, and what is left of it once the providers are paid. For the operator alone."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID


class By(StrEnum):
    DAY = "day"
    MODEL = "model"
    KEY = "key"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Margin:
    group: Any
    """A day, a model, a key's id or a provider; None for what cannot be told any more, or has none."""
    calls: int = 0
    costed: int = 0
    """Calls whose cost is known."""
    charged: int = 0
    refunded: int = 0
    """In these days, of whichever day's calls."""
    written_off: int = 0
    cost: Decimal = Decimal(0)
    """In credits, of the calls whose cost is known."""

    @property
    def margin(self) -> Decimal | None:
        """The income less the providers' cost. None when no cost is known."""
        return self.charged - self.refunded - self.cost if self.costed or not self.calls else None


@dataclass(frozen=True, slots=True)
class Span:
    """A range of whole days in UTC. The last day is excluded."""

    since: date
    until: date
    account_id: UUID | None = None


def total(margins: list[Margin]) -> Margin:
    names = ("calls", "costed", "charged", "refunded", "written_off")
    sums = {name: sum(getattr(margin, name) for margin in margins) for name in names}
    return Margin(None, **sums, cost=sum((margin.cost for margin in margins), Decimal(0)))
