"""Builds the domain's catalog from the entries of the files, with keys, list prices and defaults."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import SecretStr

from catalog import list_prices, media_prices, media_schemas
from catalog.document import Entries, Kinds, Problem
from catalog.entries import (
    ModelEntry,
    OfferEntry,
    PlanEntry,
    ProviderEntry,
    RouteEntry,
    TierEntry,
    TimeoutsEntry,
)
from catalog.list_prices import Dollars, ListPrice
from catalog.values import credential
from domain import privacy
from domain.catalog import Catalog, ExchangeRate, Modality, Model, Prices, Provider, Route, RouteTimeouts
from domain.meters import CACHE_METERS, Meter, Rates, Tier, TokenPrices, per_thousand, rate
from domain.money import PRICE_PLACES
from domain.payments import Offers, Pack
from domain.plans import Plan, Turn

ProviderKeys = Callable[[Iterable[str]], Mapping[str, SecretStr]]
"""Takes names of environment variables and returns the keys that are set: `settings.provider_keys`."""


PRICED_PARAMETERS: Mapping[str, Meter] = {
    "web_search_options": Meter.WEB_SEARCH,
    "audio": Meter.AUDIO_OUTPUT,
    "modalities": Meter.AUDIO_OUTPUT,
}
"""Fields that a request may have only if its model prices these meters."""

EMBEDDING_PARAMETERS = ("dimensions", "encoding_format")

DEFAULT_CONTEXT_WINDOW = 32_768
DEFAULT_MAX_OUTPUT_TOKENS = 4_096
"""For text models whose entry has no `max_output_tokens`. Small, because an upstream answers with an error when the
limit in a request is above its own."""


class CatalogBuilder:
    def __init__(self, entries: Entries, keys: ProviderKeys, kinds: Kinds, at: datetime) -> None:
        self._entries, self._kinds, self._at = entries, kinds, at
        self._exchange = ExchangeRate(**entries.exchange.model_dump())
        self._problems: list[Problem] = []
        variables = {variable for entry in entries.providers.values() for variable in entry.api_key_env}
        self._keys = keys(sorted(variables))
        self._providers = {name: self._provider(name, entry) for name, entry in entries.providers.items()}

    def build(self) -> tuple[Catalog, list[Problem]]:
        """Return the catalog and its problems: models without a price, keys that a header cannot carry."""
        models, problems = {}, list(self._problems)
        known_problems = {problem.path[:2] for problem in self._entries.problems}
        for model_id, entry in self._entries.models.items():
            if ("models", model_id) in known_problems or any(r.provider not in self._providers for r in entry.routes):
                continue
            listed = self._list_price(entry) if entry.modality.priced_by_tokens else None
            if missing := _missing_prices(entry, listed):
                problems.append(Problem(("models", model_id), _unpriced(missing)))
            elif (prices := self._prices(entry, listed)) is None:
                why = media_prices.uncovered(entry, self._exchange, self._calls_each(entry))
                problems.append(Problem(("models", model_id), why))
            else:
                models[model_id] = self._model(model_id, entry, listed, prices)
        catalog = Catalog(
            exchange=self._exchange, providers=self._providers, models=models, offers=_offers(self._entries)
        )
        return catalog, problems

    def _provider(self, name: str, entry: ProviderEntry) -> Provider:
        keys = self._keys_of(name, entry)
        provider = Provider(
            name=name,
            kind=entry.kind,
            active=entry.enabled and (bool(keys) or entry.keyless),
            base_url=entry.base_url or "",
            api_key=keys[0] if keys else None,
            more_keys=keys[1:],
            route_class=entry.route_class or (name if name in self._entries.shipped else entry.kind),
            max_concurrent=entry.max_concurrent,
            requests_per_minute=entry.requests_per_minute,
            max_wait=entry.max_wait,
            headers=entry.headers,
            options=entry.options,
            capabilities=entry.capabilities,
            passes=entry.passes,
            privacy=entry.privacy,
            drops=entry.drops,
            renames=entry.renames,
        )
        kind = self._kinds.get(entry.kind)
        if provider.active and kind is not None and kind.problem is not None and (why := kind.problem(provider)):
            self._problems.append(Problem(("providers", name), why))
        return provider

    def _keys_of(self, name: str, entry: ProviderEntry) -> tuple[SecretStr, ...]:
        """Return the keys that are set, each once."""
        keys = [entry.api_key, *[self._key_of(name, variable) for variable in entry.api_key_env]]
        return tuple({key.get_secret_value(): key for key in keys if key is not None}.values())

    def _key_of(self, name: str, variable: str | None) -> SecretStr | None:
        """Return the variable's value without white space around it, or None if it is not set or blank."""
        given = self._keys.get(variable) if variable else None
        if given is None:
            return None
        try:
            key = credential(given.get_secret_value())
        except ValueError as why:
            self._problems.append(Problem(("providers", name, "api_key_env"), f"the value of {variable} {why}"))
            return None
        return SecretStr(key) if key else None

    def _model(self, model_id: str, entry: ModelEntry, listed: ListPrice | None, prices: Prices) -> Model:
        window, max_output = _limits(entry, listed)
        routes = self._routes(model_id, entry) if entry.enabled else ()
        weighted = [route.priority for route in entry.routes if "weight" in route.model_fields_set]
        priorities = [route.priority for route in routes]
        return Model(
            shared=any(priorities.count(priority) > 1 for priority in weighted),
            id=model_id,
            name=entry.name or model_id,
            description=entry.description,
            modality=entry.modality,
            input_modalities=entry.input_modalities,
            context_window=window,
            max_output_tokens=max_output,
            prices=prices,
            media=None if entry.modality.priced_by_tokens else media_schemas.of(entry),
            tags=entry.tags,
            pro_only=entry.pro_only,
            deadline=None if entry.deadline is None else timedelta(seconds=entry.deadline),
            supported_parameters=entry.supported_parameters,
            passed_on=self._passed_on(entry.modality, routes, prices.tokens),
            routes=routes,
        )

    def _passed_on(self, modality: Modality, routes: tuple[Route, ...], prices: TokenPrices | None) -> tuple[str, ...]:
        if not routes or prices is None:
            return ()
        if modality is Modality.EMBEDDING:
            return EMBEDDING_PARAMETERS
        names = self._kinds[routes[0].provider.kind].parameters | (routes[0].passes - {"*"})
        unpriced = {name for name, meter in PRICED_PARAMETERS.items() if not prices.priced(meter)}
        if not prices.service_tiers:
            unpriced.add("service_tier")
        return tuple(sorted(names - unpriced))

    def _list_price(self, entry: ModelEntry) -> ListPrice | None:
        """Return the list price of the first route that has one. The vendor's own route comes first in the file."""
        return next(filter(None, (self._listed_for(entry, route) for route in entry.routes)), None)

    def _listed_for(self, entry: ModelEntry, route: RouteEntry) -> ListPrice | None:
        writes = entry.modality is Modality.TEXT
        return list_prices.find(self._providers[route.provider], route.model, self._at, writes=writes)

    def _routes(self, model_id: str, entry: ModelEntry) -> tuple[Route, ...]:
        """Return the active routes by priority and weight, equal ones in the order of the file."""
        served = {name for name, kind in self._kinds.items() if entry.modality in kind.makes}
        routes = []
        for route in sorted(entry.routes, key=lambda route: (route.priority, -route.weight)):
            provider = self._providers[route.provider]
            if provider.active and provider.kind in served:
                capabilities = provider.capabilities if route.capabilities is None else route.capabilities
                routes.append(
                    Route(
                        provider=provider,
                        model=route.model,
                        serves=model_id,
                        priority=route.priority,
                        weight=route.weight,
                        timeouts=_timeouts(self._entries.providers[route.provider].timeouts, route.timeouts),
                        capabilities=capabilities,
                        passes=provider.passes | entry.passes,
                        privacy=privacy.of_route(provider.privacy, route.privacy, route.model),
                        drops=provider.drops | route.drops,
                        rereads=self._kinds[provider.kind].rereads,
                        costs=self._costs(entry, route),
                    )
                )
        return tuple(routes)

    def _costs(self, entry: ModelEntry, route: RouteEntry) -> Prices | None:
        """Return what the route's provider bills: the costs in the file, else its list price without our markup."""
        if not entry.modality.priced_by_tokens:
            return media_prices.costs(route, self._exchange, once=not self._calls_each(entry)(route))
        if route.cost_per_1k_input is not None:
            base = _rates(route.rates())
            tiers = {
                name: TokenPrices(_filled(_rates(tier.rates()), base)) for name, tier in route.service_tiers.items()
            }
            return Prices(tokens=TokenPrices(base, service_tiers=tiers))
        listed = self._listed_for(entry, route)
        if listed is None:
            return None
        return Prices(tokens=_listed(ExchangeRate(credits_per_usd=self._exchange.credits_per_usd), listed))

    def _calls_each(self, entry: ModelEntry) -> media_prices.CallsEach:
        each = {name for name, kind in self._kinds.items() if entry.modality in kind.calls_each}
        return lambda route: self._providers[route.provider].kind in each

    def _prices(self, entry: ModelEntry, listed: ListPrice | None) -> Prices | None:
        if not entry.modality.priced_by_tokens:
            return media_prices.prices(entry, self._exchange, self._calls_each(entry))
        known = _listed(self._exchange, listed) if listed else None
        rates = _merged(entry.rates(), known.rates if known else {})
        if known and not entry.tiers and entry.credits_per_1k_input is None and entry.credits_per_1k_output is None:
            tiers = tuple(Tier(tier.above, _filled(tier.rates, rates)) for tier in known.tiers)
        else:
            tiers = _tiers(entry.tiers, rates)
        return Prices(
            tokens=TokenPrices(
                rates,
                tiers,
                {
                    name: TokenPrices(_filled(_rates(tier.rates()), rates), _tiers(tier.tiers, rates))
                    for name, tier in entry.service_tiers.items()
                },
            )
        )


