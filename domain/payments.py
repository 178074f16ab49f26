"""Payments: what was paid, what came back of it, and what both mean in credits.

Everything that is known of a payment is a fact. Facts are merged, so that their order and repetition do not matter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.plans import Plan
from domain.records import record

WHOLE_UNITS = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
"""Currencies without a smaller unit, as the payment provider counts them. It counts `isk` and `ugx` in hundredths."""
THOUSANDTHS = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))


def places(currency: str) -> int:
    """Return how many decimal places an amount of smaller units has: 2 for `usd`, whose smaller unit is a cent."""
    return 0 if currency in WHOLE_UNITS else 3 if currency in THOUSANDTHS else 2


def amount_text(amount: int, currency: str) -> str:
    """Write an amount of smaller units for people: 1000 of `usd` is "10.00 usd"."""
    return f"{Decimal(amount).scaleb(-places(currency)):,f} {currency}"


@record
class Pack:
    """Credits that are bought once."""

    id: str
    name: str
    credits: int


@record
class Line:
    """Something that was bought: what it may be sold as, and how many."""

    goods: tuple[str, ...]
    quantity: int = 1
    period: tuple[datetime, datetime] | None = None
    """What a subscription's payment is for."""


@record
class Offers:
    """What this deployment sells: plans, packs, and credits for any other amount."""

    plans: Mapping[str, Plan]
    packs: Mapping[str, Pack]
    sold_as: Mapping[str, str]
    """The plan or pack, by the payment provider's ids of it: prices, products, payment links."""
    credits_per_unit: Mapping[str, Decimal]
    """Credits for one unit of a currency, for payments of nothing in particular."""
    link: str | None = field(default=None, repr=False)
    """Where accounts buy credits."""

    def link_of(self, account_id: UUID) -> str | None:
        """Return the link that says whose account is paid for."""
        if self.link is None:
            return None
        return f"{self.link}{'&' if '?' in self.link else '?'}client_reference_id={account_id}"

    def find(self, goods: Iterable[str]) -> Plan | Pack | None:
        """Return what is sold under one of these ids, or has one of them as its own name."""
        for good in goods:
            name = self.sold_as.get(good, good)
            if offer := self.plans.get(name) or self.packs.get(name):
                return offer
        return None

    def sold(self, lines: Iterable[Line]) -> list[tuple[Plan | Pack, Line]]:
        """Return what the lines buy that is sold here."""
        return [(offer, line) for line in lines if (offer := self.find(line.goods))]

    def credits_for(self, amount: int, currency: str) -> int | None:
        """Return the credits for an amount in the currency's smallest unit, rounded down. None: not for sale so."""
        rate = self.credits_per_unit.get(currency)
        if rate is None:
            return None
        return int(amount * rate / 10 ** places(currency))


NO_OFFERS = Offers({}, {}, {}, {})


@record
class Buyer:
    """Who has paid, as far as an event tells. Only ids: no name, address or card."""

    account_id: UUID | None = None
    customer: str | None = None
    subscription: str | None = None


@record
class Paid:
    """Money came in."""

    payment_id: str
    buyer: Buyer
    amount: int
    """In the currency's smallest unit, with tax."""
    net: int
    """Without tax."""
    currency: str
    lines: tuple[Line, ...]
    charges: tuple[str, ...] = ()
    """The payment intents (or charges) that paid it, if the event names them."""
    invoiced: bool = False
    """A checkout that made an invoice, which is the payment: that invoice tells what was bought, and gives it."""


@record
class Subscribed:
    """A customer or a subscription belongs to an account."""

    buyer: Buyer


@record
class Linked:
    """A payment intent (or charge) has paid for this payment."""

    charge: str
    payment_id: str


@record
class Refunded:
    """So much of a charge was refunded in all."""

    charge: str
    amount: int


@record
class Disputed:
    """A dispute of a charge. `withheld`: the money is not ours for now, or for good."""

    charge: str
    dispute: str
    amount: int
    withheld: bool
    stage: int
    """0: an inquiry; 1: open; 2: closed. A later stage outweighs an earlier one."""


@record
class SubscriptionChanged:
    id: str
    buyer: Buyer
    cancel_at: datetime | None
    ended_at: datetime | None


Fact = Paid | Subscribed | Linked | Refunded | Disputed | SubscriptionChanged


@record
class Event:
    """An event of the payment provider, read."""

    id: str
    type: str
    at: datetime
    facts: tuple[Fact, ...]
    """Empty: it means nothing to us."""


Disputes = dict[str, dict[str, int | bool]]


def disputes_with(known: Disputes, fact: Disputed, at: datetime) -> Disputes:
    """Merge a dispute into those that are known of a charge: the later stage counts, then the later event."""
    seconds = int(at.timestamp())
    before = known.get(fact.dispute)
    if before is not None and (before["stage"], before["at"]) >= (fact.stage, seconds):
        return known
    entry: dict[str, int | bool] = {
        "stage": fact.stage,
        "at": seconds,
        "amount": fact.amount,
        "withheld": fact.withheld,
    }
    return {**known, fact.dispute: entry}


def returned(refunded: int, disputes: Disputes) -> int:
    """The money of a charge that went back, in the currency's smallest unit."""
    return refunded + sum(int(dispute["amount"]) for dispute in disputes.values() if dispute["withheld"])


def credits_back(credits: int, amount: int, back: int) -> int:
    """Credits that go back with `back` of a payment's `amount`, rounded down: what stays paid keeps its credits."""
    return credits * min(back, amount) // amount if amount > 0 else 0
