"""Prices of media models: those of the file, else the list price of the first route that covers every route."""

from collections.abc import Callable
from decimal import Decimal

from catalog import media_margins, media_schemas
from catalog.entries import ModelEntry, RouteEntry
from catalog.media_entries import Form
from domain.catalog import ExchangeRate, Prices
from domain.media_prices import Variant

NOTHING = Decimal(0)
UNCOVERED = (
    "has no price: the list price of none of its routes covers what all of them cost; give it credits_per_…. "
    "Its first route costs less than another {}"
)

CallsEach = Callable[[RouteEntry], bool]
"""Tells whether each output of a job is a call of its own at that route's provider."""


def prices(entry: ModelEntry, exchange: ExchangeRate, calls_each: CallsEach) -> Prices | None:
    """Return what clients pay. None: no list price covers every route."""
    once = not any(map(calls_each, entry.routes))
    form = entry.form("credits")
    if form.given:
        return _prices(form, _as_it_is, once=once)
    for route in entry.routes:
        listed = route.form("usd")
        if listed.given and _loss(entry, route, exchange, calls_each) is None:
            return _prices(listed, exchange.credits, once=once)
    return None


def costs(route: RouteEntry, exchange: ExchangeRate, *, once: bool) -> Prices | None:
    """Return what the provider bills: the costs of the file, else the list price without our markup."""
    form = route.form("cost")
    if form.given:
        return _prices(form, _as_it_is, once=once)
    listed = route.form("usd")
    return _prices(listed, _unmarked(exchange).credits, once=once) if listed.given else None


def uncovered(entry: ModelEntry, exchange: ExchangeRate, calls_each: CallsEach) -> str:
    """Say why there is no price."""
    first = next(route for route in entry.routes if route.form("usd").given)
    return UNCOVERED.format(_loss(entry, first, exchange, calls_each))


def _loss(entry: ModelEntry, priced: RouteEntry, exchange: ExchangeRate, calls_each: CallsEach) -> str | None:
    """Say for which request another route costs more than this route's list price. None: for none."""
    once = not any(map(calls_each, entry.routes))
    listed, schema = _prices(priced.form("usd"), _unmarked(exchange).credits, once=once), media_schemas.of(entry)
    for route in entry.routes:
        known = costs(route, exchange, once=not calls_each(route))
        if known is not None and (loss := media_margins.loss(listed, known, schema)):
            return loss
    return None


def _unmarked(exchange: ExchangeRate) -> ExchangeRate:
    return ExchangeRate(credits_per_usd=exchange.credits_per_usd)


def _as_it_is(credits: Decimal) -> Decimal:
    return credits


def _prices(form: Form, exchanged: Callable[[Decimal], Decimal], *, once: bool) -> Prices:
    (unit,) = form.all_units
    base = form.units.get(unit)
    beside = form.per_input_image or NOTHING, form.per_1k_prompt_characters or NOTHING
    return Prices(
        unit=unit,
        per_unit=None if base is None else exchanged(base),
        variants=tuple(Variant(variant.values, exchanged(variant.per_unit)) for _, _, variant in form.variants),
        per_input_image=exchanged(beside[0]),
        per_1k_prompt_characters=exchanged(beside[1]),
        reads_inputs_once=once and any(beside),
    )
