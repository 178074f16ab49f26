"""Media jobs: what one would cost, and its acceptance. What happens to it then is `workflows/media.py`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from db.media import Accepted, MediaJobs
from db.media_orders import Order
from domain import media_orders
from domain.caller import Caller
from domain.catalog import Catalog, Model, Route
from domain.errors import InsufficientCredits, RequestInvalid
from domain.key_rules import KeyRules
from domain.limits import Limits
from domain.media import Job, JobRoute, Kind, MediaRequest
from domain.media_orders import InputCounts
from domain.media_schema import MediaSchema
from domain.money import MINIMUM_CHARGE
from domain.pricing import FlatTerms
from domain.privacy import PrivacyClass
from gateway import route_rules
from gateway.body_budget import BodyClaim
from gateway.idempotency import IdempotentRequest
from gateway.ids import new_id
from gateway.media_inputs import PRICED_IMAGES, GivenInput, MediaInputs, ResolvedInput, counts, split


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a caller asks for, not checked yet. Every endpoint that makes media makes one of these."""

    kind: Kind
    model: str
    prompt: str = field(repr=False)
    """The text of a speech, too. Empty for a transcription without hints."""
    parameters: Mapping[str, object] = field(repr=False)
    """By the names of the catalog. None of them is null: a field that is null was not given."""
    aliases: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The names by which the caller knows some of them: errors have those."""
    files: Mapping[str, Sequence[str | bytes]] = field(default_factory=dict, repr=False)
    """Input files by their role, as those of a form: a parameter of the model's input files is one, too."""
    idempotent: IdempotentRequest | None = None
    admitted: bool = False
    """An `Admit` has already counted this request."""
    privacy: PrivacyClass = PrivacyClass.UNKNOWN
    """The weakest class of a route that may make it."""
    webhook_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PricedJob:
    model: Model
    route: Route
    others: tuple[Route, ...]
    """Its further routes, in order."""
    request: MediaRequest
    terms: FlatTerms


@dataclass(frozen=True, slots=True)
class _Checked:
    """A request that fits its model's schema."""

    model: Model
    route: Route
    others: tuple[Route, ...]
    request: MediaRequest
    inputs: tuple[GivenInput, ...] = field(repr=False)

    def priced(self, inputs: InputCounts) -> PricedJob:
        terms = media_orders.price(self.model, self.request, inputs)
        return PricedJob(self.model, self.route, self.others, self.request, terms)

    def least(self) -> int:
        """Return what the job costs at least, before its recordings are read."""
        if self.request.kind is Kind.TRANSCRIPTION:
            return MINIMUM_CHARGE
        return self.priced(self.counted).terms.amount

    @property
    def counted(self) -> InputCounts:
        return InputCounts(images=sum(one.role in PRICED_IMAGES for one in self.inputs))


class Jobs:
    """The media jobs of this deployment, as their callers see them."""

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        stored: MediaJobs,
        ceiling: Limits,
        start: Callable[[Job], None],
        inputs: MediaInputs,
    ) -> None:
        """`start` has the workflow of an accepted job started soon, and waits for nothing: `JobStarts.add`."""
        self._catalog = catalog
        self._stored = stored
        self._ceiling = ceiling
        self._start, self._inputs = start, inputs

    def schema(self, model: str, kind: Kind) -> MediaSchema:
        """Return what a model takes. Raises `ModelNotFound`, and `RequestInvalid` if it makes something else."""
        return media_orders.schema_of(self._catalog().find(model), kind)

    async def price(self, account_id: UUID, order: JobRequest) -> PricedJob:
        """Check a job by its model's schema, and price it. Holds nothing.

        Only a recording is read: its length has the price. Raises `ModelNotFound`, `RequestInvalid` that names the
        field, and `InsufficientCredits` for a recording of an account without credits.
        """
        checked = self._checked(order)
        if order.kind is not Kind.TRANSCRIPTION:
            return checked.priced(checked.counted)
        async with self._inputs.turn(account_id) as memory:
            return checked.priced(counts(await self._resolved(account_id, checked, memory)))

    async def _resolved(self, account_id: UUID, checked: _Checked, memory: BodyClaim) -> tuple[ResolvedInput, ...]:
        """Read the input files of an account that can pay. Call it in its turn."""
        balance, least = await self._stored.balance(account_id), checked.least()
        if balance.available < least:
            raise InsufficientCredits(least, balance.available, balance.held)
        return await self._inputs.resolve(account_id, checked.inputs, memory)

    def _checked(self, order: JobRequest) -> _Checked:
        model = self._catalog().find(order.model)
        schema = media_orders.schema_of(model, order.kind)
        given, inputs = split(schema, order.parameters, order.files, order.aliases)
        prompt, parameters = schema.checked_text(order.prompt), schema.validated(given, order.aliases)
        route, *others = route_rules.of_class(model.routes, order.privacy, model.id)
        request = MediaRequest(
            kind=order.kind,
            model=route.model,
            prompt=prompt,
            parameters=dict(parameters),
            n=int(parameters.get("n", 1)),
            privacy=order.privacy,
        )
        return _Checked(model, route, tuple(others), request, inputs)

    async def accept(self, caller: Caller, order: JobRequest) -> Accepted:
        """Hold, queue and seal in one transaction. The workflow is started after the answer: nobody waits for Temporal.

        Input files are read before, in the account's turn, and only for an account that can pay. Raises what the ledger
        refuses: nothing is held and nothing sent then.
        """
        checked = self._checked(order)
        if not checked.inputs:
            return await self._accept(caller, order, checked, ())
        async with self._inputs.turn(caller.account_id) as memory:
            claim = order.idempotent.claim if order.idempotent else None
            if claim is not None and (earlier := await self._stored.made_before(caller.account_id, claim)):
                return earlier
            inputs = await self._resolved(caller.account_id, checked, memory)
            return await self._accept(caller, order, checked, inputs)

    async def _accept(
        self, caller: Caller, order: JobRequest, checked: _Checked, inputs: Sequence[ResolvedInput]
    ) -> Accepted:
        counted = counts(inputs)
        priced, route = checked.priced(counted), checked.route
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
                cost=media_orders.cost(route.costs, priced.request, counted),
                routes=tuple(_other(each, priced.request, counted) for each in priced.others),
                deadline=priced.model.deadline,
                unroutable=partial(_unroutable, priced),
                webhook_url=order.webhook_url,
                files=tuple(one.input for one in inputs),
                recorded_seconds=None if counted.seconds is None else float(counted.seconds),
            )
        )
        if not accepted.replayed:
            self._start(accepted.job)
        return accepted

    async def owned(self, account_id: UUID, job_id: UUID) -> Job:
        """Find a job of this account. Raises `NotFound`, also for a job of another account."""
        return await self._stored.owned(account_id, job_id)


def _other(route: Route, request: MediaRequest, inputs: InputCounts) -> JobRoute:
    cost = media_orders.cost(route.costs, request, inputs)
    return JobRoute(provider=route.provider.name, model=route.model, cost=cost)


def _unroutable(priced: PricedJob, rules: KeyRules) -> RequestInvalid | None:
    """The ledger asks it of a key with rules: they may be newer than those that the route was chosen by."""
    try:
        route_rules.of_class([priced.route], rules.privacy.required, priced.model.id)
    except RequestInvalid as error:
        return error
    return None
