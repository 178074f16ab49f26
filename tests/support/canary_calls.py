"""Words through calls of models, requests that are refused, and media jobs: in each way that one can end."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx2

from tests.support import canary_endpoints as endpoints
from tests.support.canaries import ASKED, CHAT, HEADERS, SAVED, SHOWN, SPOKEN, misuses
from tests.support.doubles.echo_provider import MODELS, WORD
from tests.support.media_stack import Customer, Job

DEMOS = ("demo-chat", "demo-chat-fail", "demo-chat-broken")


async def chat(
    customer: Customer, model: str, stream: bool, native: Mapping[str, Any] | None = None
) -> httpx2.Response | None:
    """`native` is the body of a chat that is saved."""
    # no two customers send the same body: the keyed hashes of what one erased would be those of what the other sent
    headers = HEADERS | {
        "idempotency-key": f"{ASKED}-{customer.account_id}-{model}-{stream}-{native and '-'.join(native)}"
    }
    shown = [SHOWN] if model.startswith("test-") else []
    body = {**CHAT, "messages": [*SPOKEN, *shown], "stream": stream, "seed": customer.account_id.int % 10**6}
    path = "/v1/chat/completions" if native is None else endpoints.STREAM
    try:
        return await customer.http.post(path, json={**(native or body), "model": model}, headers=headers)
    except httpx2.TransportError:
        return None


async def chats(customer: Customer) -> None:
    """Every way in which a call can go. What a provider quotes in an error reaches nobody."""
    models = [*DEMOS, *(f"test-{name}" for name in MODELS if name not in ("hangs", "stalls"))]
    ways: list[tuple[bool, Mapping[str, Any] | None]] = [(False, None), (True, None)]
    ways += [(True, body) for body in endpoints.saving("", SAVED)]
    called = [(model, *way) for model in models for way in ways]
    answers = await asyncio.gather(*(chat(customer, *call) for call in called))
    for (model, stream, _), answer in zip(called, answers, strict=True):
        assert answer is not None
        if model == "test-echoes":
            assert (answer.status_code, WORD in answer.text) == (200, True), answer.text
        if answer.status_code != 200:
            assert not any(word in answer.text for word in (ASKED, SAVED, WORD)), (model, stream)
    again = await chat(customer, "demo-chat", stream=False)
    assert again is not None
    assert ASKED in again.text


async def refused(customer: Customer) -> None:
    """What is refused is not quoted either."""
    for method, path, what in misuses():
        answer = await customer.http.request(method, path, **what)
        assert 400 <= answer.status_code < 500, (method, path, answer.status_code)
        assert ASKED not in answer.text + str(answer.headers), (method, path, answer.text)
    await endpoints.refused(customer.http, "/api/b")
    await endpoints.refused(customer.http, "/api/c")
    await endpoints.refused(customer.http, "/api/m")
    await endpoints.refused(customer.http, "/api/w")
    await endpoints.refused(customer.http, "/v1/")


async def jobs(customer: Customer) -> list[Job]:
    """The first image is the one that a worker dies over."""
    image = {"prompt": f"a lake {ASKED}", "size": "64x64"}
    video = {"prompt": f"a sea {ASKED}", "size": "64x64", "duration": 0.5}
    return [
        await customer.ordered("image", model="demo-image", **image),
        await customer.ordered("image", model="demo-image-fail", **image),
        await customer.ordered("image", model="demo-image", **image | {"prompt": f"a lake [refused] {ASKED}"}),
        await customer.ordered("video", model="demo-video", **video),
        await customer.ordered("video", model="demo-video-fail", **video),
        await customer.ordered("speech", model="demo-speech", input=f"Say {ASKED}.", response_format="wav"),
        await customer.ordered("speech", model="demo-speech-fail", input=f"Say {ASKED}."),
    ]
