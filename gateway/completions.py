"""Text completions: which routes can take one, and how many tokens its prompts have."""

from domain import tokens
from domain.catalog import Capability, Model
from domain.tokens import CountText, InputTokens
from gateway.wire import ModelCall


def with_routes_for(model: Model, request: ModelCall) -> Model:
    """Return the model with the routes that can take the request. Raises what it names as inexpressible in a chat."""
    completion = request.completion
    if completion is None or completion.inexpressible is None:
        return model
    routes = tuple(route for route in model.routes if Capability.COMPLETIONS in route.capabilities)
    if not routes:
        raise completion.inexpressible
    return model.model_copy(update={"routes": routes})


def input_tokens(request: ModelCall, model: Model, count: CountText) -> InputTokens:
    """Count the prompts: as a chat where one of the routes makes a chat of them."""
    completion = request.completion
    assert completion is not None  # noqa: S101  # the caller has looked
    if completion.inexpressible is None and not all(Capability.COMPLETIONS in r.capabilities for r in model.routes):
        return tokens.of_request(request.body, count, family=model.vendor, beside=request.native_only)
    each = tokens.of_inputs(completion.inputs, count)
    longest = max(each, key=_count)
    total, bound = sum(map(_count, each)), sum(counted.bound for counted in each)
    return InputTokens(total, bound, longest.least, longest.count)


def _count(counted: InputTokens) -> int:
    return counted.count
