"""Every kind of provider, and the adapters of a catalog's active ones. The one place that maps a kind to its code."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx2

from domain.catalog import ADDRESS, Catalog, Modality, Provider, ProviderKind
from domain.errors import RetentionDenied, UpstreamError
from domain.media import MediaRequest
from domain.privacy import PrivacyClass
from providers.anthropic import request as anthropic_request
from providers.anthropic.adapter import VERSION_OPTION, AnthropicAdapter
from providers.base import ChatUpstream, MediaProvider, Timeouts, Transport
from providers.demo.upstream import DemoAdapter, DemoEmbeddings, DemoTransport
from providers.elevenlabs import voices
from providers.gates import Gate, GatedTransport
from providers.gemini import request as gemini_request
from providers.gemini import vertex
from providers.gemini.adapter import GeminiAdapter
from providers.gemini.embeddings import GeminiEmbeddings
from providers.media_http import media_client
from providers.media_kinds import MEDIA, MediaUpstream
from providers.older_functions import OlderFunctions
from providers.openai import azure, request
from providers.openai.adapter import OpenAIAdapter
from providers.openai.azure import AzureAdapter, AzureEmbeddings
from providers.openai.embeddings import OpenAIEmbeddings
from providers.openai_responses import request as responses_request
from providers.openai_responses.adapter import ResponsesAdapter


@dataclass(frozen=True, slots=True)
class Upstream:
    """What adapters share: clients of HTTP, timeouts, the referer, and a folder for the demo provider."""

    transport: Transport
    timeouts: Timeouts
    demo_folder: Path
    referer: str = ""
    http: httpx2.AsyncClient = field(default_factory=media_client, repr=False)
    """Of media adapters. Its owner closes it."""


@dataclass(frozen=True, slots=True)
class Kind(ProviderKind):
    """What a catalog must know of a kind, and the code for its providers. None means that there is none yet."""

    chat: Callable[[Provider, Upstream], ChatUpstream] | None = None
    media: Callable[[Provider, MediaUpstream], MediaProvider] | None = None


def _openai(provider: Provider, upstream: Upstream) -> ChatUpstream:
    embeddings = OpenAIEmbeddings(provider, referer=upstream.referer)
    adapter = OpenAIAdapter(provider, referer=upstream.referer)
    return ChatUpstream(adapter, upstream.transport, upstream.timeouts, embeddings)


def _openrouter(provider: Provider, upstream: Upstream) -> ChatUpstream:
    adapter = OpenAIAdapter(provider, referer=upstream.referer, openrouter=True)
    embeddings = OpenAIEmbeddings(provider, referer=upstream.referer, openrouter=True)
    return ChatUpstream(adapter, upstream.transport, upstream.timeouts, embeddings)


def _azure(provider: Provider, upstream: Upstream) -> ChatUpstream:
    embeddings = AzureEmbeddings(provider, referer=upstream.referer)
    adapter = AzureAdapter(provider, referer=upstream.referer)
    return ChatUpstream(adapter, upstream.transport, upstream.timeouts, embeddings)


def _anthropic(provider: Provider, upstream: Upstream) -> ChatUpstream:
    return ChatUpstream(AnthropicAdapter(provider, referer=upstream.referer), upstream.transport, upstream.timeouts)


def _gemini(provider: Provider, upstream: Upstream) -> ChatUpstream:
    adapter, embeddings = GeminiAdapter(provider, models="models"), GeminiEmbeddings(provider)
    return ChatUpstream(OlderFunctions(adapter), upstream.transport, upstream.timeouts, embeddings)


def _vertex(provider: Provider, upstream: Upstream) -> ChatUpstream:
    chat_upstream = vertex.upstream(provider, upstream.transport, upstream.timeouts)
    return replace(chat_upstream, adapter=OlderFunctions(chat_upstream.adapter))


def _responses(provider: Provider, upstream: Upstream) -> ChatUpstream:
    adapter = OlderFunctions(ResponsesAdapter(provider, referer=upstream.referer))
    return ChatUpstream(adapter, upstream.transport, upstream.timeouts)


def _demo(provider: Provider, upstream: Upstream) -> ChatUpstream:
    return ChatUpstream(DemoAdapter(provider), DemoTransport(), upstream.timeouts, DemoEmbeddings(provider))


def _with_media(name: str, kind: Kind) -> Kind:
    """Add the adapter of media, if there is one for this kind."""
    media = MEDIA.get(name)
    if media is None:
        return kind
    return replace(kind, makes=kind.makes | media.makes, media=media.adapter, calls_each=media.calls_each)


_TEXT = frozenset({Modality.TEXT})
_EMBEDDING = frozenset({Modality.EMBEDDING})
_OWN: Mapping[str, Kind] = {
    "openai": Kind(_TEXT | _EMBEDDING, request.PARAMETERS, needs=frozenset({ADDRESS}), chat=_openai),
    "azure": Kind(_TEXT | _EMBEDDING, request.PARAMETERS, options=azure.OPTIONS, chat=_azure),
    "openrouter": Kind(_TEXT | _EMBEDDING, request.PARAMETERS, chat=_openrouter),
    "demo": Kind(_TEXT | _EMBEDDING, request.PARAMETERS, needs=frozenset(), chat=_demo),
    "openai_responses": Kind(_TEXT, responses_request.PARAMETERS, needs=frozenset({ADDRESS}), chat=_responses),
    "anthropic": Kind(
        _TEXT, anthropic_request.PARAMETERS, options=frozenset({VERSION_OPTION}), rereads=True, chat=_anthropic
    ),
    "gemini": Kind(_TEXT | _EMBEDDING, gemini_request.PARAMETERS, chat=_gemini),
    "vertex": Kind(
        _TEXT,
        gemini_request.PARAMETERS,
        options=vertex.OPTIONS,
        problem=vertex.problem,
        chat=_vertex,
    ),
    "elevenlabs": Kind(options=frozenset({voices.OPTION}), problem=voices.problem),
}
"""Kinds that make texts, or take options of their own. What a kind makes of media is in `MEDIA`."""
KINDS: Mapping[str, Kind] = {name: _with_media(name, _OWN.get(name, Kind())) for name in {**_OWN, **MEDIA}}
"""Every kind of provider, by the name that a catalog file gives it."""


def _with_every_key(
    provider: Provider, make: Callable[[Provider, Upstream], ChatUpstream], upstream: Upstream
) -> ChatUpstream:
    keys = [provider.model_copy(update={"api_key": key}) for key in provider.more_keys]
    return replace(make(provider, upstream), more=tuple(make(each, upstream) for each in keys))


def _fingerprint(provider: Provider) -> str:
    """Name the provider's first key by something that tells nothing of it."""
    if provider.api_key is None:
        return ""
    return hashlib.sha256(f"{provider.name}|{provider.api_key.get_secret_value()}".encode()).hexdigest()[:8]


