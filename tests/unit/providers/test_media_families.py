"""How requests are written for the models of fal and Replicate."""

from typing import Any

import pytest

from domain.errors import UpstreamRefused
from domain.media import Kind, MediaInput, MediaRequest
from providers.fal import families as fal
from providers.replicate import families as replicate

URI = "data:image/png;base64,cGl4ZWxz"
SEEDANCE = "bytedance/seedance-2.0/text-to-video"
FLARE = "openai/gpt-image-2.5/flare/text-to-image"


def ordered(model: str, kind: Kind, n: int = 1, **parameters: Any) -> MediaRequest:
    return MediaRequest(kind=kind, model=model, prompt="a lake", n=n, parameters=parameters | {"n": n})


def given(*roles: str) -> tuple[MediaInput, ...]:
    return tuple(MediaInput(role, "image/png", b"pixels") for role in roles)


def square(side: int) -> dict[str, int]:
    return {"width": side, "height": side}


@pytest.mark.parametrize(
    ("request_", "roles", "endpoint", "arguments"),
    [
        (
            ordered("fal-ai/flux/schnell", Kind.IMAGE, 2, size="512x512", seed=7, steps=4, guidance=3.5),
            (),
            "fal-ai/flux/schnell",
            {"image_size": square(512), "num_images": 2, "seed": 7, "num_inference_steps": 4, "guidance_scale": 3.5},
        ),
        (
            ordered("fal-ai/nano-banana-pro", Kind.IMAGE, size="4096x4096", output_format="png"),
            (),
            "fal-ai/nano-banana-pro",
            {"aspect_ratio": "1:1", "resolution": "4K", "output_format": "png"},
        ),
        (
            ordered("fal-ai/nano-banana-2", Kind.IMAGE, aspect_ratio="3:2"),
            ("image", "image"),
            "fal-ai/nano-banana-2/edit",
            {"aspect_ratio": "3:2", "image_urls": [URI, URI]},
        ),
        (
            ordered(FLARE, Kind.IMAGE, size="1024x1024", quality="high", background="auto"),
            ("image", "mask"),
            "openai/gpt-image-2.5/flare/edit",
            {"image_size": square(1024), "quality": "high", "image_urls": [URI], "mask_url": URI},
        ),
        (
            ordered("fal-ai/veo3.1", Kind.VIDEO, seconds=8, size="1920x1080", generate_audio=False),
            ("first_frame", "last_frame"),
            "fal-ai/veo3.1/first-last-frame-to-video",
            {"duration": "8s", "aspect_ratio": "16:9", "resolution": "1080p", "generate_audio": False}
            | {"first_frame_url": URI, "last_frame_url": URI},
        ),
        (
            ordered("fal-ai/veo3.1", Kind.VIDEO, seconds=4),
            ("image",),
            "fal-ai/veo3.1/image-to-video",
            {"duration": "4s", "image_url": URI},
        ),
        (
            ordered(SEEDANCE, Kind.VIDEO, seconds=5, size="854x480"),
            (),
            SEEDANCE,
            {"duration": "5", "aspect_ratio": "16:9", "resolution": "480p"},
        ),
        (
            ordered(SEEDANCE, Kind.VIDEO, seconds=5, size="3840x2160"),
            ("first_frame", "last_frame"),
            "bytedance/seedance-2.0/image-to-video",
            {"duration": "5", "aspect_ratio": "16:9", "resolution": "4k", "image_url": URI, "end_image_url": URI},
        ),
    ],
)
def test_fal_is_asked_in_the_words_of_the_family(
    request_: MediaRequest, roles: tuple[str, ...], endpoint: str, arguments: dict[str, Any]
) -> None:
    assert fal.of(request_).written(request_, given(*roles)) == (endpoint, arguments | {"prompt": "a lake"})


