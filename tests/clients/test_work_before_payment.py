"""Large requests: their callers are known, and have a request left, before anything is done with them."""

import asyncio
from uuid import UUID

import pytest

from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import AccountClient

CHAT = "/v1/chat/completions"
KEYS = "/api/chat/keys/"
EVERY = ["chat", "media", "billing", "keys"]
LARGE = "word " * 200_000


def body(model: str = "test-plain", text: str = LARGE) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": text}]}


async def test_what_an_account_cannot_pay_is_refused_before_it_is_counted(new_owner: OpenAccountClient) -> None:
    poor = await new_owner(1)
    answers = await asyncio.gather(*(poor.http.post(CHAT, json=body()) for _ in range(3)))
    assert {answer.status_code for answer in answers} <= {400, 402}


@pytest.mark.parametrize("invalid", [body("nobody"), body(text="") | {"messages": 1}, body() | {"n": "x"}])
async def test_a_refused_call_takes_one_request(owner: AccountClient, invalid: dict[str, object]) -> None:
    created = await owner.http.post(KEYS, json={"name": "limited", "limits": {"requests": 2}})
    headers = {"authorization": f"Bearer {created.json()['key']}"}
    answers = [await owner.http.post(CHAT, json=invalid, headers=headers) for _ in range(3)]
    assert answers[0].status_code in {400, 404}
    assert answers[0].headers["x-ratelimit-remaining-requests"] == "1"
    assert [answer.status_code for answer in answers[2:]] == [429]


async def test_a_large_call_takes_one_request(owner: AccountClient) -> None:
    created = await owner.http.post(KEYS, json={"name": "limited", "limits": {"requests": 10}})
    headers = {"authorization": f"Bearer {created.json()['key']}"}
    large = await owner.http.post(CHAT, json=body(text="word " * 20_000), headers=headers)
    assert large.status_code == 200, large.text
    assert large.headers["x-ratelimit-remaining-requests"] == "9"
    again = {"idempotency-key": "large", **headers}
    first, second = [await owner.http.post(CHAT, json=body(text="word " * 20_000), headers=again) for _ in range(2)]
    assert first.json()["id"] == second.json()["id"]


QUOTE, JOBS = "/api/billing/quote/", "/api/media/"
REFUSED = [
    (CHAT, {"model": "nobody"}),
    ("/api/chat/stream/", {"model": "nobody"}),
    (QUOTE, {"model": "nobody"}),
    (QUOTE, body(text="hello") | {"n": "x"}),
    (JOBS + "image/", {"model": "nobody", "prompt": "x"}),
    (JOBS + "image/", {"prompt": 1}),
    (JOBS + "speech/", {"model": "demo-speech", "input": "x", "voice": ""}),
    (JOBS + "speech/", {"model": "demo-speech", "input": "x", "response_format": "x"}),
    (JOBS + "video/", {"model": "demo-image", "prompt": "x"}),
    ("/v1/images/generations", {"model": "demo-image", "prompt": "x", "n": 11}),
    ("/v1/audio/speech", {"model": "demo-speech", "input": ""}),
    ("/v1/videos", {"model": "demo-video", "prompt": ""}),
    ("/v1/images/edits", {"model": "demo-image", "prompt": "x"}),
    ("/v1/audio/transcriptions", {"model": "demo-transcription"}),
    (JOBS + f"jobs/{UUID(int=1)}/cancel/", {}),
    (KEYS, {"name": ""}),
    (KEYS, {"name": "k", "scopes": ["everything"]}),
]


@pytest.mark.parametrize(("path", "refused"), REFUSED)
async def test_whatever_is_refused_takes_one_request(
    owner: AccountClient, path: str, refused: dict[str, object]
) -> None:
    created = await owner.http.post(KEYS, json={"name": "limited", "scopes": EVERY, "limits": {"requests": 2}})
    headers = {"authorization": f"Bearer {created.json()['key']}"}
    answers = [await owner.http.post(path, json=refused, headers=headers) for _ in range(3)]
    assert answers[0].status_code in {400, 403, 404}, answers[0].text
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["1", "0", "0"]
    assert answers[2].status_code == 429
    assert "retry-after" in answers[2].headers


@pytest.mark.parametrize(
    ("path", "accepted", "status"),
    [
        (CHAT, body(text="hello"), 200),
        (QUOTE, body(text="hello"), 200),
        (JOBS + "image/", {"model": "demo-image", "prompt": "x"}, 202),
        (KEYS, {"name": "k"}, 201),
    ],
)
async def test_whatever_is_accepted_takes_one_request_and_so_does_its_replay(
    owner: AccountClient, path: str, accepted: dict[str, object], status: int
) -> None:
    created = await owner.http.post(KEYS, json={"name": "limited", "scopes": EVERY, "limits": {"requests": 10}})
    headers = {"authorization": f"Bearer {created.json()['key']}", "idempotency-key": "same"}
    answers = [await owner.http.post(path, json=accepted, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [status] * 2, answers[0].text
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["9", "8"]
