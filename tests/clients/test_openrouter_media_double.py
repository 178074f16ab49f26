"""OpenRouter's own SDK takes the double for OpenRouter: images, images in a chat's answer, and videos."""

import base64
from collections.abc import Iterator
from typing import Any, cast

import pytest
from openrouter import OpenRouter, errors

from storage import sniff
from tests.support.doubles.openrouter_media import OpenRouterMedia

MODEL = "google/gemini-3.1-flash-image"


@pytest.fixture(scope="module")
def router() -> Iterator[OpenRouterMedia]:
    with OpenRouterMedia() as server:
        yield server


@pytest.fixture(scope="module")
def client(router: OpenRouterMedia) -> Iterator[Any]:
    with OpenRouter(api_key=router.key, server_url=router.url) as sdk:
        yield cast(Any, sdk)


def test_images(client: Any) -> None:
    reference = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    answer = client.images.generate(
        model=MODEL,
        prompt="a cat",
        n=2,
        aspect_ratio="16:9",
        resolution="2K",
        output_format="jpeg",
        input_references=[reference],
    )
    files = [base64.b64decode(each.b64_json) for each in answer.data]
    assert [sniff.content_type(file) for file in files] == ["image/png"] * 2
    assert answer.usage.cost > 0


def test_images_in_an_answer(client: Any) -> None:
    answer = client.chat.send(
        model=MODEL,
        messages=[{"role": "user", "content": "a cat"}],
        modalities=["image", "text"],
        image_config={"aspect_ratio": "16:9"},
        provider={"data_collection": "deny", "zdr": True},
    )
    assert answer.choices[0].message.images[0].image_url.url.startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("busy", errors.TooManyRequestsResponseError),
        ("refused", errors.BadRequestResponseError),
        ("blocked", errors.ForbiddenResponseError),
        ("no-provider", errors.NotFoundResponseError),
    ],
)
def test_errors(client: Any, fault: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        client.images.generate(model=MODEL, prompt=f"a cat [{fault}]", retries=None)


def test_videos(client: Any) -> None:
    frame = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}, "frame_type": "first_frame"}
    job = client.video_generation.generate(
        model="google/veo-3.1",
        prompt="a cat",
        duration=4,
        resolution="720p",
        aspect_ratio="16:9",
        frame_images=[frame],
        generate_audio=False,
        seed=7,
    )
    assert job.status == "pending"
    states = [client.video_generation.get_generation(job_id=job.id) for _ in range(2)]
    assert [each.status for each in states] == ["pending", "completed"]
    content = client.video_generation.get_video_content(job_id=job.id, index=0)
    assert sniff.content_type(content.read()) == "video/mp4"


def test_a_video_that_fails(client: Any) -> None:
    job = client.video_generation.generate(model="google/veo-3.1", prompt="a cat [fails]")
    states = [client.video_generation.get_generation(job_id=job.id) for _ in range(2)]
    assert (states[1].status, states[1].unsigned_urls) == ("failed", None)
