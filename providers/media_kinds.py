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
from providers.replicate.media import ReplicateMedia


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


def _demo(_: Provider, upstream: MediaUpstream) -> MediaProvider:
    return DemoMedia(upstream.demo_folder)


_SPEECH = frozenset({Modality.SPEECH})
_QUEUES = _SPEECH | {Modality.IMAGE, Modality.VIDEO}
MEDIA: Mapping[str, MediaKind] = {
    "demo": MediaKind(_QUEUES, _demo),
    "fal": MediaKind(_QUEUES, lambda provider, upstream: FalMedia(provider, upstream.http)),
    "replicate": MediaKind(_QUEUES, lambda provider, upstream: ReplicateMedia(provider, upstream.http)),
    "elevenlabs": MediaKind(_SPEECH, lambda provider, upstream: ElevenLabsMedia(provider, upstream.http)),
}
