"""Which models and routes may answer a request, and what each model may use at most."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from domain import pricing
from domain.catalog import Catalog, Model, Route
from domain.errors import GatewayError, ModelNotFound, RequestInvalid
from domain.key_rules import KeyRules
from domain.meters import TokenPrices
from domain.pricing import TextTerms
from domain.results import Admitted
from domain.tokens import InputTokens
from gateway import completions, embeddings, preferences, request_meters, route_rules
from gateway.adapter_calls import adapter_call, dropped_of, route_call
from gateway.candidates import Candidate, prices_of, under
from gateway.input_counts import InputCounts
from gateway.routing import Router
from gateway.unsupported_fields import UnsupportedFields
from gateway.wire import ModelCall
from providers.base import ChatUpstream

_DEFAULT_OUTPUT = 4096
"""Output tokens of a model whose limit is not known."""


class Selection:
    def __init__(
        self,
        catalog: Callable[[], Catalog],
        upstream: Callable[[str], ChatUpstream],
        inputs: InputCounts,
        router: Router,
        unsupported: UnsupportedFields,
    ) -> None:
        self._catalog = catalog
        self._upstream = upstream
        self._inputs = inputs
        self._router = router
        self._unsupported = unsupported

    def model(self, name: str) -> Model:
        """Find an active model, by its id or with the order that it is to be routed by. Raises `ModelNotFound`."""
        return preferences.named(self._catalog(), name)[0]

    async def candidates(self, request: ModelCall, payer: Admitted | None = None) -> list[Candidate]:
        """Return the models that may answer, the preferred one first, with what each may use. Holds nothing.

        Raises `InsufficientCredits` before it counts a large request that `payer` cannot pay for in any case,
        `ModelNotFound` for a name that is no model's, and the first other error if none may.
        """
        names = request.preferences.models if request.preferences is not None else ()
        if not names:
            return [await self._candidate(request, request.model, payer)]
        able, errors = dict[str, Candidate](), list[GatewayError]()
        for name in (request.model, *names):
            await asyncio.sleep(0)  # each counts the input: others have their turn in between
            try:
                candidate = await self._candidate(request, name, payer)
                able.setdefault(candidate.model.id, candidate)
            except ModelNotFound:
                raise ModelNotFound(name, "models" if name in names else "model") from None
            except GatewayError as error:
                errors.append(error)
        if not able:
            raise errors[0]
        return list(able.values())

    def unroutable(self, candidates: Sequence[Candidate], rules: KeyRules) -> RequestInvalid | None:
        """Return the error of a key whose rules leave no route. None if one is left."""
        try:
            under(candidates, rules, self.routes)
        except RequestInvalid as error:
            return error
        return None

    async def _candidate(self, request: ModelCall, name: str, payer: Admitted | None) -> Candidate:
        """Raises what prevents a call of this model: it does not exist, does not take the request, or has no route."""
        catalog = self._catalog()
        model, sort = preferences.named(catalog, name)
        if model.id != request.model:
            request = replace(request, model=model.id)
        request = request_meters.left_out(model, request)
        model, terms, taking = await self._model_and_terms(request, model, payer)
        wanted = request.preferences
        if wanted is not None and wanted.require_parameters:
            taking = await self._taking(replace(request, strict=True), model)
        routes = route_rules.native_first(self._router.ordered(model, taking), request.native)
        if wanted is not None or sort is not None:
            wanted = wanted or preferences.NONE
            preferences.require_price(catalog, model, terms, wanted)
            wanted = wanted if sort is None or wanted.sort else replace(wanted, sort=sort)
            routes = preferences.chosen(routes, wanted, self._router.states.of)
        return Candidate(request, model, terms, routes)

    async def _model_and_terms(
        self, request: ModelCall, model: Model, payer: Admitted | None
    ) -> tuple[Model, TextTerms, tuple[Route, ...]]:
        """Return the model with the routes for the request, what it may cost, and the routes that may answer it."""
        model = completions.with_routes_for(model, request)
        embeddings.require_modality(model, request)
        prices = await self._inputs.large(request, partial(prices_of, request, model, payer))
        taking = await self._taking(request, model)
        return model, self._terms(model, prices, request, await self._inputs.within_window(request, model)), taking

    async def _taking(self, request: ModelCall, model: Model) -> tuple[Route, ...]:
        """`routes`, of a large request in a thread: each route's adapter translates it."""
        routes = partial(self.routes, request, model)
        return routes() if request.needed == frozenset() else await self._inputs.large(request, routes)

    def routes(self, request: ModelCall, model: Model) -> tuple[Route, ...]:
        """Return the routes that may answer. Raises `RequestInvalid` if none may."""
        covered = [route for route in model.routes if self._router.states.covers(route, request.privacy)]
        routes = route_rules.of_class(covered, request.privacy, model.id)
        return route_rules.taking_all(routes, partial(self._dropped, request, model), request.needed)

    def _dropped(self, request: ModelCall, model: Model, route: Route) -> tuple[str, ...]:
        limit = request.output_limit or model.max_output_tokens or _DEFAULT_OUTPUT
        call = adapter_call(request, model, route, limit, self._unsupported.of(route))
        return dropped_of(request, model, route_call(call, self._upstream(route.provider.name)).request())

    def _terms(self, model: Model, prices: TokenPrices, request: ModelCall, counted: InputTokens) -> TextTerms:
        if request.embedding is not None:
            return TextTerms(prices, model.prices.version, counted.bound, counted.count, output_limit=0, model_limit=0)
        size = model.context_window or pricing.MAX_TOKENS
        window = max(1, size - (counted.count if counted.longest is None else counted.longest))
        model_limit = min(model.max_output_tokens or _DEFAULT_OUTPUT, window)
        limit = None if request.output_limit is None else min(request.output_limit, model_limit)
        return TextTerms(
            prices=prices,
            version=model.prices.version,
            input_bound=max(
                counted.count, min(counted.bound, size * request.inputs), request_meters.reread(model, request)
            ),
            input_count=counted.count,
            output_limit=limit,
            model_limit=model_limit,
            choices=request.choices,
        )
