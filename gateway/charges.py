"""The ledger's operation that charges a call for what it used."""

from dataclasses import replace

from domain import pricing
from domain.operations import SavedTurn, Settle
from domain.pricing import Usage
from gateway import answers, request_meters
from gateway import stream_effects as effects
from gateway.call import Call


def operation(call: Call, charge: effects.Settle) -> Settle:
    """If the call can be replayed, the same transaction stores the encrypted answer."""
    sealed = None
    if call.idempotent is not None and charge.answer is not None:
        sealed = call.idempotent.sealed(charge.answer)
    used = charge.usage
    if charge.unbilled_output:
        used = replace(used, output_tokens=used.output_tokens + charge.unbilled_output)
    provider, cost = provider_cost(call, used)
    return Settle(
        call.hold_id,
        call.reserved.account_id,
        charge.usage,
        charge.minimum,
        sealed=sealed,
        capped=charge.capped,
        provider=provider,
        cost=cost,
        turn=_saved_turn(call, charge),
        model=call.model.id if call.candidates else None,
    )


def provider_cost(call: Call, billed: Usage) -> tuple[str | None, int | None]:
    """Return the provider that answered, and what it bills us in billionths of a credit. None if unknown."""
    route = call.route
    if route is None:
        return None, None
    costs = route.costs.tokens if route.costs else None
    if costs is None:
        return route.provider.name, None
    tier = request_meters.service_tier(costs, call.request.body)
    return route.provider.name, pricing.billionths(costs.requested(tier), billed)


def _saved_turn(call: Call, charge: effects.Settle) -> SavedTurn | None:
    if call.turn is None or charge.answered is None:
        return None
    usage = answers.usage_object(charge.usage)
    return call.turn.saved(charge.answered, {"model": call.request.model, "usage": usage, "charge": call.head.id})
