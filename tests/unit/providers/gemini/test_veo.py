import base64
from typing import Any

import pytest

from domain.errors import UpstreamError, UpstreamRefused
from domain.media import Kind
from providers.base import Stage
from providers.gemini import veo
from tests.support.doubles import veo_operations
from tests.support.doubles.veo_operations import POLLS, Operation
from tests.support.submissions import submission

MODEL = "veo-3.1-generate-001"
VERTEX_NAME = "projects/p-1/locations/us-central1/publishers/google/models/veo-3.1/operations/abc-1"
STUDIO_NAME = "models/veo-3.1-generate-preview/operations/abc"


def request(*roles: str, vertex: bool = True, **parameters: Any) -> dict[str, Any]:
    body = veo.body(submission(Kind.VIDEO, MODEL, *roles, **parameters), vertex=vertex)
    assert veo_operations.fault(body, vertex) is None
    return body


def image(role: str) -> dict[str, str]:
    return {"bytesBase64Encoded": base64.b64encode(role.encode()).decode(), "mimeType": "image/png"}


def test_parameters() -> None:
    known: Any = {"negative_prompt": "dogs", "seed": 7, "generate_audio": False, "n": 2}
    assert request(size="1280x720", seconds=8.0, **known)["parameters"] == {
        "sampleCount": 2,
        "aspectRatio": "16:9",
        "resolution": "720p",
        "durationSeconds": 8,
        "negativePrompt": "dogs",
        "seed": 7,
        "generateAudio": False,
    }
    assert request(vertex=False, aspect_ratio="9:16", resolution="1080p", seconds=4)["parameters"] == {
        "sampleCount": 1,
        "aspectRatio": "9:16",
        "resolution": "1080p",
        "durationSeconds": 4,
    }


def test_files() -> None:
    (instance,) = request("image", "last_frame", "reference", "reference")["instances"]
    reference = {"image": image("reference"), "referenceType": "asset"}
    assert instance == {
        "prompt": "a cat",
        "image": image("image"),
        "lastFrame": image("last_frame"),
        "referenceImages": [reference, reference],
    }


@pytest.mark.parametrize(
    ("roles", "parameters", "vertex"),
    [
        (("mask",), {}, True),
        (("image", "first_frame"), {}, True),
        ((), {"seed": 7}, False),
        ((), {"style": "x"}, True),
        ((), {"size": "640x100"}, True),
    ],
)
def test_what_veo_has_no_form_for(roles: tuple[str, ...], parameters: dict[str, Any], vertex: bool) -> None:
    with pytest.raises(UpstreamRefused):
        request(*roles, vertex=vertex, **parameters)


@pytest.mark.parametrize("given", [VERTEX_NAME, STUDIO_NAME])
def test_names_of_operations(given: str) -> None:
    assert veo.name({"name": given}) == given


@pytest.mark.parametrize("given", ["", None, 7, "../x", f"{STUDIO_NAME}?key=x", "https://other.test/operations/1"])
def test_what_is_no_name(given: object) -> None:
    with pytest.raises(UpstreamError):
        veo.name({"name": given})


@pytest.mark.parametrize("vertex", [True, False])
@pytest.mark.parametrize(
    ("fault", "stage", "failure", "files"),
    [
        ("", Stage.DONE, None, 2),
        ("partly", Stage.DONE, None, 1),
        ("never", Stage.RUNNING, None, 0),
        ("fails", Stage.FAILED, "upstream_error", 0),
        ("refused-late", Stage.FAILED, "invalid_value", 0),
        ("moderated", Stage.FAILED, "content_policy_violation", 0),
        ("empty", Stage.FAILED, "upstream_error", 0),
    ],
)
def test_operations(vertex: bool, fault: str, stage: Stage, failure: str | None, files: int) -> None:
    operation = Operation("o", {"parameters": {"sampleCount": 2}}, fault, vertex)
    assert veo.progress(operation.answer("https://x.test")).stage is Stage.RUNNING
    operation.polls = POLLS
    answer = operation.answer("https://x.test")
    seen = veo.progress(answer)
    assert (seen.stage, seen.failure) == (stage, failure)
    if files:
        assert len(veo.videos(answer)) == files
