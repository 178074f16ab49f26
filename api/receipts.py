"""Receipts as their owner sees them: amounts are whole credits, prices and unrounded costs exact decimal strings."""

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.ledger import ClosedBy, Hold, HoldState, LedgerAccount, TransactionKind
from domain.money import MINIMUM_CHARGE, PRICE_PLACES, plain
from domain.pricing import TextPrices, TextRates, UsageSource
from domain.receipts import Receipt, public_id


class _View(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Rates(_View):
    """Credits per 1,000 tokens. Cached input and cache writes are parts of the input tokens."""

    input: str
    output: str
    cached_input: str
    cache_write: str


class Tier(_View):
    """The rates of a whole call, all of its tokens, once its input is longer than `above_input_tokens`."""

    above_input_tokens: int
    rates: Rates


class Price(_View):
    """Either `rates` with their `tiers`, or one `flat` amount of credits."""

    version: str
    rates: Rates | None
    tiers: list[Tier]
    flat: str | None


class TokensUsed(_View):
    """As billed. `source`: `provider` reported, `counted` by us, `estimated` after a crash; `flat` has no tokens."""

    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    source: UsageSource


class Amounts(_View):
    held: int
    """All that was set aside, extensions included; what the charge did not take went back."""
    charged: int
    written_off: int
    """Cost that the hold and the balance did not cover: the operator's loss."""
    refunded: int


class Bounds(_View):
    """What the hold was made for: it pays for so much input, and `output_limit` tokens in each choice."""

    input_tokens: int
    input_estimate: int
    """Our own count of the input: what is billed where the provider reports nothing."""
    output_limit: int | None
    choices: int
    max_credits: int | None


class Extension(_View):
    amount: int
    created_at: datetime


class Calculation(_View):
    """`cost` is `rounded_cost`, unless `minimum_applied` (then it is the minimum) or `capped_at_hold` (then it is what
    was held: a stream that broke, or whose client left, never costs more). `cost` = charged + written off.
    """

    exact_cost: str
    rounding: str = "up, once, to a whole credit"
    rounded_cost: int
    minimum_charge: int = MINIMUM_CHARGE
    minimum_applied: bool
    capped_at_hold: bool
    cost: int


class LineView(_View):
    book: LedgerAccount
    amount: int


class Transaction(_View):
    """Its lines sum to zero."""

    id: UUID
    kind: TransactionKind
    created_at: datetime
    note: str | None
    lines: list[LineView]


class ReceiptView(_View):
    """input cost + cached input cost + cache write cost + output cost, each rate x tokens / 1000, with the `applied`
    rates; rounded up once.
    """

    id: str
    kind: str
    model: str
    key_id: UUID | None
    state: HoldState
    closed_by: ClosedBy | None
    """`call`: the process that made it; `sweeper`: that process had died; `job`: its workflow, or the reconciler."""
    created_at: datetime | None
    closed_at: datetime | None
    price: Price
    applied: Rates | None
    usage: TokensUsed | None
    bounds: Bounds
    held_at_first: int
    extensions: list[Extension]
    credits: Amounts
    calculation: Calculation | None
    transactions: list[Transaction]


def price_of(prices: TextPrices | None, version: str, flat: int) -> Price:
    if prices is None:
        return Price(version=version, rates=None, tiers=[], flat=str(flat))
    tiers = [Tier(above_input_tokens=tier.above, rates=_rates(tier.rates)) for tier in prices.tiers]
    return Price(version=version, rates=_rates(prices.rates), tiers=tiers, flat=None)


def amounts_of(hold: Hold) -> Amounts:
    return Amounts(held=hold.amount, charged=hold.charged, written_off=hold.written_off, refunded=hold.refunded)


def view(found: Receipt) -> ReceiptView:
    hold = found.hold
    return ReceiptView(
        id=public_id(hold),
        kind=hold.kind,
        model=hold.model,
        key_id=hold.key_id,
        state=hold.state,
        closed_by=hold.closed_by,
        created_at=hold.created_at,
        closed_at=hold.closed_at,
        price=price_of(hold.prices, hold.price_version, hold.amount),
        applied=_rates(found.applied) if found.applied else None,
        usage=TokensUsed.model_validate(found.usage) if found.usage else None,
        bounds=Bounds(
            input_tokens=hold.input_bound,
            input_estimate=hold.input_count,
            output_limit=hold.output_limit,
            choices=hold.choices,
            max_credits=hold.max_credits,
        ),
        held_at_first=found.held_at_first,
        extensions=[Extension.model_validate(extension) for extension in found.extensions],
        credits=amounts_of(hold),
        calculation=Calculation.model_validate(found.calculation) if found.calculation else None,
        transactions=[Transaction.model_validate(movement) for movement in found.movements],
    )


def _rates(rates: TextRates) -> Rates:
    return Rates(**{name: plain(micros, PRICE_PLACES) for name, micros in asdict(rates).items()})