def _timeouts(provider: TimeoutsEntry, route: TimeoutsEntry) -> RouteTimeouts | None:
    """Return the route's timeouts, and the provider's where the route has none. None: neither has any."""
    own = provider.model_dump(exclude_none=True) | route.model_dump(exclude_none=True)
    return RouteTimeouts(**own) if own else None


def _listed(exchange: ExchangeRate, listed: ListPrice) -> TokenPrices:
    base = _in_credits(exchange, listed.base)
    tiers = (Tier(above, _filled(_in_credits(exchange, dollars), base)) for above, dollars in listed.tiers)
    return TokenPrices(base, tuple(tiers))


def _in_credits(exchange: ExchangeRate, dollars: Dollars) -> Rates:
    return _rates({meter: exchange.credits(price) for meter, price in dollars.items()})


def _rates(credits: Mapping[Meter, Decimal]) -> Rates:
    return per_thousand(**{meter.value: price for meter, price in credits.items()})


def _merged(given: Mapping[Meter, Decimal], listed: Rates) -> Rates:
    """Fill prices that the file lacks with list prices, but not those of caching if the file has an input price."""
    known = {Meter(name): Decimal(value).scaleb(-PRICE_PLACES) for name, value in listed.items()}
    if Meter.INPUT in given:
        known = {meter: price for meter, price in known.items() if meter not in CACHE_METERS}
    return _rates({**known, **given})


