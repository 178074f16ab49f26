"""Sizes of videos in pixels, as resolutions and ratios."""

from collections.abc import Mapping

import pytest

from domain import video_sizes
from domain.errors import RequestInvalid
from domain.media_schema import MediaSchema, Parameter, ParameterType

TEXT = Parameter(ParameterType.STRING)
VEO = MediaSchema(
    "prompt",
    TEXT,
    {
        "resolution": Parameter(ParameterType.STRING, enum=("480p", "1080p", "4k", "odd")),
        "aspect_ratio": Parameter(ParameterType.STRING, enum=("16:9", "9:16", "1:1", "auto")),
    },
)


@pytest.mark.parametrize(
    ("size", "resolution", "ratio"),
    [
        ("1920x1080", "1080p", "16:9"),
        ("1080x1920", "1080p", "9:16"),
        ("1080x1080", "1080p", "1:1"),
        ("854x480", "480p", "16:9"),
        ("3840x2160", "4k", "16:9"),
    ],
)
def test_a_size_is_a_resolution_and_a_ratio(size: str, resolution: str, ratio: str) -> None:
    meaning = {"resolution": resolution, "aspect_ratio": ratio}
    assert video_sizes.translated(VEO, size, {"seconds": 4}) == {"seconds": 4} | meaning
    assert video_sizes.translated(VEO, size, meaning) == meaning


@pytest.mark.parametrize(
    ("size", "given", "words"),
    [
        ("1280x720", {}, "must be one of 854x480, 480x854, 480x480, 1920x1080"),
        ("1918x1080", {}, "must be one of"),
        ("large", {}, "must be one of"),
        ("1920x1080", {"resolution": "480p"}, "contradicts 'resolution'"),
    ],
)
def test_another_size_is_refused_by_its_name(size: str, given: Mapping[str, object], words: str) -> None:
    with pytest.raises(RequestInvalid, match=words) as refused:
        video_sizes.translated(VEO, size, given)
    assert refused.value.param == "size"


def test_models_without_both_or_with_a_size_of_their_own_have_none() -> None:
    assert not video_sizes.of(MediaSchema("prompt", TEXT, {"aspect_ratio": VEO.parameters["aspect_ratio"]}))
    assert not video_sizes.of(MediaSchema("prompt", TEXT, {**VEO.parameters, "size": TEXT}))
