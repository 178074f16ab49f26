"""What a request says about which models and routes may answer it, and in which order."""

from collections.abc import Callable, Sequence
from dataclasses import field
from decimal import Decimal
from enum import StrEnum

from domain.catalog import Catalog, Model, Route
from domain.errors import ModelNotFound, RequestInvalid
from domain.meters import Meter, credits_per_thousand
from domain.pricing import TextTerms, Usage, UsageSource, billionths
from domain.records import record
from gateway.route_states import RouteState

PER_MILLION = 1000
"""A price for a million tokens is so many times that for a thousand."""
_USUAL = Usage(3000, 1000, UsageSource.COUNTED)
"""The call by which costs of routes are compared."""
_UNKNOWN = float("inf")


class Sort(StrEnum):
    PRICE = "price"
    THROUGHPUT = "throughput"
    LATENCY = "latency"


SUFFIXES = {":floor": Sort.PRICE, ":nitro": Sort.THROUGHPUT}
"""Ends of a model's name that ask for an order."""


@record
class Preferences:
    models: tuple[str, ...] = field(default=(), repr=False)
    """Models that may answer when the one before them cannot."""
    order: tuple[str, ...] = field(default=(), repr=False)
    """Route classes that are tried first."""
    only: tuple[str, ...] = field(default=(), repr=False)
    ignore: tuple[str, ...] = field(default=(), repr=False)
    allow_fallbacks: bool = True
    """False: the routes of `order` alone, or the first route alone."""
    sort: Sort | None = None
    max_prompt: Decimal | None = None
    """Dollars per million input tokens that the client pays at most."""
    max_completion: Decimal | None = None
    require_parameters: bool = False
    """Routes that take every parameter, and no others."""


NONE = Preferences()


def named(catalog: Catalog, name: str) -> tuple[Model, Sort | None]:
    """Find the active model of that name, and the order that its end asks for. Raises `ModelNotFound`."""
    model = catalog.models.get(name)
    if model is None and (sort := SUFFIXES.get(name[-6:])) is not None:
        model = catalog.models.get(name[:-6])
        if model is not None and model.active:
            return model, sort
    if model is None or not model.active:
        raise ModelNotFound(name)
    return model, None


def require_price(catalog: Catalog, model: Model, terms: TextTerms, wanted: Preferences) -> None:
    """Raise `RequestInvalid` for a model that may cost more than the request allows.

    That is by every price that the call can reach: of its service tier, and of a long input.
    """
    for name, meter, limit in (
        ("prompt", Meter.INPUT, wanted.max_prompt),
        ("completion", Meter.OUTPUT, wanted.max_completion),
    ):
        if limit is None:
            continue
        reached = [credits_per_thousand(rates, meter) for rates in terms.prices.reachable(terms.input_bound)]
        if catalog.exchange.usd(max(credits or Decimal(0) for credits in reached)) * PER_MILLION > limit:
            param = f"provider.max_price.{name}"
            raise RequestInvalid(f"The model '{model.id}' costs more than '{param}' allows.", param=param)


def chosen(routes: Sequence[Route], wanted: Preferences, state: Callable[[Route], RouteState]) -> tuple[Route, ...]:
    """Return the routes that may answer, in the order in which they are to be tried. Raises if there is none."""
    left = [route for route in routes if _allowed(route, wanted)]
    if not left:
        param = "provider.only" if wanted.only else "provider.ignore"
        raise _no_route(routes, param)
    if wanted.sort is not None:
        left.sort(key=_KEYS[wanted.sort](state))
    if wanted.order:
        place = {name: number for number, name in enumerate(wanted.order)}
        left.sort(key=lambda route: place.get(route.provider.route_class, len(place)))
        if not wanted.allow_fallbacks:
            left = [route for route in left if route.provider.route_class in place]
            if not left:
                raise _no_route(routes, "provider.order")
    elif not wanted.allow_fallbacks:
        left = left[:1]
    return tuple(left)


def _allowed(route: Route, wanted: Preferences) -> bool:
    name = route.provider.route_class
    return name not in wanted.ignore and (not wanted.only or name in wanted.only)


def _no_route(routes: Sequence[Route], param: str) -> RequestInvalid:
    names = ", ".join(sorted({route.provider.route_class for route in routes}))
    return RequestInvalid(f"'{param}' leaves no route of this model. It has: {names}.", param=param)


def _price(_: Callable[[Route], RouteState]) -> Callable[[Route], float]:
    def cost(route: Route) -> float:
        tokens = route.costs.tokens if route.costs else None
        return _UNKNOWN if tokens is None else float(billionths(tokens, _USUAL))

    return cost


def _latency(state: Callable[[Route], RouteState]) -> Callable[[Route], float]:
    def seconds(route: Route) -> float:
        known = state(route)
        latency = known.duration if known.first_output is None else known.first_output
        return _UNKNOWN if latency is None else latency

    return seconds


def _throughput(state: Callable[[Route], RouteState]) -> Callable[[Route], float]:
    return lambda route: -(state(route).speed or 0.0)


_KEYS = {Sort.PRICE: _price, Sort.LATENCY: _latency, Sort.THROUGHPUT: _throughput}
