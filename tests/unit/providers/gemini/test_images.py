import base64
from typing import Any

import pytest

from domain.errors import ContentPolicyViolation, UpstreamError, UpstreamRefused
from domain.media import Kind
from providers.gemini import images
from tests.support.doubles.google_media import ENDS, PICTURE, inline
from tests.support.gemini_answers import response, text
from tests.support.submissions import submission

MODEL = "gemini-3.1-flash-image"


@pytest.mark.parametrize(
    ("parameters", "image"),
    [
        ({}, None),
        ({"size": "1024x1024"}, {"aspectRatio": "1:1", "imageSize": "1K"}),
        ({"size": "1344x768"}, {"aspectRatio": "16:9", "imageSize": "1K"}),
        ({"size": "1792x1024"}, {"aspectRatio": "16:9", "imageSize": "1K"}),
        ({"size": "1024x1536"}, {"aspectRatio": "2:3", "imageSize": "1K"}),
        ({"size": "512x512"}, {"aspectRatio": "1:1", "imageSize": "512"}),
        ({"size": "2048x2048"}, {"aspectRatio": "1:1", "imageSize": "2K"}),
        ({"size": "4096x4096"}, {"aspectRatio": "1:1", "imageSize": "4K"}),
        ({"size": "auto", "aspect_ratio": None}, None),
        ({"aspect_ratio": "21:9", "resolution": "4K"}, {"aspectRatio": "21:9", "imageSize": "4K"}),
    ],
)
def test_sizes(parameters: dict[str, Any], image: dict[str, str] | None) -> None:
    body = images.body(submission(Kind.IMAGE, MODEL, n=2, **parameters), 0)
    assert body["generationConfig"].get("imageConfig") == image
    assert body["generationConfig"]["responseModalities"] == ["TEXT", "IMAGE"]


def test_each_image_has_a_seed_of_its_own() -> None:
    ordered = submission(Kind.IMAGE, MODEL, n=2, seed=7)
    assert [images.body(ordered, index)["generationConfig"]["seed"] for index in (0, 1)] == [7, 8]


def test_files_come_before_the_prompt() -> None:
    (turn,) = images.body(submission(Kind.IMAGE, MODEL, "image", "reference"), 0)["contents"]
    encoded = [base64.b64encode(role).decode() for role in (b"image", b"reference")]
    files = [{"inlineData": {"mimeType": "image/png", "data": each}} for each in encoded]
    assert turn == {"role": "user", "parts": [*files, {"text": "a cat"}]}


@pytest.mark.parametrize(
    ("roles", "parameters"),
    [((), {"quality": "high"}), ((), {"size": "1000x100"}), (("mask",), {}), ((), {"seed": "x"}), ((), {"style": "x"})],
)
def test_what_gemini_has_no_form_for(roles: tuple[str, ...], parameters: dict[str, Any]) -> None:
    with pytest.raises(UpstreamRefused):
        images.body(submission(Kind.IMAGE, MODEL, *roles, **parameters), 0)


def test_the_files_of_an_answer() -> None:
    thought = inline("image/png", b"thought", thought=True)
    answer = response(text("Here."), thought, PICTURE, inline("audio/wav", b"x"), inline("image/jpeg", b"two"))
    files = images.read(answer)
    assert [file.content_type for file in files] == ["image/png", "image/jpeg"]
    assert files[1].content == b"two"


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        ("moderated", ContentPolicyViolation),
        ("prohibited", ContentPolicyViolation),
        ("no-image", ContentPolicyViolation),
        ("blocked", ContentPolicyViolation),
        ("empty", UpstreamRefused),
        ("no-candidates", UpstreamError),
        ("not-base64", UpstreamError),
        ("error-with-200", UpstreamError),
    ],
)
def test_answers_without_a_file(ending: str, error: type[UpstreamError]) -> None:
    with pytest.raises(UpstreamError) as raised:
        images.read(ENDS[ending]())
    assert type(raised.value) is error
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize("answer", [{}, {"candidates": None}, {"candidates": [7]}, {"candidates": [{"content": 7}]}])
def test_what_is_no_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(UpstreamError):
        images.read(answer)
