"""What outputs and errors of fal and Replicate mean."""

import json
from typing import Any

import pytest

from domain.errors import ContentPolicyViolation
from providers import remote_files
from providers.base import Progress, Stage
from providers.fal import results as fal
from providers.fal.results import RequestFailed
from providers.remote_files import MAX_FILES, RemoteFile
from providers.replicate import results as replicate

PNG, MP4 = "https://v3.fal.media/files/a.png", "https://v3.fal.media/files/a.mp4"
PICTURE = {"url": PNG, "width": 64, "height": 48, "content_type": "image/png"}


@pytest.mark.parametrize(
    ("value", "files"),
    [
        (PNG, [RemoteFile(PNG, "image/png")]),
        ([PNG, MP4], [RemoteFile(PNG, "image/png"), RemoteFile(MP4, "video/mp4")]),
        (PICTURE, [RemoteFile(PNG, "image/png", 64, 48)]),
        ({"url": PNG, "width": "64", "height": -1, "content_type": None}, [RemoteFile(PNG, "image/png")]),
        ({"a": {"b": [PICTURE]}, "seed": 7, "text": "words"}, [RemoteFile(PNG, "image/png", 64, 48)]),
        ([[[[[[PNG]]]]]], []),
        ([PNG] * 1000, [RemoteFile(PNG, "image/png")] * MAX_FILES),
        (None, []),
        ("a text with https://v3.fal.media/files/a.png", []),
        ({"url": ["x"]}, []),
    ],
)
def test_files_are_found_in_every_shape(value: Any, files: list[RemoteFile]) -> None:
    assert remote_files.of(value) == files


@pytest.mark.parametrize(
    ("file", "extension"),
    [
        (RemoteFile(PNG, "image/png"), "png"),
        (RemoteFile("https://x.test/a.webp"), "webp"),
        (RemoteFile("https://x.test/a.b/c"), "bin"),
        (RemoteFile("https://x.test/a.PNG?x=y"), "png"),
        (RemoteFile(MP4, "video/mp4"), "mp4"),
    ],
)
def test_a_file_has_an_extension(file: RemoteFile, extension: str) -> None:
    assert file.extension == extension


def test_no_address_is_printed() -> None:
    assert "fal.media" not in repr(remote_files.of([PICTURE]))


@pytest.mark.parametrize(
    ("output", "count"),
    [
        ({"images": [PICTURE] * 3, "prompt": "x"}, 3),
        ({"image": PICTURE}, 1),
        ({"video": {"url": MP4}, "images": []}, 1),
        ({"audio": {"url": "https://v3.fal.media/a.mp3"}}, 1),
        ({"images": [PICTURE] * 2, "has_nsfw_concepts": [True, False]}, 1),
        ({"images": [PICTURE], "has_nsfw_concepts": None}, 1),
        ({"images": [PICTURE] * 2, "has_nsfw_concepts": [False]}, 2),
    ],
)
def test_an_output_of_fal_has_its_files(output: Any, count: int) -> None:
    assert len(fal.files(output)) == count


@pytest.mark.parametrize(
    ("output", "failure"),
    [
        ({"images": [PICTURE], "has_nsfw_concepts": [True]}, "content_policy_violation"),
        ({"images": []}, "upstream_error"),
        ({"text": "words"}, "upstream_error"),
        ([], "upstream_error"),
        (None, "upstream_error"),
    ],
)
def test_an_output_of_fal_without_files_has_failed(output: Any, failure: str) -> None:
    with pytest.raises(RequestFailed) as raised:
        fal.files(output)
    assert raised.value.progress == Progress(Stage.FAILED, failure=failure)


def failed(failure: str) -> Progress:
    return Progress(Stage.FAILED, failure=failure)


