"""Which steps have a span: the ledger's transactions, a media provider's requests, a webhook's attempts."""

from types import MappingProxyType
from typing import Any

from domain.operations import Reserve, Settle
from domain.results import Closed, Extended, Reserved
from tracing import names
from tracing.proxies import Step, Values


def _operation(operation: Any) -> Values:
    match operation:
        case Reserve(kind=kind, model=model):
            return {names.KIND: kind, names.MODEL: model}
        case Settle(usage=usage) if usage is not None:
            return {names.INPUT_TOKENS: usage.input_tokens, names.OUTPUT_TOKENS: usage.output_tokens}
    return {}


def _answer(answer: Any) -> Values:
    match answer:
        case Reserved(amount=amount) | Extended(amount=amount):
            return {names.HELD: amount}
        case Closed(charged=charged, state=state):
            return {names.CHARGED: charged, names.STATE: state.value}
    return {}


LEDGER = MappingProxyType(
    {"ask": Step(lambda operation: f"ledger {type(operation).__name__.lower()}", _operation, _answer)}
)
JOBS = MappingProxyType(
    {
        "accept": Step(
            lambda _: "ledger accept",
            lambda order: {
                names.JOB_ID: str(order.job_id),
                names.KIND: order.kind.value,
                names.MODEL: order.model,
                names.PROVIDER: order.provider,
            },
            lambda accepted: {names.HELD: accepted.job.credits_cost},
        )
    }
)
DELIVERIES = MappingProxyType(
    {
        "attempt": Step(
            lambda _: "webhook attempt",
            lambda delivery_id: {names.DELIVERY_ID: str(delivery_id)},
            lambda step: {names.STATE: str(step.state)},
        )
    }
)


def media_provider(name: str) -> MappingProxyType[str, Step]:
    """Return the steps of one provider of media. The ids that it gives to its work are left out."""
    own: Values = {names.PROVIDER: name}

    def provider(_: object) -> Values:
        return own

    def submission(given: Any) -> Values:
        return {**own, names.JOB_ID: given.reference, names.PROVIDER_MODEL: given.request.model}

    def progress(state: Any) -> Values:
        percent = {} if state.percent is None else {names.PERCENT: state.percent}
        return {names.STATE: state.stage.value, **percent}

    return MappingProxyType(
        {
            "submit": Step(lambda _: "provider submit", submission),
            "find": Step(lambda _: "provider find", provider),
            "poll": Step(lambda _: "provider poll", provider, progress),
            "cancel": Step(lambda _: "provider cancel", provider, progress),
            "discard": Step(lambda _: "provider discard", provider),
        }
    )
