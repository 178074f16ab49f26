"""Jobs at Google, OpenAI, xAI and OpenRouter: a catalog of their models, and how jobs end with their faults."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.doubles.google_media import GoogleMedia
from tests.support.doubles.media_double import MediaDouble
from tests.support.doubles.openai_media import OpenAIMediaServer
from tests.support.doubles.openrouter_media import OpenRouterMedia
from tests.support.doubles.sora_server import SoraServer
from tests.support.doubles.xai_media import XaiMedia
from tests.support.key_files import key_file
from tests.support.media_samples import sound

BROKEN, REFUSED, POLICY = "upstream_error", "invalid_value", "content_policy_violation"
PRICES = {"image": ("image", 301), "video": ("call", 5000), "speech": ("call", 700), "transcription": ("second", 90)}
ROUTES: Mapping[str, tuple[str, str, str]] = {
    "studio-image": ("image", "studio", "gemini-3.1-flash-image"),
    "cloud-image": ("image", "cloud", "gemini-3.1-flash-image"),
    "studio-speech": ("speech", "studio", "gemini-3.8-flash-tts"),
    "studio-old-speech": ("speech", "studio", "gemini-2.5-flash-preview-tts"),
    "studio-veo": ("video", "studio", "veo-3.1-generate-preview"),
    "cloud-veo": ("video", "cloud", "veo-3.1-generate-001"),
    "studio-omni": ("video", "studio", "gemini-omni-1.1-flash"),
    "openai-image": ("image", "openai-media", "gpt-image-2"),
    "openai-speech": ("speech", "openai-media", "gpt-4o-mini-tts"),
    "openai-transcript": ("transcription", "openai-media", "gpt-transcribe"),
    "xai-image": ("image", "grok", "grok-imagine-image"),
    "xai-video": ("video", "grok", "grok-imagine-video"),
    "router-image": ("image", "router", "google/gemini-3.1-flash-image"),
    "router-video": ("video", "router", "google/veo-3.1"),
    "sora-video": ("video", "sora", "sora-2"),
}
"""By model: what it makes, its provider and its name there."""
TYPES = {"image": "image/png", "video": "video/mp4", "speech": "audio/wav", "transcription": "application/json"}
ENDS: Mapping[str, Mapping[str, str | None]] = {
    "studio-image": {
        "busy-once": None,
        "unavailable-once": None,
        "slow": None,
        "broken": BROKEN,
        "refused": REFUSED,
        "lost": BROKEN,
        "page": BROKEN,
        "garbage": BROKEN,
        "not-base64": BROKEN,
        "wrong-type": BROKEN,
        "empty": REFUSED,
        "moderated": POLICY,
        "blocked": POLICY,
    },
    "cloud-veo": {
        "lost-poll": None,
        "broken-poll": None,
        "busy-poll": None,
        "lost": BROKEN,
        "no-id": BROKEN,
        "forgotten": BROKEN,
        "fails": BROKEN,
        "refused-late": REFUSED,
        "wrong-type": BROKEN,
        "moderated": POLICY,
    },
    "studio-speech": {"busy-once": None, "blocked": POLICY},
    "studio-veo": {"wrong-type": BROKEN, "moderated": POLICY},
    "studio-omni": {"broken-poll": None, "lost": BROKEN, "moderated": POLICY},
    "openai-image": {
        "busy-once": None,
        "broken": BROKEN,
        "refused": REFUSED,
        "lost": BROKEN,
        "page": BROKEN,
        "garbage": BROKEN,
        "none": BROKEN,
        "empty": BROKEN,
        "wrong-type": BROKEN,
        "moderation": POLICY,
    },
    "openai-speech": {"unavailable-once": None, "lost": BROKEN, "page": BROKEN, "empty": BROKEN, "moderation": POLICY},
    "openai-transcript": {"busy-once": None, "lost": BROKEN, "none": BROKEN, "page": BROKEN, "moderation": POLICY},
    "xai-image": {"lost": BROKEN, "moderated": POLICY, "rejected": POLICY},
    "xai-video": {"broken-poll": None, "elsewhere": BROKEN, "expires": BROKEN, "moderated": POLICY},
    "router-image": {"blocked": POLICY, "error-with-200": BROKEN},
    "router-video": {"busy-poll": None, "fails": BROKEN, "wrong-type": BROKEN},
    "sora-video": {
        "slow": None,
        "busy-once": None,
        "lost-poll": None,
        "unavailable": BROKEN,
        "refused": REFUSED,
        "lost": BROKEN,
        "no-id": BROKEN,
        "fails": BROKEN,
        "wrong-type": BROKEN,
        "empty": BROKEN,
        "moderated": POLICY,
    },
}
"""By model and fault, the code with which a job ends. None: it succeeds. The tests of the adapters have every fault."""
PARTLY = {"studio-image": "moderated-once", "openai-image": "fewer", "xai-image": "partly", "router-image": "partly"}
"""Several images are ordered, and some are made."""


@dataclass(frozen=True, slots=True)
class Case:
    model: str
    fault: str
    failure: str | None

    @property
    def prompt(self) -> str:
        return f"{self.model} [{self.fault}]"

    def __str__(self) -> str:
        return f"{self.model}-{self.fault}"


CASES = [Case(model, fault, failure) for model, faults in ENDS.items() for fault, failure in faults.items()]


def order(model: str, prompt: str, **parameters: Any) -> tuple[str, dict[str, Any]]:
    """The endpoint and the body of a job's order."""
    kind = ROUTES[model][0]
    if kind == "speech":
        return kind, {"model": model, "input": prompt, "voice": "Kore", "response_format": "wav"} | parameters
    if kind == "transcription":
        recording = "data:audio/wav;base64," + base64.b64encode(sound("wav", "pcm_s16le", 1.0, 8000)).decode()
        return kind, {"model": model, "prompt": prompt, "audio": recording} | parameters
    size = {"size": "1024x1024"} if kind == "image" and not model.startswith("router") else {}
    return kind, {"model": model, "prompt": prompt} | size | parameters


