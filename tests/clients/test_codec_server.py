"""The codec server over a real port, as Temporal's command line and its UI in a browser ask it."""

import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from dev.postgres import EmbeddedPostgres
from temporal import codec_server
from temporal.codec import EncryptionCodec, Keyring
from tests.support.own_stack import own_stack
from tests.support.stack import SECRET, Stack

UI = "https://temporal.example.com"
ALICE, BOB = "5b1c5f9b0d4d4ea3a3f2c61d7f7a90b1", "c3d8e6a19f024b7784d5b0a2f9e1c746"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"job_id": "1"}')


@pytest.fixture(scope="module")
def codec_stack(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    started = own_stack(postgres, tmp_path_factory, "codec")
    started.extra = {"YOUT_CODEC_TOKENS": f"alice:{ALICE}, bob:{BOB}", "YOUT_CODEC_ORIGINS": UI}
    with started.running("api"):
        yield started


@pytest.fixture
async def http(codec_stack: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=codec_stack.url) as client:
        yield client


async def sealed(*payloads: Payload, secret: str = SECRET) -> dict[str, Any]:
    encoded = await EncryptionCodec(Keyring.derived(secret)).encode(payloads)
    body: dict[str, Any] = json.loads(json_format.MessageToJson(Payloads(payloads=encoded)))
    return body


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "x-namespace": "default"}


async def test_payloads_are_decrypted_and_what_is_plain_stays(http: httpx2.AsyncClient) -> None:
    body = await sealed(PLAIN, PLAIN)
    plain = json.loads(json_format.MessageToJson(Payloads(payloads=[PLAIN])))
    body["payloads"] += plain["payloads"]
    answer = await http.post("/codec/decode", json=body, headers=bearer(ALICE))
    assert answer.status_code == 200
    assert answer.json() == {"payloads": plain["payloads"] * 3}
    assert b64decode(answer.json()["payloads"][0]["data"]) == PLAIN.data
    assert answer.headers["cache-control"] == "no-store"


async def test_a_page_of_the_ui_may_ask_and_no_other(http: httpx2.AsyncClient) -> None:
    path, asks = f"/codec/{BOB}/decode", {"access-control-request-method": "POST"}
    asks |= {"access-control-request-headers": "content-type,x-namespace"}
    for origin, allowed in ((UI, UI), ("https://evil.example", None)):
        preflight = await http.options(path, headers={"origin": origin, **asks})
        answer = await http.post(path, json=await sealed(PLAIN), headers={"origin": origin})
        assert [one.headers.get("access-control-allow-origin") for one in (preflight, answer)] == [allowed, allowed]
        assert preflight.headers["access-control-allow-headers"] == "content-type,x-namespace"


@pytest.mark.parametrize("token", ["x", ALICE[:-1], ALICE + "0", "alice:" + ALICE, "Ω"])
async def test_without_an_operators_token_nothing_is_decrypted(http: httpx2.AsyncClient, token: str) -> None:
    body = await sealed(PLAIN)
    headers = {b"authorization": f"Bearer {token}".encode()}
    answers = [await http.post("/codec/decode", json=body, headers=headers)]
    answers.append(await http.post("/codec/decode", json=body, headers={"authorization": f"Basic {ALICE}"}))
    answers.append(await http.post(f"/codec/{token}/decode", json=body))
    assert {answer.status_code for answer in answers} == {401}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"payloads": 1}',
        b'{"payloads": [{"metadata": {"encoding": 7}}]}',
        b'"payloads"',
        b'{"prompts": []}',
        b'{"payloads": ' + b"[" * 900 + b"]" * 900 + b"}",
        json.dumps({"payloads": [{}] * (codec_server.MAX_PAYLOADS + 1)}).encode(),
    ],
)
async def test_what_is_no_list_of_payloads_is_refused(http: httpx2.AsyncClient, body: bytes) -> None:
    answer = await http.post("/codec/decode", content=body, headers=bearer(ALICE))
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_what_another_deployment_encrypted_or_somebody_changed_is_refused(http: httpx2.AsyncClient) -> None:
    foreign, damaged = await sealed(PLAIN, secret="another secret of another deployment"), await sealed(PLAIN)
    data = bytearray(b64decode(damaged["payloads"][0]["data"]))
    data[-1] ^= 1
    damaged["payloads"][0]["data"] = b64encode(data).decode()
    for body in (foreign, damaged):
        answer = await http.post("/codec/decode", json=body, headers=bearer(ALICE))
        assert answer.status_code == 400, answer.text


async def test_a_body_is_bounded(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/codec/decode", content=b" " * (8 * 1024 * 1024 + 1), headers=bearer(ALICE))
    assert answer.status_code == 413


async def test_each_use_is_logged_by_name_and_count_alone(http: httpx2.AsyncClient, codec_stack: Stack) -> None:
    await http.post(f"/codec/{BOB}/decode", json=await sealed(PLAIN, PLAIN, PLAIN))
    written = "".join(log.read_text() for log in codec_stack.state.glob("*.log"))
    lines = [line for line in written.splitlines() if "payloads decoded" in line and "bob" in line]
    assert "3" in lines[-1].rpartition("payloads=")[2] or '"payloads":3' in lines[-1].replace(" ", "")
    assert not any(secret in written for secret in (ALICE, BOB, "job_id"))


async def test_without_operators_there_is_no_codec_server(stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=stack.url) as client:
        answer = await client.post("/codec/decode", json=await sealed(PLAIN), headers=bearer(ALICE))
    assert answer.status_code == 404
