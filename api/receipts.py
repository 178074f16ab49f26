"""Receipts, as their owner sees them. Amounts are whole credits; prices and unrounded costs are decimal strings."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from domain import meters, pricing
from domain.holds import ClosedBy, Hold, HoldState
from domain.ledger import LedgerAccount, TransactionKind
from domain.meters import MAX_PER_CALL, Meter, TokenPrices
from domain.money import MINIMUM_CHARGE, PRICE_PLACES, plain
from domain.pricing import Usage, UsageSource
from domain.receipts import Receipt, public_id


class _View(BaseModel):
    model_config = ConfigDict(from_attributes=True)


Rates = dict[Meter, str]
"""Credits per 1,000, by meter. Tokens of a meter without a rate are counted by the meter that they are a part of."""


class Tier(_View):
    """The rates of all tokens of a call whose input is longer than `above_input_tokens`."""

    above_input_tokens: int
    rates: Rates


class TokenPrice(_View):
    rates: Rates
    tiers: list[Tier]


class Price(_View):
    """Either `rates` with their `tiers`, or one `flat` amount of credits.

    `service_tiers` has the prices that apply if the provider uses another service tier than the requested one.
    """

    version: str
    rates: Rates | None
    tiers: list[Tier]
    flat: str | None
    service_tiers: dict[str, TokenPrice] = {}


class TokensUsed(_View):
    """The usage that was billed. `source` is `provider` (reported), `counted` (by us), `estimated` (after a crash) or
    `flat` (a price without tokens)."""

    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    source: UsageSource
    meters: dict[Meter, int]
    """All that is billed, each token by one meter. With the `applied` rates it gives the exact cost."""
    service_tier: str | None
    """The service tier whose prices were billed, if it is not the requested one."""


class Amounts(_View):
    held: int
    """All credits that were held, extensions included. What the charge did not take was released."""
    charged: int
    written_off: int
    """Cost that neither the hold nor the balance covered: the operator pays it."""
    refunded: int


class Bounds(_View):
    """What the hold pays for: the input, and `output_limit` tokens in each choice."""

    input_tokens: int
    input_estimate: int
    """Our own count of the input. It is billed if the provider reports no usage."""
    output_limit: int | None
    choices: int
    web_searches: int
    """Web searches by the provider that the hold pays for: 0 if the request asks for none."""
    max_credits: int | None


class Extension(_View):
    amount: int
    created_at: datetime


class Calculation(_View):
    """How the cost was computed. `cost` = charged + written off.

    `cost` is `rounded_cost`, but the minimum if `minimum_applied`, and the amount held if `capped_at_hold`: a stream
    that broke off, or whose client left, never costs more than its hold.
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
    """A transaction of the ledger. Its lines sum to zero."""

    id: UUID
    kind: TransactionKind
    created_at: datetime
    note: str | None = Field(repr=False)
    lines: list[LineView]


class ReceiptView(_View):
    """A receipt. The cost is the sum of `applied` rate x count / 1000 over `usage.meters`, rounded up once."""

    id: str
    kind: str
    model: str
    model_name: str | None = Field(repr=False)
    """Null: this server does not know the model any more."""
    key_id: UUID | None
    state: HoldState
    closed_by: ClosedBy | None
    """`call`: the process that made the call. `sweeper`: that process had died. `job`: the job's workflow, or
    maintenance in its place."""
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


def price_of(prices: TokenPrices | None, version: str, flat: int) -> Price:
    if prices is None:
        return Price(version=version, rates=None, tiers=[], flat=str(flat))
    others = {name: TokenPrice(rates=_rates(p.rates), tiers=_tiers(p)) for name, p in prices.service_tiers.items()}
    rates = _rates(prices.rates)
    return Price(version=version, rates=rates, tiers=_tiers(prices), flat=None, service_tiers=others)


def amounts_of(hold: Hold) -> Amounts:
    return Amounts(held=hold.amount, charged=hold.charged, written_off=hold.written_off, refunded=hold.refunded)


def view(receipt: Receipt, model_name: str | None) -> ReceiptView:
    hold = receipt.hold
    return ReceiptView(
        id=public_id(hold),
        kind=hold.kind,
        model=hold.model,
        model_name=model_name,
        key_id=hold.key_id,
        state=hold.state,
        closed_by=hold.closed_by,
        created_at=hold.created_at,
        closed_at=hold.closed_at,
        price=price_of(hold.prices, hold.price_version, hold.amount),
        applied=_rates(receipt.applied) if receipt.applied else None,
        usage=used_of(hold, receipt.usage),
        bounds=Bounds(
            input_tokens=hold.input_bound,
            input_estimate=hold.input_count,
            output_limit=hold.output_limit,
            choices=hold.choices,
            web_searches=web_searches(hold.prices),
            max_credits=hold.max_credits,
        ),
        held_at_first=receipt.held_at_first,
        extensions=[Extension.model_validate(extension) for extension in receipt.extensions],
        credits=amounts_of(hold),
        calculation=Calculation.model_validate(receipt.calculation) if receipt.calculation else None,
        transactions=[Transaction.model_validate(movement) for movement in receipt.movements],
    )


def used_of(hold: Hold, usage: Usage | None) -> TokensUsed | None:
    if usage is None:
        return None
    return TokensUsed(
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        source=usage.source,
        meters=pricing.counts(hold.prices, usage) if hold.prices else {},
        service_tier=usage.service_tier,
    )


def web_searches(prices: TokenPrices | None) -> int:
    """Return how many web searches a hold at these prices pays for."""
    return MAX_PER_CALL[Meter.WEB_SEARCH] if prices and prices.priced(Meter.WEB_SEARCH) else 0


def _rates(rates: meters.Rates) -> Rates:
    return {Meter(name): plain(micros, PRICE_PLACES) for name, micros in rates.items()}


def _tiers(prices: TokenPrices) -> list[Tier]:
    return [Tier(above_input_tokens=tier.above, rates=_rates(tier.rates)) for tier in prices.tiers]