@dataclass(frozen=True, slots=True)
class Doubles:
    """The vendors' servers."""

    google: GoogleMedia
    openai: OpenAIMediaServer
    xai: XaiMedia
    router: OpenRouterMedia
    sora: SoraServer

    def all(self) -> list[MediaDouble]:
        return [self.google, self.openai, self.xai, self.router, self.sora]


def catalog(doubles: Doubles) -> str:
    google, openai, xai, router, sora = doubles.google, doubles.openai, doubles.xai, doubles.router, doubles.sora
    providers = [
        _provider("studio", "gemini", f"{google.origin}/v1beta", google.key),
        _provider("cloud", "vertex", f"{google.origin}/v1beta1", json.dumps(key_file(google.origin))),
        _provider("openai-media", "openai", openai.url, openai.key),
        _provider("grok", "xai", xai.url, xai.key),
        _provider("router", "openrouter", router.url, router.key),
        _provider("sora", "openai", sora.url, sora.key),
    ]
    return "\n".join([*providers, *(_model(name, *route) for name, route in ROUTES.items())])


def _provider(name: str, kind: str, url: str, key: str) -> str:
    lines = [f"[providers.{name}]", f'kind = "{kind}"', f'base_url = "{url}"', f"api_key = '''{key}'''"]
    return "\n".join([*lines, 'privacy = "zero_retention"' if name == "router" else 'privacy = "no_training"', ""])


def _model(name: str, kind: str, provider: str, upstream: str) -> str:
    unit, price = PRICES[kind]
    inputs = "inputs.audio = { required = true }" if kind == "transcription" else ""
    return f"""
[models.{name}]
modality = "{kind}"
credits_per_{unit} = {price}
routes = [{{ provider = "{provider}", model = "{upstream}" }}]
{inputs}
"""


def accepted(doubles: list[MediaDouble], prompt: str) -> int:
    """How often a vendor has taken this prompt, and would bill it."""
    return sum(double.accepted[prompt] for double in doubles)
