from typing import Any

import pytest

from domain.errors import ContentPolicyViolation, UpstreamError, UpstreamRefused
from domain.media import Kind
from domain.privacy import PrivacyClass
from providers.openrouter import images
from tests.support.doubles.openrouter_media import CHAT, IMAGE
from tests.support.submissions import submission

MODEL = "google/gemini-3.1-flash-image"
LINK = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aW1hZ2U="}}


def test_a_request() -> None:
    given: Any = {"quality": "high", "background": "opaque", "output_format": "webp", "seed": 7}
    body = images.written(submission(Kind.IMAGE, MODEL, "image", size="1024x1536", n=2, **given))
    assert body.keys() <= IMAGE
    assert body == {"model": MODEL, "prompt": "a cat", "size": "1024x1536", "n": 2, **given, "input_references": [LINK]}


def test_a_chat_that_makes_an_image() -> None:
    body = images.chat(submission(Kind.IMAGE, MODEL, "image", size="2048x2048", n=2, seed=7), 1)
    assert body.keys() <= CHAT
    assert body == {
        "model": MODEL,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a cat"}, LINK]}],
        "modalities": ["image", "text"],
        "image_config": {"aspect_ratio": "1:1", "image_size": "2K"},
        "seed": 8,
    }


@pytest.mark.parametrize(
    ("privacy", "strict"),
    [(PrivacyClass.UNKNOWN, False), (PrivacyClass.NO_TRAINING, True), (PrivacyClass.ZERO_RETENTION, True)],
)
def test_what_forbids_retention(privacy: PrivacyClass, strict: bool) -> None:
    assert images.forbids_retention(submission(Kind.IMAGE, MODEL, privacy=privacy).request) is strict


@pytest.mark.parametrize(("roles", "parameters"), [(("mask",), {}), ((), {"style": "x"}), ((), {"guidance": 2})])
def test_what_openrouter_has_no_form_for(roles: tuple[str, ...], parameters: dict[str, Any]) -> None:
    with pytest.raises(UpstreamRefused):
        images.written(submission(Kind.IMAGE, MODEL, *roles, **parameters))
    with pytest.raises(UpstreamRefused):
        images.chat(submission(Kind.IMAGE, MODEL, *roles, **parameters), 0)


def test_the_files_of_an_answer() -> None:
    request = submission(Kind.IMAGE, MODEL, n=2).request
    files = images.read({"data": [{"b64_json": "aGk=", "media_type": "image/jpeg"}] * 3}, request)
    assert [(file.content_type, file.content) for file in files] == [("image/jpeg", b"hi")] * 2
    message = {"content": "", "images": [LINK, LINK]}
    (file,) = images.read_chat({"choices": [{"message": message}]})
    assert (file.content_type, file.content) == ("image/png", b"image")


@pytest.mark.parametrize("answer", [{}, {"data": []}, {"data": [{"b64_json": ""}]}])
def test_answers_without_a_file(answer: dict[str, Any]) -> None:
    with pytest.raises(UpstreamError):
        images.read(answer, submission(Kind.IMAGE, MODEL).request)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({}, UpstreamError),
        ({"choices": [{"message": {"content": "No."}, "finish_reason": "stop"}]}, UpstreamRefused),
        ({"choices": [{"finish_reason": "content_filter"}]}, ContentPolicyViolation),
        ({"choices": [{"message": {"images": [{"image_url": {"url": "https://x.test"}}]}}]}, UpstreamError),
        ({"choices": [{"message": {"images": [{}]}}]}, UpstreamError),
    ],
)
def test_chats_without_an_image(answer: dict[str, Any], error: type[UpstreamError]) -> None:
    with pytest.raises(UpstreamError) as raised:
        images.read_chat(answer)
    assert type(raised.value) is error
