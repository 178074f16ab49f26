"""What outputs and errors of fal and Replicate mean."""

from typing import Any

import pytest

from domain.errors import ContentPolicyViolation, UpstreamError, UpstreamRefused, UpstreamTimeout
from providers import remote_files
from providers.base import Progress, Stage
from providers.fal import results as fal
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
    ("output", "error"),
    [
        ({"images": [PICTURE], "has_nsfw_concepts": [True]}, ContentPolicyViolation),
        ({"images": []}, UpstreamError),
        ({"text": "words"}, UpstreamError),
        ([], UpstreamError),
        (None, UpstreamError),
    ],
)
def test_an_output_of_fal_without_files_is_an_error(output: Any, error: type[UpstreamError]) -> None:
    with pytest.raises(UpstreamError) as raised:
        fal.files(output)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("status", "headers", "body", "error"),
    [
        (422, {}, {"detail": [{"type": "content_policy_violation", "msg": "x"}]}, ContentPolicyViolation),
        (422, {}, {"detail": [{"type": "image_too_large"}]}, UpstreamRefused),
        (400, {}, {"detail": "x"}, UpstreamRefused),
        (504, {"x-fal-error-type": "request_timeout"}, None, UpstreamTimeout),
        (504, {}, {"detail": "x", "error_type": "startup_timeout"}, UpstreamTimeout),
        (503, {}, {"detail": "x", "error_type": "runner_disconnected"}, UpstreamError),
        (500, {}, "words", UpstreamError),
    ],
)
def test_an_error_of_fal_is_one_of_ours(
    status: int, headers: dict[str, str], body: Any, error: type[UpstreamError]
) -> None:
    assert type(fal.error_of(status, headers, body)) is error


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
