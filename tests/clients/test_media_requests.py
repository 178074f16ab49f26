"""Requests for media jobs that are refused: each names its field, holds nothing and makes no job."""

from typing import Any

import pytest

from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import CREDITS, AccountClient

IMAGE: dict[str, Any] = {"model": "demo-image", "prompt": "x"}
VIDEO: dict[str, Any] = {"model": "demo-video", "prompt": "x"}
SPEECH: dict[str, Any] = {"model": "demo-speech", "input": "x"}


@pytest.mark.parametrize(
    ("kind", "body", "param", "code"),
    [
        ("image", {"model": "demo-image"}, "prompt", "missing_required_parameter"),
        ("image", {"prompt": "x"}, "model", "missing_required_parameter"),
        ("image", IMAGE | {"prompt": ""}, "prompt", "invalid_value"),
        ("image", IMAGE | {"prompt": 5}, "prompt", "invalid_type"),
        ("image", IMAGE | {"size": "big"}, "size", "invalid_value"),
        ("image", IMAGE | {"size": "8x8"}, "size", "invalid_value"),
        ("image", IMAGE | {"size": "9999x9999"}, "size", "invalid_value"),
        ("image", IMAGE | {"n": 0}, "n", "invalid_value"),
        ("image", IMAGE | {"n": 11}, "n", "invalid_value"),
        ("image", IMAGE | {"n": "2"}, "n", "invalid_type"),
        ("image", IMAGE | {"n": True}, "n", "invalid_type"),
        ("image", IMAGE | {"seed": -1}, "seed", "invalid_value"),
        ("image", IMAGE | {"colour": "red"}, "colour", "unsupported_parameter"),
        ("image", VIDEO, "model", "invalid_value"),
        ("image", {"model": "demo-chat", "prompt": "x"}, "model", "invalid_value"),
        ("video", VIDEO | {"duration": 5, "seconds": 5}, "duration", "invalid_value"),
        ("video", VIDEO | {"duration": 0}, "duration", "invalid_value"),
        ("video", VIDEO | {"duration": 61}, "duration", "invalid_value"),
        ("video", VIDEO | {"duration": "5"}, "duration", "invalid_type"),
        ("video", VIDEO | {"size": "640*360"}, "size", "invalid_value"),
        ("speech", {"model": "demo-speech", "prompt": "x"}, "input", "missing_required_parameter"),
        ("speech", SPEECH | {"speed": 9.0}, "speed", "invalid_value"),
        ("speech", SPEECH | {"response_format": "vinyl"}, "response_format", "invalid_value"),
        ("speech", SPEECH | {"input": "x" * 5000}, "input", "invalid_value"),
    ],
)
async def test_a_bad_request_names_its_field_and_holds_nothing(
    owner: AccountClient, kind: str, body: dict[str, Any], param: str, code: str
) -> None:
    answer = await owner.http.post(f"/api/media/{kind}/", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    await nothing_is_held(owner, CREDITS)


async def test_an_unknown_model_and_a_body_that_is_no_json(owner: AccountClient) -> None:
    unknown = await owner.http.post("/api/media/image/", json=IMAGE | {"model": "nobody-knows-it"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    json = {"content-type": "application/json"}
    broken = await owner.http.post("/api/media/image/", content=b'{"model": ', headers=json)
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_json")


async def test_an_account_without_credits_starts_nothing(new_owner: OpenAccountClient) -> None:
    poor = await new_owner(999)
    answer = await poor.http.post("/api/media/image/", json=IMAGE)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (402, "insufficient_credits", "insufficient_quota")
    assert (error["required"], error["available"], error["held"]) == (1000, 999, 0)
    assert answer.headers["x-should-retry"] == "false"
    await nothing_is_held(poor, 999)


async def nothing_is_held(owner: AccountClient, credits: int) -> None:
    limit = (await owner.http.get("/api/chat/limit/")).json()
    assert (limit["balance"], limit["held"]) == (credits, 0)
    assert (await owner.http.get("/api/media/jobs/")).json()["data"] == []
