"""A call as the adapter of one route gets it: without what is for this server, or what its model rejects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from domain import meters
from domain.catalog import Capability, Model, Route
from domain.errors import GatewayError, UpstreamError
from gateway.wire import ModelCall
from providers.base import (
    ChatCall,
    ChatUpstream,
    EmbeddingCall,
    Embeddings,
    Headers,
    NativeRequest,
    UpstreamRequest,
    WholeAnswer,
)

_GATEWAY_FIELDS = frozenset({"max_credits", "strict", "privacy"})
"""Fields that are for this server and never go upstream."""
_SAMPLING = frozenset(
    {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "seed"}
)


def chat_call(
    request: ModelCall, model: Model, route: Route, output_limit: int, unsupported: frozenset[str] = frozenset()
) -> ChatCall:
    return ChatCall(
        model=route.model,
        body=_upstream_body(request.body, model.supported_parameters),
        output_limit=output_limit,
        capabilities=_names(route.capabilities),
        passes=route.passes,
        drops=route.drops | unsupported if unsupported else route.drops,
        stream=request.stream,
        choices=request.choices,
        native=_native(request.native, model.supported_parameters),
        max_searches=meters.searches(request.max_searches),
    )


@dataclass(frozen=True, slots=True)
class RouteCall:
    """What the adapter of one route does with a call."""

    request: Callable[[], UpstreamRequest]
    answer: Callable[[bytes], WholeAnswer | Embeddings]
    error: Callable[[int, Headers, bytes], GatewayError]


def route_call(call: ChatCall | EmbeddingCall, upstream: ChatUpstream) -> RouteCall:
    """Raises `UpstreamError` if the route's provider has no adapter for what the request is for."""
    if isinstance(call, ChatCall):
        chat = upstream.adapter
        return RouteCall(partial(chat.request, call), partial(chat.answer, call), partial(chat.error, call))
    embedder = upstream.embeddings
    if embedder is None:
        raise UpstreamError("This provider has no adapter of embeddings here.")
    return RouteCall(partial(embedder.request, call), partial(embedder.answer, call), partial(embedder.error, call))


def adapter_call(
    request: ModelCall, model: Model, route: Route, output_limit: int, unsupported: frozenset[str]
) -> ChatCall | EmbeddingCall:
    if request.embedding is None:
        return chat_call(request, model, route, output_limit, unsupported)
    return _embedding_call(request, model, route, unsupported)


def _embedding_call(request: ModelCall, model: Model, route: Route, unsupported: frozenset[str]) -> EmbeddingCall:
    embedding = request.embedding
    assert embedding is not None  # noqa: S101  # else it is a chat
    return EmbeddingCall(
        model=route.model,
        body=_upstream_body(request.body, model.supported_parameters),
        inputs=embedding.inputs,
        dimensions=embedding.dimensions,
        base64=embedding.base64,
        passes=route.passes,
        drops=route.drops | unsupported,
    )


@lru_cache(maxsize=256)
def _names(capabilities: frozenset[Capability]) -> frozenset[str]:
    return frozenset(str(capability) for capability in capabilities)


@lru_cache(maxsize=1024)
def _rejected(supported: tuple[str, ...] | None) -> frozenset[str]:
    return frozenset() if supported is None else _SAMPLING - set(supported)


@lru_cache(maxsize=1024)
def _left_out(supported: tuple[str, ...] | None) -> frozenset[str]:
    return _GATEWAY_FIELDS | _rejected(supported)


def dropped_of(request: ModelCall, model: Model, upstream: UpstreamRequest) -> tuple[str, ...]:
    """The parameters that a request to a provider leaves out, as the client names them."""
    untranslated = () if upstream.native else tuple(request.untranslated)
    unsent = _rejected(model.supported_parameters)  # by the model: no adapter gets them
    rejected = (name for name, value in request.body.items() if value is not None and name in unsent)
    names = (*rejected, *upstream.dropped)
    return (*dict.fromkeys(map(request.as_written, names)), *untranslated, *request.left_out)


def _native(native: NativeRequest | None, supported: tuple[str, ...] | None) -> NativeRequest | None:
    """Remove from a client's own request what is removed from its translation, where the names are the same."""
    if native is None or _left_out(supported).isdisjoint(native.body):
        return native
    return NativeRequest(native.wire, _upstream_body(native.body, supported))


def _upstream_body(body: Mapping[str, Any], supported: tuple[str, ...] | None) -> dict[str, Any]:
    """Remove our own fields, and the sampling fields that the model rejects with 400."""
    left_out = _left_out(supported)
    return {name: value for name, value in body.items() if name not in left_out}
