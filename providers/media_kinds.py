"""The media adapters, by kind of provider. A new one is an entry in `MEDIA`."""

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path

import httpx2

from domain.catalog import Modality, Provider
from domain.records import record
from providers.base import MediaProvider
from providers.demo.media import DemoMedia
from providers.gemini import media_jobs, vertex
from providers.openrouter import media as openrouter
from providers.xai import media as xai


@record
class MediaUpstream:
    """What media adapters share."""

    http: httpx2.AsyncClient = field(repr=False)
    """For `MediaHttp` of `providers/media_http.py`."""
    demo_folder: Path


@record
class MediaKind:
    makes: frozenset[Modality]
    """What the adapter makes: a catalog with another model of this kind is refused."""
    adapter: Callable[[Provider, MediaUpstream], MediaProvider]


def _gemini(provider: Provider, upstream: MediaUpstream) -> MediaProvider:
    return media_jobs.at_studio(provider, upstream.http)


def _vertex(provider: Provider, upstream: MediaUpstream) -> MediaProvider:
    return vertex.media(provider, upstream.http)


def _xai(provider: Provider, upstream: MediaUpstream) -> MediaProvider:
    return xai.media(provider, upstream.http)


def _openrouter(provider: Provider, upstream: MediaUpstream) -> MediaProvider:
    return openrouter.media(provider, upstream.http)


def _demo(_: Provider, upstream: MediaUpstream) -> MediaProvider:
    return DemoMedia(upstream.demo_folder)


_VISUAL = frozenset({Modality.IMAGE, Modality.VIDEO})
_SPOKEN = frozenset({Modality.SPEECH})
MEDIA: Mapping[str, MediaKind] = {
    "demo": MediaKind(_VISUAL | _SPOKEN, _demo),
    "gemini": MediaKind(_VISUAL | _SPOKEN, _gemini),
    "vertex": MediaKind(_VISUAL | _SPOKEN, _vertex),
    "xai": MediaKind(_VISUAL, _xai),
    "openrouter": MediaKind(_VISUAL, _openrouter),
}
