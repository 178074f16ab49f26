"""Prices of media models: those of the file, else the list price of the first route that has one."""

from collections.abc import Callable
from decimal import Decimal

from catalog.entries import ModelEntry, RouteEntry
from catalog.media_entries import Form
from domain.catalog import ExchangeRate, Prices
from domain.media_prices import Variant

NOTHING = Decimal(0)


def prices(entry: ModelEntry, exchange: ExchangeRate) -> Prices:
    """Return what clients pay. Raises StopIteration for an entry without any price: the file was checked."""
    form = entry.form("credits")
    if form.given:
        return _prices(form, _as_it_is)
    return _prices(next(listed for route in entry.routes if (listed := route.form("usd")).given), exchange.credits)


def costs(route: RouteEntry, exchange: ExchangeRate) -> Prices | None:
    """Return what the provider bills: the costs of the file, else the list price without our markup."""
    form = route.form("cost")
    if form.given:
        return _prices(form, _as_it_is)
    listed = route.form("usd")
    return _prices(listed, ExchangeRate(credits_per_usd=exchange.credits_per_usd).credits) if listed.given else None


def _as_it_is(credits: Decimal) -> Decimal:
    return credits


def _prices(form: Form, exchanged: Callable[[Decimal], Decimal]) -> Prices:
    (unit,) = form.all_units
    base = form.units.get(unit)
    return Prices(
        unit=unit,
        per_unit=None if base is None else exchanged(base),
        variants=tuple(Variant(variant.values, exchanged(variant.per_unit)) for _, _, variant in form.variants),
        per_input_image=exchanged(form.per_input_image or NOTHING),
    )
