"""The media adapters, by kind of provider. A new one is an entry in `MEDIA`."""

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path

import httpx2

from domain.catalog import Modality, Provider
from domain.records import record
from providers.base import MediaProvider
from providers.demo.media import DemoMedia


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


MEDIA: Mapping[str, MediaKind] = {
    "demo": MediaKind(frozenset({Modality.IMAGE, Modality.VIDEO, Modality.SPEECH}), _demo),
}
