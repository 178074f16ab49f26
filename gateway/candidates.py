"""The models that may answer one call: what it may cost at most, whichever of them does.

A call holds the most that any of them may cost. Each has its own prices on the hold, as service tiers have: the usage
of a call that another model answers names that model's, and so it is charged.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256

from domain import meters, pricing, tokens
from domain.catalog import Model, Route
from domain.errors import ContextLengthExceeded, InsufficientCredits, RequestInvalid
from domain.key_rules import KeyRules
from domain.meters import MODEL, Meter, Rates, Tier, TokenPrices
from domain.pricing import TextTerms, Usage
from domain.records import record
from domain.results import Admitted
from gateway import request_meters
from gateway.wire import ModelCall


@record
class Candidate:
    """A model that may answer, with what it may cost and the routes to it."""

    request: ModelCall
    model: Model
    terms: TextTerms
    routes: tuple[Route, ...]

    @property
    def limit(self) -> int:
        """Output tokens per choice that it may write."""
        return self.terms.output_limit or self.terms.model_limit


def together(candidates: Sequence[Candidate]) -> TextTerms:
    """The terms of a call that any of these models may answer."""
    first, *others = [candidate.terms for candidate in candidates]
    if not others:
        return first
    limits = [terms.output_limit for terms in (first, *others)]
    known = [limit for limit in limits if limit is not None]
    versions = ",".join([first.version, *[terms.version for terms in others]])
    return replace(
        first,
        prices=_prices(candidates),
        version=sha256(versions.encode()).hexdigest()[:12],
        input_bound=max(terms.input_bound for terms in (first, *others)),
        output_limit=max(known) if known else None,
        model_limit=max(terms.model_limit for terms in (first, *others)),
    )


def under(
    candidates: Sequence[Candidate], rules: KeyRules, routes_of: Callable[[ModelCall, Model], tuple[Route, ...]]
) -> list[Candidate]:
    """Return the candidates with the routes that the key's rules allow. Raises `RequestInvalid` if none is left."""
    able, errors = [], []
    for candidate in candidates:
        request = candidate.request.under(rules)
        try:
            taking = {route.key for route in routes_of(request, candidate.model)}
        except RequestInvalid as error:
            errors.append(error)
            continue
        if routes := tuple(route for route in candidate.routes if route.key in taking):
            able.append(replace(candidate, request=request, routes=routes))
    if not able:
        raise (
            errors[0]
            if errors
            else RequestInvalid("No route that 'provider' allows is one that the key allows.", param="provider")
        )
    return able


def _prices(candidates: Sequence[Candidate]) -> TokenPrices:
    first, *others = candidates
    tiers = dict(first.terms.prices.service_tiers)
    for other in others:
        prices = other.terms.prices
        tiers[_tier(other.model.id)] = TokenPrices(prices.rates, prices.tiers)
        for name, tier in prices.service_tiers.items():
            tiers[_tier(other.model.id, name)] = tier
    whole = TokenPrices(first.terms.prices.rates, first.terms.prices.tiers, tiers)
    return _filled(whole, _meters(whole))


def _meters(prices: TokenPrices) -> frozenset[str]:
    own = set(prices.rates).union(*[tier.rates for tier in prices.tiers])
    return frozenset(own.union(*[_meters(tier) for tier in prices.service_tiers.values()]))


def _filled(prices: TokenPrices, names: frozenset[str]) -> TokenPrices:
    """All rates of a hold price the same meters. A missing one has the rate by which it is counted anyway."""
    tiers = tuple(Tier(tier.above, _with(tier.rates, names)) for tier in prices.tiers)
    others = {name: _filled(tier, names) for name, tier in prices.service_tiers.items()}
    return TokenPrices(_with(prices.rates, names), tiers, others)


def _with(rates: Rates, names: frozenset[str]) -> Rates:
    return {**{name: meters.rate(rates, Meter(name)) for name in names}, **rates}


def _tier(model: str, service_tier: str | None = None) -> str:
    return f"{MODEL}{model}" if service_tier is None else f"{MODEL}{model} {service_tier}"


def billed(used: Usage, answering: Candidate, *, first: bool) -> Usage:
    """The usage with the name of the prices by which it is charged."""
    if first:
        named = used.service_tier is not None and used.service_tier.startswith(MODEL)
        return replace(used, service_tier=None) if named else used
    known = used.service_tier if used.service_tier in answering.terms.prices.service_tiers else None
    return replace(used, service_tier=_tier(answering.model.id, known))


def prices_of(request: ModelCall, model: Model, payer: Admitted | None) -> TokenPrices:
    """Return the prices of a call. Raises `RequestInvalid` for what the model does not price.

    A large request that is too large in any case is refused too, as in `refuse_hopeless`.
    """
    prices = request_meters.prices_of(model, request.body, request.native.body if request.native else None)
    if request.big:
        refuse_hopeless(request, model, prices, payer)
    return prices


def refuse_hopeless(request: ModelCall, model: Model, prices: TokenPrices, payer: Admitted | None) -> None:
    """Refuse a request that is too large however its tokens are counted. An exact count would take seconds."""
    if request.embedding is None:
        min_tokens = tokens.at_least(request.body)
    else:
        min_tokens = tokens.inputs_at_least(request.embedding.inputs)
    if request.embedding is None and model.context_window is not None and min_tokens > model.context_window:
        raise ContextLengthExceeded(
            f"The input has at least {min_tokens} tokens; the context window of this model is {model.context_window} "
            "tokens (context_length_exceeded)."
        )
    required = pricing.at_most(prices, min_tokens, 0)
    if payer is not None and required > payer.available:
        raise InsufficientCredits(required, payer.available, payer.held)