@pytest.mark.parametrize(
    ("status", "headers", "body", "progress"),
    [
        (422, {}, {"detail": [{"type": "content_policy_violation", "msg": "x"}]}, failed("content_policy_violation")),
        (422, {}, {"detail": [{"type": "image_too_large"}]}, failed("invalid_value")),
        (400, {}, {"detail": "x"}, failed("invalid_value")),
        (504, {"x-fal-error-type": "request_timeout"}, None, failed("upstream_timeout")),
        (504, {}, {"detail": "x", "error_type": "startup_timeout"}, failed("upstream_timeout")),
        (503, {}, {"detail": "x", "error_type": "runner_disconnected"}, failed("upstream_error")),
        (503, {"x-fal-request-id": "1"}, "words", failed("upstream_error")),
        (500, {}, "words", failed("upstream_error")),
        (499, {}, {"error_type": "client_cancelled"}, Progress(Stage.CANCELLED)),
        (503, {}, "<html>nginx", None),
        (502, {}, {"detail": "x"}, None),
        (429, {}, {"detail": "x"}, None),
        (401, {}, {"detail": "x"}, None),
        (404, {}, {"detail": "x"}, None),
    ],
)
def test_an_error_in_place_of_a_result_tells_how_it_ended(
    status: int, headers: dict[str, str], body: Any, progress: Progress | None
) -> None:
    """Or nothing: then the result is asked for again."""
    ended = None
    try:
        fal.failed_request(status, headers, json.dumps(body).encode())
    except RequestFailed as error:
        ended = error.progress
    assert ended == progress


@pytest.mark.parametrize(
    ("status", "error_type", "error"),
    [
        (422, "content_policy_violation", ContentPolicyViolation),
        (422, "value_error", type(None)),
        (500, "content_policy_violation", type(None)),
    ],
)
def test_an_error_in_place_of_an_acceptance_may_be_about_the_content(
    status: int, error_type: str, error: type[object]
) -> None:
    body = json.dumps({"detail": [{"type": error_type}]}).encode()
    assert type(fal.refused_submission(status, {}, body)) is error


@pytest.mark.parametrize(
    ("prediction", "progress"),
    [
        ({"status": "starting", "logs": ""}, Progress(Stage.RUNNING, queued=True)),
        ({"status": "processing", "logs": " 0%|  | 0/5\n 40%|██  | 2/5"}, Progress(Stage.RUNNING, 40)),
        ({"status": "processing", "logs": "100%|███| 5/5"}, Progress(Stage.RUNNING, 99)),
        ({"status": "processing", "logs": None}, Progress(Stage.RUNNING)),
        ({"status": "queued"}, Progress(Stage.RUNNING)),
        ({"status": None}, Progress(Stage.RUNNING)),
        ({}, Progress(Stage.RUNNING)),
        ({"status": "succeeded", "output": PNG}, Progress(Stage.DONE)),
        ({"status": "succeeded", "output": [PNG]}, Progress(Stage.DONE)),
        ({"status": "succeeded", "output": {"image": PNG, "seed": 1}}, Progress(Stage.DONE)),
        ({"status": "succeeded", "output": None}, Progress(Stage.FAILED, failure="upstream_error")),
        ({"status": "succeeded", "output": "words"}, Progress(Stage.FAILED, failure="upstream_error")),
        ({"status": "failed", "error": "CUDA out of memory"}, Progress(Stage.FAILED, failure="upstream_error")),
        ({"status": "failed", "error": None}, Progress(Stage.FAILED, failure="upstream_error")),
        (
            {"status": "failed", "error": "NSFW content detected. Try another prompt."},
            Progress(Stage.FAILED, failure="content_policy_violation"),
        ),
        (
            {"status": "failed", "error": "The input or output was flagged as sensitive. (E005)"},
            Progress(Stage.FAILED, failure="content_policy_violation"),
        ),
        ({"status": "canceled"}, Progress(Stage.CANCELLED)),
        ({"status": "aborted"}, Progress(Stage.CANCELLED)),
    ],
)
def test_a_prediction_has_a_state(prediction: dict[str, Any], progress: Progress) -> None:
    assert replicate.progress(prediction) == progress
