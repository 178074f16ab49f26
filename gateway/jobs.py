"""Media jobs: what one would cost, and its acceptance. What happens to it then is `workflows/media.py`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from db.media import Accepted, MediaJobs, Order
from domain import media_orders
from domain.caller import Caller
from domain.catalog import Catalog, Modality, Model, Route
from domain.errors import RequestInvalid
from domain.key_rules import KeyRules
from domain.limits import Limits
from domain.media import Job, JobRoute, Kind, MediaRequest
from domain.pricing import FlatTerms
from domain.privacy import PrivacyClass
from gateway import route_rules
from gateway.idempotency import IdempotentRequest
from gateway.ids import new_id

KINDS: Mapping[Modality, Kind] = {
    Modality.IMAGE: Kind.IMAGE,
    Modality.VIDEO: Kind.VIDEO,
    Modality.SPEECH: Kind.SPEECH,
}


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a caller asks for, in the words of a `MediaRequest`."""

    kind: Kind
    model: str
    fields: Mapping[str, Any] = field(repr=False)
    idempotent: IdempotentRequest | None = None
    admitted: bool = False
    """An `Admit` has already counted this request."""
    privacy: PrivacyClass = PrivacyClass.UNKNOWN
    """The weakest class of a route that may make it."""


@dataclass(frozen=True, slots=True)
class PricedJob:
    model: Model
    route: Route
    others: tuple[Route, ...]
    """Its further routes, in order."""
    request: MediaRequest
    terms: FlatTerms


class Jobs:
    """The media jobs of this deployment, as their callers see them."""

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        stored: MediaJobs,
        ceiling: Limits,
        start: Callable[[Job], Awaitable[None]],
    ) -> None:
        self._catalog = catalog
        self._stored = stored
        self._ceiling = ceiling
        self._start = start

    def price(self, order: JobRequest) -> PricedJob:
        """Price a job. Holds nothing. Raises `ModelNotFound`, and `RequestInvalid` for another kind of model."""
        model = self._catalog().find(order.model)
        media_orders.require_kind(model, order.kind)
        route, *others = route_rules.of_class(model.routes, order.privacy, model.id)
        request = MediaRequest(kind=order.kind, model=route.model, privacy=order.privacy, **order.fields)
        return PricedJob(model, route, tuple(others), request, media_orders.price(model, request))

    async def accept(self, caller: Caller, order: JobRequest) -> Accepted:
        """Hold, queue and seal in one transaction; then start the workflow, which the orphan starter does if we cannot.

        Raises what the ledger refuses: nothing is held and nothing sent then.
        """
        priced = self.price(order)
        route = priced.route
        accepted = await self._stored.accept(
            Order(
                job_id=new_id(),
                payer=caller.payer(self._ceiling, datetime.now(UTC)),
                kind=order.kind,
                model=priced.model.id,
                provider=route.provider.name,
                price=priced.terms,
                request=priced.request,
                pro_only=priced.model.pro_only,
                ceiling=self._ceiling,
                admitted=order.admitted,
                claim=order.idempotent.claim if order.idempotent else None,
                cost=media_orders.cost(route.costs, priced.request),
                routes=tuple(_other(each, priced.request) for each in priced.others),
                deadline=priced.model.deadline,
                unroutable=partial(_unroutable, priced),
            )
        )
        if not accepted.replayed:
            await self._start(accepted.job)
        return accepted

    async def owned(self, account_id: UUID, job_id: UUID) -> Job:
        """Find a job of this account. Raises `NotFound`, also for a job of another account."""
        return await self._stored.owned(account_id, job_id)


def _other(route: Route, request: MediaRequest) -> JobRoute:
    cost = media_orders.cost(route.costs, request)
    return JobRoute(provider=route.provider.name, model=route.model, cost=cost)


def _unroutable(priced: PricedJob, rules: KeyRules) -> RequestInvalid | None:
    """The ledger asks it of a key with rules: they may be newer than those that the route was chosen by."""
    try:
        route_rules.of_class([priced.route], rules.privacy.required, priced.model.id)
    except RequestInvalid as error:
        return error
    return None
