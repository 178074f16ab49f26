from typing import Any

import pytest

from domain.errors import UpstreamError, UpstreamRefused
from domain.media import Kind
from providers.base import Stage
from providers.openrouter import videos
from tests.support.doubles.openrouter_media import VIDEO
from tests.support.submissions import submission

MODEL = "google/veo-3.1"
LINKS = {"unsigned_urls": ["https://openrouter.ai/api/v1/videos/a/content?index=0"]}


def test_a_request() -> None:
    roles = ("first_frame", "last_frame", "reference")
    body = videos.body(submission(Kind.VIDEO, MODEL, *roles, size="1280x720", seconds=4.0, generate_audio=True, seed=7))
    assert body.keys() <= VIDEO
    assert [frame["frame_type"] for frame in body.pop("frame_images")] == ["first_frame", "last_frame"]
    assert [each["type"] for each in body.pop("input_references")] == ["image_url"]
    plain = {"model": MODEL, "prompt": "a cat", "size": "1280x720", "duration": 4, "generate_audio": True, "seed": 7}
    assert body == plain


@pytest.mark.parametrize(("roles", "parameters"), [(("mask",), {}), ((), {"n": 2}), ((), {"negative_prompt": "x"})])
def test_what_openrouter_has_no_form_for(roles: tuple[str, ...], parameters: dict[str, Any]) -> None:
    with pytest.raises(UpstreamRefused):
        videos.body(submission(Kind.VIDEO, MODEL, *roles, **parameters))


@pytest.mark.parametrize("answer", [{}, {"id": 7}, {"id": "a/../b"}, {"id": ""}])
def test_what_has_no_id(answer: dict[str, Any]) -> None:
    with pytest.raises(UpstreamError):
        videos.name(answer)


@pytest.mark.parametrize(
    ("answer", "stage", "failure"),
    [
        ({"status": "pending"}, Stage.RUNNING, None),
        ({"status": "in_progress"}, Stage.RUNNING, None),
        ({"status": "completed", **LINKS}, Stage.DONE, None),
        ({"status": "completed"}, Stage.FAILED, "upstream_error"),
        ({"status": "failed", "error": "it broke"}, Stage.FAILED, "upstream_error"),
        ({"status": "failed", "error": "violates the content policy"}, Stage.FAILED, "content_policy_violation"),
        ({"status": "expired"}, Stage.FAILED, "upstream_error"),
        ({"status": "cancelled"}, Stage.CANCELLED, None),
        ({}, Stage.FAILED, "upstream_error"),
    ],
)
def test_states(answer: dict[str, Any], stage: Stage, failure: str | None) -> None:
    seen = videos.progress(answer)
    assert (seen.stage, seen.failure) == (stage, failure)
    assert seen.queued is (answer.get("status") == "pending")
