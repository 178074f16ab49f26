"""OpenAI's SDK takes the double for xAI's images. Its videos answer as recorded: no SDK asks for them over HTTP."""

from collections.abc import Iterator
from typing import Any, cast

import httpx2
import openai
import pytest
from openai import OpenAI

from storage import sniff
from tests.support.doubles import media_files
from tests.support.doubles.xai_media import XaiMedia

PENDING = {"status": "pending", "progress": 40}
DATA_URL = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture(scope="module")
def xai() -> Iterator[XaiMedia]:
    with XaiMedia() as server:
        yield server


@pytest.fixture(scope="module")
def client(xai: XaiMedia) -> Iterator[OpenAI]:
    with OpenAI(api_key=xai.key, base_url=xai.url, max_retries=0) as sdk:
        yield sdk


@pytest.fixture(scope="module")
def http(xai: XaiMedia) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=xai.url, headers={"authorization": f"Bearer {xai.key}"}) as session:
        yield session


def drawn(client: OpenAI, prompt: str, **fields: Any) -> list[Any]:
    answer = cast(Any, client.images.generate)(model="grok-imagine-image", prompt=prompt, **fields)
    return list(answer.data)


def test_images(client: OpenAI) -> None:
    first, second = drawn(client, "a cat", n=2, response_format="b64_json", extra_body={"aspect_ratio": "16:9"})
    assert first.b64_json == second.b64_json
    (linked,) = drawn(client, "a cat")
    assert linked.url.startswith("http")


def test_an_image_of_an_image(client: OpenAI) -> None:
    body = {"model": "grok-imagine-image", "prompt": "green", "image": {"url": DATA_URL, "type": "image_url"}}
    answer = client.post("/images/edits", body=body, cast_to=httpx2.Response)
    assert answer.json()["data"][0]["url"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("busy", openai.RateLimitError),
        ("broken", openai.InternalServerError),
        ("rejected", openai.BadRequestError),
        ("lost", openai.APIConnectionError),
    ],
)
def test_errors(client: OpenAI, fault: str, kind: type[openai.APIError]) -> None:
    with pytest.raises(kind):
        drawn(client, f"a cat [{fault}]")


def test_moderation(client: OpenAI) -> None:
    assert drawn(client, "a cat [moderated]")[0].respect_moderation is False


def test_videos_as_recorded(http: httpx2.Client) -> None:
    order = {"model": "grok-imagine-video", "prompt": "a calm ocean", "duration": 1, "resolution": "480p"}
    submitted = http.post("/videos/generations", json=order).json()
    assert submitted.keys() == {"request_id"}
    path = f"/videos/{submitted['request_id']}"
    first, last = http.get(path), http.get(path)
    assert (first.status_code, first.content) == (202, b"")
    assert (last.status_code, last.json()["status"], last.json()["progress"]) == (200, "done", 100)
    assert last.json()["video"].keys() == {"url", "duration", "respect_moderation"}
    assert sniff.content_type(http.get(last.json()["video"]["url"]).content) == "video/mp4"
    assert media_files.film() == http.get(last.json()["video"]["url"]).content


def test_a_video_that_never_ends(http: httpx2.Client) -> None:
    order = {"model": "grok-imagine-video", "prompt": "a calm ocean [never]"}
    path = f"/videos/{http.post('/videos/generations', json=order).json()['request_id']}"
    http.get(path)
    assert (http.get(path).status_code, http.get(path).json()) == (202, PENDING)
