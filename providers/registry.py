"""Builds the adapters of a catalog's active providers. The one place that maps a provider's kind to its code."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from domain.catalog import Catalog, Provider, ProviderKind
from domain.errors import UpstreamError
from providers.base import ChatProvider, MediaProvider
from providers.demo.chat import DemoChat
from providers.demo.media import DemoMedia
from providers.openai_aiohttp import OpenAIChat, Timeouts


@dataclass(frozen=True, slots=True)
class Upstream:
    """What adapters share: one connection pool, the timeouts, and a folder for the demo provider."""

    session: aiohttp.ClientSession
    timeouts: Timeouts
    demo_folder: Path


class Registry:
    """Providers by name, made on first use and kept until the catalog is reloaded."""

    def __init__(self, catalog: Callable[[], Catalog], upstream: Upstream) -> None:
        self._catalog = catalog
        self._upstream = upstream
        self._of: Catalog | None = None
        self._chat: dict[str, ChatProvider] = {}
        self._media: dict[str, MediaProvider] = {}

    def chat(self, name: str) -> ChatProvider:
        self._follow_catalog()
        if name not in self._chat:
            self._chat[name] = self._build_chat(self._provider(name))
        return self._chat[name]

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
            self._chat.clear()
            self._media.clear()

    def _provider(self, name: str) -> Provider:
        provider = self._catalog().providers.get(name)
        if provider is None or not provider.active:
            raise UpstreamError
        return provider

    def _build_chat(self, provider: Provider) -> ChatProvider:
        if provider.kind is ProviderKind.DEMO:
            return DemoChat()
        return OpenAIChat(self._upstream.session, provider, self._upstream.timeouts)
