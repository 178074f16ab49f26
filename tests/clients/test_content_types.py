"""Every route takes its JSON under any content type: curl's default is that of a form."""

import gzip
from collections.abc import Callable

import pytest

from tests.support.account_client import AccountClient

ROUTES = {
    "/v1/chat/completions": (b'{"model": "test-plain", "messages": [{"role": "user", "content": "Hello."}]}', 200),
    "/api/media/image/": (b'{"model": "demo-image", "prompt": "a lighthouse"}', 202),
    "/api/chat/keys/": (b'{"name": "made with curl"}', 201),
    "/api/billing/quote/": (b'{"model": "demo-image", "prompt": "a lighthouse"}', 200),
}
TYPES = ["application/x-www-form-urlencoded", "application/json; charset=utf-8", "text/plain", None]


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("path", ROUTES)
async def test_json_is_read_whatever_it_is_called(owner: AccountClient, path: str, content_type: str | None) -> None:
    body, status = ROUTES[path]
    headers = {"content-type": content_type} if content_type else {}
    answer = await owner.http.post(path, content=body, headers=headers)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("path", ROUTES)
async def test_what_is_none_is_refused_alike(owner: AccountClient, path: str) -> None:
    answer = await owner.http.post(path, data={"model": "demo-image", "prompt": "x"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_json")
    assert "'application/x-www-form-urlencoded'" in error["message"]
    assert "Content-Type" in error["message"]


@pytest.mark.parametrize("path", ROUTES)
async def test_a_byte_order_mark_is_skipped(owner: AccountClient, path: str) -> None:
    body, status = ROUTES[path]
    answer = await owner.http.post(path, content=b"\xef\xbb\xbf" + body)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("headers", "encode", "named"),
    [
        ({"content-encoding": "gzip", "content-type": "application/json"}, gzip.compress, "'Content-Encoding'"),
        ({"content-type": "application/json; charset=utf-16"}, lambda body: body.decode().encode("utf-16"), "UTF-8"),
    ],
    ids=["gzip", "utf-16"],
)
@pytest.mark.parametrize("path", ROUTES)
async def test_another_encoding_is_named(
    owner: AccountClient, path: str, headers: dict[str, str], encode: Callable[[bytes], bytes], named: str
) -> None:
    answer = await owner.http.post(path, content=encode(ROUTES[path][0]), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
    assert named in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ROUTES)
async def test_a_bomb_costs_little_and_is_refused(owner: AccountClient, path: str) -> None:
    answer = await owner.http.post(path, content=b'{"a": [' + b"[]," * 150_000 + b"0]}")
    assert answer.status_code == 400, answer.text


async def test_a_small_route_takes_no_large_body(owner: AccountClient) -> None:
    answer = await owner.http.post("/api/chat/keys/", json={"name": "x" * 1_000_000})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


async def test_large_integers_reach_the_media_rules(owner: AccountClient) -> None:
    answer = await owner.http.post(
        "/api/media/image/", json={"model": "demo-image", "prompt": "x", "seed": 12345678901234567890123}
    )
    assert answer.json()["error"]["param"] == "seed"
