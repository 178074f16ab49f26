from typing import Any

import pytest

from domain.errors import UpstreamError, UpstreamRefused
from domain.media import Kind
from providers.base import Stage
from providers.xai import videos
from tests.support.doubles.xai_media import VIDEO
from tests.support.submissions import submission

MODEL = "grok-imagine-video"
DATA = "data:image/png;base64,"
FINISHED = {"url": "https://vidgen.x.ai/a.mp4", "duration": 4, "respect_moderation": True}


def request(*roles: str, **parameters: Any) -> dict[str, Any]:
    body = videos.body(submission(Kind.VIDEO, MODEL, *roles, **parameters))
    assert body.keys() <= VIDEO
    return body


def test_a_request() -> None:
    body = request("image", size="1280x720", seconds=4.0)
    assert body == {
        "model": MODEL,
        "prompt": "a cat",
        "aspect_ratio": "16:9",
        "resolution": "720p",
        "duration": 4,
        "image": {"url": f"{DATA}aW1hZ2U="},
    }
    assert request("reference", "reference")["reference_images"] == [{"url": f"{DATA}cmVmZXJlbmNl"}] * 2


@pytest.mark.parametrize(
    ("roles", "parameters"),
    [(("last_frame",), {}), (("image", "reference"), {}), ((), {"seed": 7}), ((), {"n": 2}), ((), {"size": "9x999"})],
)
def test_what_xai_has_no_form_for(roles: tuple[str, ...], parameters: dict[str, Any]) -> None:
    with pytest.raises(UpstreamRefused):
        request(*roles, **parameters)


@pytest.mark.parametrize("answer", [{}, {"request_id": 7}, {"request_id": "a/../b"}, {"request_id": ""}])
def test_what_has_no_id(answer: dict[str, Any]) -> None:
    with pytest.raises(UpstreamError):
        videos.name(answer)


@pytest.mark.parametrize(
    ("answer", "stage", "known"),
    [
        ({}, Stage.RUNNING, None),
        ({"status": "pending", "progress": 1}, Stage.RUNNING, 1),
        ({"status": "pending", "progress": 900}, Stage.RUNNING, None),
        ({"status": "done", "video": FINISHED, "progress": 100}, Stage.DONE, 100),
        ({"video": FINISHED}, Stage.DONE, 100),
        ({"status": "done"}, Stage.FAILED, "upstream_error"),
        ({"status": "expired"}, Stage.FAILED, "upstream_error"),
        ({"status": "failed", "error": {"code": "internal"}}, Stage.FAILED, "upstream_error"),
        ({"status": "failed", "error": {"code": "content_moderation"}}, Stage.FAILED, "content_policy_violation"),
        ({"status": "done", "video": {"respect_moderation": False}}, Stage.FAILED, "content_policy_violation"),
        ({"status": "failed", "video": FINISHED}, Stage.FAILED, "upstream_error"),
    ],
)
def test_states(answer: dict[str, Any], stage: Stage, known: int | str | None) -> None:
    seen = videos.progress(answer)
    assert seen.stage is stage
    assert known in (seen.percent, seen.failure)


def test_the_length_of_a_video() -> None:
    assert videos.duration({"video": FINISHED}) == 4
    assert [videos.duration({"video": {"duration": each}}) for each in (None, -1, "4")] == [None] * 3