def _filled(rates: Rates, base: Rates) -> Rates:
    """Return `rates` with a price for each meter of `base`, so that all rates of a model price the same meters.

    A missing one gets the price in `base`, or the one that applies in its place in `rates` if that is higher.
    """
    return {name: rates.get(name, max(value, rate(rates, Meter(name)))) for name, value in {**base, **rates}.items()}


def _tiers(tiers: Iterable[TierEntry], base: Rates) -> tuple[Tier, ...]:
    return tuple(Tier(tier.above, _filled(_rates(tier.rates()), base)) for tier in tiers)


def _missing_prices(entry: ModelEntry, listed: ListPrice | None) -> list[str]:
    """Return the keys of the prices that a token-priced model needs and does not have."""
    if listed is not None or not entry.modality.priced_by_tokens:
        return []
    missing = [] if entry.credits_per_1k_input is not None else ["credits_per_1k_input"]
    if entry.modality is Modality.TEXT and entry.credits_per_1k_output is None:
        missing.append("credits_per_1k_output")
    return missing


def _unpriced(missing: list[str]) -> str:
    keys = " and ".join(missing)
    return f"has no price: give {keys} (0 is allowed); no list price is known for any of its routes"


def _limits(entry: ModelEntry, listed: ListPrice | None) -> tuple[int | None, int | None]:
    if not entry.modality.priced_by_tokens:
        return entry.context_window, None
    known = listed.context_window if listed else None
    window = entry.context_window or known or DEFAULT_CONTEXT_WINDOW
    if entry.modality is Modality.EMBEDDING:
        return window, None
    return window, min(entry.max_output_tokens or DEFAULT_MAX_OUTPUT_TOKENS, window)


def _plan(name: str, entry: PlanEntry) -> Plan:
    days = entry.output_lifetime_days
    lifetime = None if days is None else timedelta(days=days)
    turn = Turn(entry.priority, entry.share)
    return Plan(name, entry.name or name, entry.credits_per_month, lifetime, turn)


def _offers(entries: Entries) -> Offers:
    offers: dict[str, OfferEntry] = {**entries.plans, **entries.packs}
    sold = {good: name for name, entry in offers.items() for good in entry.stripe}
    return Offers(
        {name: _plan(name, entry) for name, entry in entries.plans.items()},
        {name: Pack(name, entry.name or name, entry.credits) for name, entry in entries.packs.items()},
        sold,
        entries.payments.credits_per_unit,
        entries.payments.link,
    )
