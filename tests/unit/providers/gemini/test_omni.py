from typing import Any

import pytest

from domain.errors import UpstreamError, UpstreamRefused
from domain.media import Kind
from providers.base import Stage
from providers.gemini import omni
from tests.support.doubles import omni_interactions
from tests.support.doubles.omni_interactions import POLLS, Interaction
from tests.support.submissions import submission

MODEL = "gemini-omni-1.1-flash"


def request(*roles: str, **parameters: Any) -> dict[str, Any]:
    body = omni.body(submission(Kind.VIDEO, MODEL, *roles, **parameters))
    assert omni_interactions.fault(body) is None
    return body


def test_a_request() -> None:
    body = request(size="1280x720", seconds=8)
    assert body["response_format"] == {
        "type": "video",
        "aspect_ratio": "16:9",
        "resolution": "720p",
        "duration": "8s",
        "delivery": "uri",
    }
    assert body["input"] == [{"type": "user_input", "content": [{"type": "text", "text": "a cat"}]}]


@pytest.mark.parametrize(
    ("roles", "task"),
    [((), "text_to_video"), (("image",), "image_to_video"), (("reference", "reference"), "reference_to_video")],
)
def test_tasks(roles: tuple[str, ...], task: str) -> None:
    body = request(*roles)
    assert body["generation_config"]["video_config"]["task"] == task
    assert len(body["input"][0]["content"]) == len(roles) + 1


@pytest.mark.parametrize(
    ("roles", "parameters"), [(("last_frame",), {}), ((), {"seed": 7}), ((), {"negative_prompt": "x"}), ((), {"n": 2})]
)
def test_what_these_models_have_no_form_for(roles: tuple[str, ...], parameters: dict[str, Any]) -> None:
    with pytest.raises(UpstreamRefused):
        request(*roles, **parameters)


@pytest.mark.parametrize("answer", [{}, {"id": 7}, {"id": "a/../b"}, {"id": ""}])
def test_what_has_no_id(answer: dict[str, Any]) -> None:
    with pytest.raises(UpstreamError):
        omni.name(answer)


@pytest.mark.parametrize(
    ("fault", "stage", "failure"),
    [
        ("", Stage.DONE, None),
        ("never", Stage.RUNNING, None),
        ("fails", Stage.FAILED, "upstream_error"),
        ("over-budget", Stage.FAILED, "upstream_error"),
        ("incomplete", Stage.FAILED, "upstream_error"),
        ("empty", Stage.FAILED, "upstream_error"),
        ("moderated", Stage.FAILED, "content_policy_violation"),
        ("stops", Stage.CANCELLED, None),
    ],
)
def test_interactions(fault: str, stage: Stage, failure: str | None) -> None:
    one = Interaction("i", {"model": MODEL, "response_format": {"delivery": "uri"}}, fault)
    assert omni.progress(one.answer("https://x.test")).stage is Stage.RUNNING
    one.polls = POLLS
    seen = omni.progress(one.answer("https://x.test"))
    assert (seen.stage, seen.failure) == (stage, failure)
