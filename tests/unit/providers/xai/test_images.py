from typing import Any

import pytest

from domain.errors import ContentPolicyViolation, UpstreamError, UpstreamRefused
from domain.media import Kind
from providers.xai import images
from tests.support.doubles.xai_media import EDIT, IMAGE
from tests.support.submissions import submission

MODEL = "grok-imagine-image"
DATA = "data:image/png;base64,"


def ordered(*roles: str, **parameters: Any) -> tuple[str, dict[str, Any]]:
    path, body = images.written(submission(Kind.IMAGE, MODEL, *roles, **parameters))
    assert body.keys() <= (EDIT if path == images.EDITS else IMAGE)
    return path, body


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        ({}, {}),
        ({"n": 3}, {"n": 3}),
        ({"size": "1024x1024"}, {"aspect_ratio": "1:1", "resolution": "1k"}),
        ({"size": "2048x2048"}, {"aspect_ratio": "1:1", "resolution": "2k"}),
        ({"aspect_ratio": "16:9", "resolution": "2k", "quality": "high"},) * 2,
    ],
)
def test_a_request(parameters: dict[str, Any], fields: dict[str, Any]) -> None:
    plain = {"model": MODEL, "prompt": "a cat", "response_format": "b64_json"}
    assert ordered(**parameters) == (images.GENERATIONS, plain | fields)


def test_files_go_to_the_endpoint_of_edits() -> None:
    path, body = ordered("image")
    assert (path, body["image"]) == ("images/edits", {"url": f"{DATA}aW1hZ2U=", "type": "image_url"})
    assert [each["type"] for each in ordered("image", "reference")[1]["images"]] == ["image_url"] * 2


@pytest.mark.parametrize(("roles", "parameters"), [(("mask",), {}), ((), {"seed": 7}), ((), {"background": "x"})])
def test_what_xai_has_no_form_for(roles: tuple[str, ...], parameters: dict[str, Any]) -> None:
    with pytest.raises(UpstreamRefused):
        ordered(*roles, **parameters)


def test_images_that_are_held_back_are_not_served() -> None:
    request = submission(Kind.IMAGE, MODEL, n=2).request
    shown = {"b64_json": "aGk=", "mime_type": "image/jpeg"}
    (file,) = images.read({"data": [shown, {"url": "", "respect_moderation": False}]}, request)
    assert (file.content_type, file.content) == ("image/jpeg", b"hi")
    assert len(images.read({"data": [shown] * 5}, request)) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"data": [{"respect_moderation": False}]}, ContentPolicyViolation),
        ({"data": []}, UpstreamError),
        ({}, UpstreamError),
        ({"data": [{"b64_json": "%"}]}, UpstreamError),
        ({"data": [{"url": "https://imgen.x.ai/a.jpeg"}]}, UpstreamError),
    ],
)
def test_answers_without_a_file(answer: dict[str, Any], error: type[UpstreamError]) -> None:
    with pytest.raises(UpstreamError) as raised:
        images.read(answer, submission(Kind.IMAGE, MODEL).request)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("status", "text", "moderated"),
    [
        (400, b"Generated image rejected by content moderation.", True),
        (403, b"Content violates usage guidelines", True),
        (400, b"bad", False),
        (500, b"moderation", False),
    ],
)
def test_moderation_is_known_by_its_text(status: int, text: bytes, moderated: bool) -> None:
    assert images.is_moderated(status, text) is moderated
