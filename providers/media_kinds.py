"""The media adapters, by kind of provider. A new one is an entry in `MEDIA`."""

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path

import httpx2

from domain.catalog import Modality, Provider
from domain.records import record
from providers.base import MediaProvider
from providers.demo.media import DemoMedia
from providers.elevenlabs.media import ElevenLabsMedia
from providers.fal.media import FalMedia
from providers.gemini import media_jobs, vertex
from providers.openai.media import OpenAIMedia
from providers.openrouter import media as openrouter
from providers.replicate.media import ReplicateMedia
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
    calls_each: frozenset[Modality] = frozenset()
    """Of what it makes, that of which it calls its provider once for each output."""


def _demo(_: Provider, upstream: MediaUpstream) -> MediaProvider:
    return DemoMedia(upstream.demo_folder)


_SPEECH = frozenset({Modality.SPEECH})
_LISTENS = frozenset({Modality.TRANSCRIPTION})
_VISUAL = frozenset({Modality.IMAGE, Modality.VIDEO})
_ALL = _SPEECH | _VISUAL
_IMAGE = frozenset({Modality.IMAGE})
MEDIA: Mapping[str, MediaKind] = {
    "demo": MediaKind(_ALL | _LISTENS, _demo),
    "fal": MediaKind(_ALL, lambda provider, upstream: FalMedia(provider, upstream.http)),
    "replicate": MediaKind(_ALL, lambda provider, upstream: ReplicateMedia(provider, upstream.http)),
    "elevenlabs": MediaKind(_SPEECH, lambda provider, upstream: ElevenLabsMedia(provider, upstream.http)),
    "gemini": MediaKind(_ALL, lambda provider, upstream: media_jobs.at_studio(provider, upstream.http), _IMAGE),
    "vertex": MediaKind(_ALL, lambda provider, upstream: vertex.media(provider, upstream.http), _IMAGE),
    "xai": MediaKind(_VISUAL, lambda provider, upstream: xai.media(provider, upstream.http)),
    "openai": MediaKind(_ALL | _LISTENS, lambda provider, upstream: OpenAIMedia(provider, upstream.http)),
    "openrouter": MediaKind(_VISUAL, lambda provider, upstream: openrouter.media(provider, upstream.http), _IMAGE),
}
