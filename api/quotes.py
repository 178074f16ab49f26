"""`POST /api/billing/quote/`: the credits that a call would hold and could cost. It makes no call."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api import auth, deps, media, model_calls, receipts
from api.body import LargeBodyRoute
from api.deps import CurrentResources, MaySeeBilling
from api.receipts import Bounds, Price
from api.resources import Resources
from api.wire import routing_fields
from api.wire.base import ClientWire, Quoted
from db import accounts
from domain import pricing
from domain.caller import Caller
from domain.catalog import Model
from domain.errors import AmountTooLarge, InsufficientCredits, ModelNotFound, ProRequired
from domain.key_rules import KeyRules
from domain.media import Kind
from domain.pricing import Bound, FlatTerms, TextTerms
from domain.reservations import SpendingLimits
from gateway.call import hold_grows
from gateway.candidates import Candidate, together
from gateway.jobs import JobRequest

router = APIRouter(prefix="/api/billing/quote", tags=["billing"], route_class=LargeBodyRoute)
_BODY = {
    "description": (
        "The body of the call, as `/v1/chat/completions`, `/v1/responses`, `/v1/completions` or `/v1/embeddings` "
        "takes it; as `/v1/messages`, with the header `anthropic-version`; as `/api/chat/stream/`, with `message`, "
        "`save` or `conversation_id`; or as `/api/media/…/`, for its models"
    ),
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["model"],
                "additionalProperties": True,
                "properties": {"model": {"type": "string", "examples": ["demo-chat"]}},
            }
        }
    },
}


class Credits(BaseModel):
    held: int
    """Credits that the call holds before anything is sent."""
    at_most: int
    """The most that the call can cost. More than `held` for a stream without a limit, whose hold grows."""


class Quote(BaseModel):
    kind: str
    model: str
    price: Price
    bounds: Bounds | None
    """Null for a flat price."""
    credits: Credits
    balance: int
    held: int
    """Credits that other calls and jobs hold now."""
    affordable: bool
    limit_source: str | None
    """The limit that does not suffice: `balance`, `key_budget` or `max_credits`."""


@dataclass(frozen=True, slots=True)
class _PricedCall:
    kind: str
    model: Model
    terms: TextTerms | FlatTerms
    max_credits: int | None = None
    grown_limit: int | None = None
    """Output tokens per choice to which the hold can grow. None: it does not grow."""
    pro_only: bool = False
    others: tuple[str, ...] = field(default=(), repr=False)
    """The models beside `model` that may answer."""


@router.post("/", openapi_extra={"requestBody": _BODY})
async def quote(request: Request, caller: MaySeeBilling, resources: CurrentResources) -> Quote:
    """Quote a call. The body is checked as for the call itself; nothing is held, and nothing is sent upstream."""
    priced = await _priced(resources, await model_calls.json_object(request), request, caller)
    for name in (priced.model.id, *priced.others):
        if not caller.may_call(name):
            raise ModelNotFound(name)
    balance = await accounts.committed_balance(resources.database, caller.account_id)
    if (priced.pro_only or priced.model.pro_only) and not balance.plan_active:
        raise ProRequired
    credential, ceiling = caller.credential, resources.ceiling
    budget, tokens = credential.budget_left(ceiling, datetime.now(UTC)), credential.limits.within(ceiling).tokens
    return _quote(priced, SpendingLimits(balance.available, balance.held, budget, priced.max_credits, tokens))


async def _priced(resources: Resources, parsed: dict[str, Any], http: Request, caller: Caller) -> _PricedCall:
    rest, _ = routing_fields.split(parsed)
    name = rest.get("model")
    model = resources.calls.selection.model(name) if isinstance(name, str) and name else None
    if model is not None and model.media is not None:
        kind = Kind(model.modality)
        if kind is Kind.TRANSCRIPTION:
            caller.require_scope("media")  # its recording is read: an upload, or what is behind a URL
        order = _job_request(kind, parsed, await deps.ordering(http, caller))
        priced = await resources.jobs.price(caller.account_id, order)
        return _PricedCall(kind, priced.model, priced.terms)
    wires: Sequence[ClientWire] = http.app.wires
    quoted = Quoted(rest, model, http.scope["headers"])
    wire = next(wire for wire in wires if wire.takes(quoted))
    request = await model_calls.of_request(resources, http, parsed, wire.parse)
    request = request.under(KeyRules(caller.credential.strict, caller.credential.privacy))
    if request.continues:
        caller.require_scope("chat")
        request = replace(request, admitted=await auth.admit(http.scope, caller))
    with resources.bodies.claim() as claim, model_calls.in_the_words_of(request):
        candidates = await resources.calls.candidates(replace(request, claim=claim))
    return _PricedCall(
        request.kind,
        candidates[0].model,
        together(candidates),
        request.max_credits,
        max(filter(None, map(_grown_limit, candidates)), default=None),
        any(candidate.model.pro_only for candidate in candidates),
        tuple(candidate.model.id for candidate in candidates[1:]),
    )


def _grown_limit(candidate: Candidate) -> int | None:
    grows = any(hold_grows(candidate.request, route) for route in candidate.routes)
    return max(candidate.limit, candidate.model.max_output_tokens or 0) if grows else None


def _job_request(kind: Kind, parsed: dict[str, Any], caller: Caller) -> JobRequest:
    try:
        return media.BODIES[kind].model_validate(parsed).order(caller)
    except ValidationError as invalid:  # answered like that of the endpoint itself
        raise RequestValidationError(
            [{**error, "loc": ("body", *error["loc"])} for error in invalid.errors()]
        ) from None


def _quote(priced: _PricedCall, spending: SpendingLimits) -> Quote:
    terms, bound = priced.terms, spending.bound(priced.terms)
    error = spending.shortage(bound.amount)
    if isinstance(error, AmountTooLarge):
        raise error
    text = terms if isinstance(terms, TextTerms) else None
    return Quote(
        kind=priced.kind,
        model=priced.model.id,
        price=receipts.price_of(text.prices if text else None, terms.version, bound.amount),
        bounds=_bounds(text, bound.output_limit, priced.max_credits) if text else None,
        credits=Credits(held=bound.amount, at_most=_at_most(priced, bound)),
        balance=spending.available,
        held=spending.held,
        affordable=error is None,
        limit_source=error.limit_source if isinstance(error, InsufficientCredits) else None,
    )


def _bounds(terms: TextTerms, output_limit: int | None, max_credits: int | None) -> Bounds:
    return Bounds(
        input_tokens=terms.input_bound,
        input_estimate=terms.input_count,
        output_limit=output_limit,
        choices=terms.choices,
        web_searches=receipts.web_searches(terms.prices),
        max_credits=max_credits,
    )


def _at_most(priced: _PricedCall, bound: Bound) -> int:
    if priced.grown_limit is None or not isinstance(priced.terms, TextTerms):
        return bound.amount
    terms = priced.terms
    output = max(terms.model_limit, priced.grown_limit) * terms.choices
    credits = max(bound.amount, pricing.at_most(terms.prices, terms.input_bound, output))
    return credits if priced.max_credits is None else max(bound.amount, min(credits, priced.max_credits))