class Registry:
    """Providers by name, made on first use and kept until the catalog is reloaded."""

    def __init__(self, catalog: Callable[[], Catalog], upstream: Upstream) -> None:
        self._catalog = catalog
        self._upstream = upstream
        self._of: Catalog | None = None
        self._upstreams: dict[str, ChatUpstream] = {}
        self._gates: dict[str, Gate] = {}
        """They stay when the catalog is reloaded: calls are under way."""
        self._media: dict[str, dict[str, MediaProvider]] = {}

    def upstream(self, name: str) -> ChatUpstream:
        """Return a provider of chat. Raises `UpstreamError` if the catalog lacks its name or its key."""
        self._follow_catalog()
        upstream = self._upstreams.get(name)
        if upstream is None:
            provider = self._provider(name)
            make = KINDS[provider.kind].chat
            if make is None:
                raise UpstreamError("This provider has no chat adapter here.")
            upstream = self._upstreams[name] = self._limited(provider, _with_every_key(provider, make, self._upstream))
        return upstream

    def _limited(self, provider: Provider, upstream: ChatUpstream) -> ChatUpstream:
        """Put the provider's gate before its transport, if the catalog limits its calls."""
        if provider.max_concurrent is None and provider.requests_per_minute is None:
            return upstream
        gate = self._gates.setdefault(provider.name, Gate())
        gate.set_limits(provider.max_concurrent, provider.requests_per_minute, provider.max_wait)
        more = tuple(replace(each, transport=GatedTransport(each.transport, gate)) for each in upstream.more)
        return replace(upstream, transport=GatedTransport(upstream.transport, gate), more=more)

    def media(self, name: str, request: MediaRequest | None = None) -> Mapping[str, MediaProvider]:
        """Return a provider of media with each of its keys, in their order, by the keys' fingerprints.

        Raises `RetentionDenied` if by now it keeps more than the request allows.
        """
        self._follow_catalog()
        if request is not None and request.privacy is not PrivacyClass.UNKNOWN:
            self._require_class(name, request)
        if name not in self._media:
            provider = self._provider(name)
            make = KINDS[provider.kind].media
            if make is None:
                raise UpstreamError("This provider has no media adapter here.")
            upstream = MediaUpstream(self._upstream.http, self._upstream.demo_folder)
            keys = [provider.model_copy(update={"api_key": key}) for key in (provider.api_key, *provider.more_keys)]
            self._media[name] = {_fingerprint(each): make(each, upstream) for each in keys}
        return self._media[name]

    def _require_class(self, name: str, request: MediaRequest) -> None:
        """The catalog may have been changed while the job waited."""
        routes = [route for model in self._catalog().active_models() for route in model.routes]
        ours = [route.privacy for route in routes if route.key == (name, request.model)]
        if not PrivacyClass.weakest(*ours).covers(request.privacy):
            raise RetentionDenied

    def _follow_catalog(self) -> None:
        catalog = self._catalog()
        if catalog is not self._of:
            self._upstreams.clear()
            self._media.clear()
            self._of = catalog  # last: threads of `gateway.fair_turns` look here, too

    def _provider(self, name: str) -> Provider:
        provider = self._catalog().providers.get(name)
        if provider is None or not provider.active:
            raise UpstreamError
        return provider
