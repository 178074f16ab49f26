"""What a media request holds, also one that an older version sealed."""

import json

import pytest

from domain.media import Kind, MediaRequest

OLDER = {
    "kind": "image",
    "model": "painter",
    "prompt": "a lake",
    "width": 1024,
    "height": 768,
    "n": 2,
    "seconds": None,
    "voice": None,
    "response_format": None,
    "speed": 1.0,
    "seed": 7,
    "image": None,
    "privacy": "unknown",
}


def test_a_request_that_an_older_version_sealed() -> None:
    request = MediaRequest.model_validate_json(json.dumps(OLDER))
    assert request.parameters == {"size": "1024x768", "speed": 1.0, "seed": 7}
    assert (request.width, request.height, request.n, request.seed) == (1024, 768, 2, 7)
    assert MediaRequest.model_validate_json(request.model_dump_json()) == request


def test_a_parameter_comes_before_an_older_field() -> None:
    request = MediaRequest.model_validate(OLDER | {"parameters": {"size": "512x512", "quality": "high"}})
    assert request.parameters == {"size": "512x512", "quality": "high", "speed": 1.0, "seed": 7}


@pytest.mark.parametrize(
    ("parameters", "sides", "seconds", "speed", "voice"),
    [
        ({}, (None, None), None, 1.0, None),
        ({"size": "auto", "speed": 2, "voice": "alloy"}, (None, None), None, 2, "alloy"),
        ({"size": "64x32", "seconds": 2.5}, (64, 32), 2.5, 1.0, None),
        ({"size": ["64x32"], "seconds": True, "speed": "1", "voice": 4}, (None, None), None, 1.0, None),
    ],
)
def test_what_is_read_from_parameters(
    parameters: dict[str, object],
    sides: tuple[int | None, int | None],
    seconds: float | None,
    speed: float,
    voice: str | None,
) -> None:
    request = MediaRequest.model_validate({"kind": "video", "model": "m", "prompt": "x", "parameters": parameters})
    assert (request.width, request.height) == sides
    assert (request.seconds, request.speed, request.voice) == (seconds, speed, voice)


def test_nothing_of_the_caller_is_in_its_repr() -> None:
    request = MediaRequest(kind=Kind.SPEECH, model="m", prompt="sentinel", parameters={"instructions": "sentinel"})
    assert "sentinel" not in repr(request)
