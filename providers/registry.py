"""Builds the adapters of a catalog's active providers. The one place that maps a provider's kind to its code."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.catalog import Catalog, Provider, ProviderKind
from domain.errors import UpstreamError
from providers.base import ChatUpstream, MediaProvider, Timeouts, Transport
from providers.demo.media import DemoMedia
from providers.demo.upstream import DemoAdapter, DemoTransport
from providers.openai.adapter import OpenAIAdapter
from providers.openai.request import DOCUMENTED

_CHAT_PARAMETERS = DOCUMENTED - {"messages", "moderation"} | {"max_tokens", "max_completion_tokens"}
PARAMETERS: Mapping[ProviderKind, frozenset[str]] = dict.fromkeys(
    (ProviderKind.DEMO, ProviderKind.OPENAI, ProviderKind.OPENROUTER), _CHAT_PARAMETERS
)
"""What a caller may set of a chat model: the fields of OpenAI's API that the adapters of a kind send upstream."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """What adapters share: the transport, its timeouts, who calls, and a folder for the demo provider."""

    transport: Transport
    timeouts: Timeouts
    demo_folder: Path
    referer: str = ""


class Registry:
    """Providers by name, made on first use and kept until the catalog is reloaded."""

    def __init__(self, catalog: Callable[[], Catalog], upstream: Upstream) -> None:
        self._catalog = catalog
        self._upstream = upstream
        self._of: Catalog | None = None
        self._upstreams: dict[str, ChatUpstream] = {}
        self._media: dict[str, MediaProvider] = {}

    def upstream(self, name: str) -> ChatUpstream:
        """Of chat. Raises `UpstreamError` for a name that the catalog does not know, or has no key for."""
        self._follow_catalog()
        upstream = self._upstreams.get(name)
        if upstream is None:
            upstream = self._upstreams[name] = self._build(self._provider(name))
        return upstream

    def media(self, name: str) -> MediaProvider:
        self._follow_catalog()
        if name not in self._media:
            if self._provider(name).kind is not ProviderKind.DEMO:
                raise UpstreamError("This provider has no media adapter here.")
            self._media[name] = DemoMedia(self._upstream.demo_folder)
        return self._media[name]

    def _follow_catalog(self) -> None:
        catalog = self._catalog()
        if catalog is not self._of:
            self._of = catalog
            self._upstreams.clear()
            self._media.clear()

    def _provider(self, name: str) -> Provider:
        provider = self._catalog().providers.get(name)
        if provider is None or not provider.active:
            raise UpstreamError
        return provider

    def _build(self, provider: Provider) -> ChatUpstream:
        shared = self._upstream
        match provider.kind:
            case ProviderKind.DEMO:
                return ChatUpstream(DemoAdapter(provider), DemoTransport(), shared.timeouts)
            case ProviderKind.OPENAI | ProviderKind.OPENROUTER:
                adapter = OpenAIAdapter(provider, referer=shared.referer)
                return ChatUpstream(adapter, shared.transport, shared.timeouts)
            case _:
                raise UpstreamError("This provider has no chat adapter here.")