def test_a_speech_has_its_text() -> None:
    spoken = ordered("fal-ai/minimax/speech-02-hd", Kind.SPEECH, speed=1.1, language="en")
    assert fal.of(spoken).written(spoken, ())[1] == {"text": "a lake", "speed": 1.1, "language_code": "en"}
    assert replicate.of(spoken).written(spoken, ()) == {"text": "a lake", "speed": 1.1, "language": "en"}


@pytest.mark.parametrize(
    ("request_", "roles", "arguments"),
    [
        (
            ordered("black-forest-labs/flux-schnell", Kind.IMAGE, 4, size="1344x768", seed=7),
            (),
            {"aspect_ratio": "16:9", "num_outputs": 4, "seed": 7},
        ),
        (
            ordered("black-forest-labs/flux-1.1-pro", Kind.IMAGE, size="1024x768"),
            ("image",),
            {"aspect_ratio": "custom", "width": 1024, "height": 768, "image_prompt": URI},
        ),
        (
            ordered("google/veo-3.1", Kind.VIDEO, seconds=6, size="1280x720"),
            ("first_frame", "last_frame", "reference", "reference"),
            {"duration": 6, "aspect_ratio": "16:9", "resolution": "720p", "image": URI, "last_frame": URI}
            | {"reference_images": [URI, URI]},
        ),
        (ordered("stability-ai/sdxl", Kind.IMAGE, size="512x640"), (), {"width": 512, "height": 640}),
        (ordered("minimax/video-01", Kind.VIDEO, seconds=5.5), (), {"duration": 5.5}),
    ],
)
def test_replicate_is_asked_in_the_words_of_the_family(
    request_: MediaRequest, roles: tuple[str, ...], arguments: dict[str, Any]
) -> None:
    assert replicate.of(request_).written(request_, given(*roles)) == arguments | {"prompt": "a lake"}


@pytest.mark.parametrize(
    ("request_", "roles"),
    [
        (ordered("fal-ai/flux/dev", Kind.IMAGE, mood="glad"), ()),
        (ordered("fal-ai/flux/dev", Kind.IMAGE, seconds=5), ()),
        (ordered("fal-ai/flux/dev", Kind.IMAGE), ("audio",)),
        (ordered("fal-ai/flux/dev", Kind.IMAGE), ("image", "image")),
        (ordered("fal-ai/veo3.1", Kind.VIDEO, 2), ()),
        (ordered("fal-ai/veo3.1", Kind.VIDEO), ("last_frame",)),
        (ordered("fal-ai/veo3.1", Kind.VIDEO, size="500x300"), ()),
        (ordered("fal-ai/nano-banana-2", Kind.IMAGE, size="3072x3072"), ()),
        (ordered("fal-ai/nano-banana-2", Kind.IMAGE, size="4096x512"), ()),
        (ordered("fal-ai/wizper", Kind.TRANSCRIPTION), ()),
    ],
)
def test_what_a_model_of_fal_does_not_take_is_refused(request_: MediaRequest, roles: tuple[str, ...]) -> None:
    """It is never left out in silence."""
    with pytest.raises(UpstreamRefused):
        fal.of(request_).written(request_, given(*roles))


@pytest.mark.parametrize(
    ("request_", "roles"),
    [
        (ordered("google/veo-3.1", Kind.VIDEO), ("audio",)),
        (ordered("google/veo-3.1", Kind.VIDEO), ("image", "first_frame")),
        (ordered("black-forest-labs/flux-1.1-pro", Kind.IMAGE, 2), ()),
        (ordered("black-forest-labs/flux-schnell", Kind.IMAGE, size="1000x300"), ()),
        (ordered("openai/whisper", Kind.TRANSCRIPTION), ()),
    ],
)
def test_what_a_model_of_replicate_does_not_take_is_refused(request_: MediaRequest, roles: tuple[str, ...]) -> None:
    with pytest.raises(UpstreamRefused):
        replicate.of(request_).written(request_, given(*roles))
