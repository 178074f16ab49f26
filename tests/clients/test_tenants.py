"""Another account's ids are as missing ones at every operation; and no body sets what is not a field."""

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import psycopg
import pytest

from api.app import WIRES
from tests.clients.conftest import OpenAccountClient
from tests.clients.test_scopes import DOCUMENT
from tests.clients.test_shares import share
from tests.support.account_client import AccountClient
from tests.support.purging import begin
from tests.support.signed_in import browser
from tests.support.stack import Stack

OPERATIONS = [
    (method.upper(), path, operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()
]
PUBLIC = {
    "/v1/models/{model_id}": "the catalogue is the same for all accounts",
    "/media/{object}": "whoever has the signed address may read the output",
    "/c/{slug}": "whoever has the address may read the page",
}
FORBIDDEN = (
    *("account_id", "user_id", "balance", "available", "credits", "state", "epoch", "plan", "plan_active"),
    *("id", "created_at", "scopes"),
)
UNTOLD = ("x-request-id", "date", "x-ratelimit")
"""Headers that differ from call to call."""
PIXEL = b"GIF89a\1\0\1\0\0\0\0;"
VALID: dict[str, dict[str, Any]] = {
    "/api/auth/email/": {"email": "a@example.com", "password": "a long sentence to keep"},
    "/api/auth/login/": {"email": "a@example.com", "password": "a long sentence to keep"},
    "/api/auth/password/": {"current_password": "a long sentence to keep", "new_password": "another long sentence"},
    "/api/auth/reset/": {"email": "a@example.com"},
    "/api/auth/reset/confirm/": {"token": "x", "password": "a long sentence to keep"},
    "/api/auth/signup/": {"email": "a@example.com", "password": "a long sentence to keep"},
    "/api/auth/verify/": {"token": "x"},
    "/api/auth/verify/resend/": {"email": "a@example.com"},
    "/api/chat/conversations/": {"title": "x"},
    "/api/chat/conversations/{conversation_id}/": {"title": "x"},
    "/api/chat/keys/": {"name": "x"},
    "/api/chat/keys/{key_id}/": {"name": "x"},
    "/api/chat/keys/{key_id}/rotate/": {"grace_seconds": 0},
    "/api/chat/purge/": {"confirm": "erase"},
    "/api/chat/settings/": {"keep_history": True},
    "/api/chat/share/": {"messages": [{"role": "user", "content": "x"}]},
    "/api/media/image/": {"model": "demo-image", "prompt": "x"},
    "/api/media/speech/": {"model": "demo-speech", "input": "x"},
    "/api/media/transcription/": {"model": "demo-transcription", "audio": "x"},
    "/api/media/video/": {"model": "demo-video", "prompt": "x"},
    "/api/webhooks/": {"url": "https://receiver.example/"},
    "/api/webhooks/settings/": {"credits_low": None},
    "/api/webhooks/settings/rotate-secret/": {"overlap_seconds": 0},
    "/api/webhooks/{endpoint_id}/": {"enabled": True},
    "/api/webhooks/{endpoint_id}/rotate-secret/": {"overlap_seconds": 0},
}
ROWS = """SELECT to_jsonb(accounts) - 'requests_tat', to_jsonb(users)
    FROM accounts JOIN users ON users.account_id = accounts.id WHERE accounts.id = %s"""
"""All but the clock of the rate limit, which every call moves."""
COUNTED = {"/api/billing/quote/", "/v1/messages/count_tokens", "/v1/responses/input_tokens"}
MEDIA = {
    *("/v1/images/generations", "/v1/images/edits", "/v1/audio/speech", "/v1/audio/transcriptions", "/v1/videos"),
}
VENDOR_SHAPED = {wire.path for wire in WIRES} | COUNTED | MEDIA
"""Their bodies are of other vendors' APIs: a field that nobody knows is dropped there, and named."""


async def charge(owner: AccountClient, stack: Stack) -> str:
    return str((await owner.charged("test-plain"))["id"])


async def conversation(owner: AccountClient, stack: Stack) -> str:
    return str((await owner.http.post("/api/chat/conversations/", json={"title": "x"})).json()["id"])


async def key(owner: AccountClient, stack: Stack) -> str:
    return str((await owner.http.post("/api/chat/keys/", json={"name": "x"})).json()["id"])


async def job(owner: AccountClient, stack: Stack) -> str:
    id_ = uuid.uuid4()
    query = """INSERT INTO media_jobs (id, account_id, kind, model, provider, state, credits_cost, deadline)
        VALUES (%s, %s, 'image', 'made-by-hand', 'x', 'failed', 0, %s)"""
    async with await psycopg.AsyncConnection.connect(stack.owner_url, autocommit=True) as connection:
        await connection.execute(query, (id_, owner.customer.account_id, datetime.now(UTC) + timedelta(hours=1)))
    return str(id_)


async def video(owner: AccountClient, stack: Stack) -> str:
    created = await owner.http.post("/v1/videos", json={"model": "demo-video", "prompt": "x"})
    return str(created.json()["id"])


async def purge(owner: AccountClient, stack: Stack) -> str:
    return str(await begin(owner.database, owner.customer, part="share"))


async def session(owner: AccountClient, stack: Stack) -> str:
    async with await browser(owner.database, owner.customer.account_id, stack.url) as page:
        return str((await page.get("/api/auth/sessions/")).json()["data"][0]["id"])


async def slug(owner: AccountClient, stack: Stack) -> str:
    return str((await share(owner))["slug"])


async def endpoint(owner: AccountClient, stack: Stack) -> str:
    created = await owner.http.post("/api/webhooks/", json={"url": "https://receiver.example/"})
    return str(created.json()["id"])


async def delivery(owner: AccountClient, stack: Stack) -> str:
    sent = await owner.http.post(f"/api/webhooks/{await endpoint(owner, stack)}/test/")
    return str(sent.json()["id"])


async def upload(owner: AccountClient, stack: Stack) -> str:
    return str((await owner.http.post("/api/media/uploads/", content=PIXEL)).json()["id"])


UNFINISHED = {"/v1/videos/{video_id}/content"}
"""What is made here has none yet: no worker runs."""
MAKERS: dict[str, Callable[[AccountClient, Stack], Awaitable[str]]] = {
    "charge_id": charge,
    "conversation_id": conversation,
    "delivery_id": delivery,
    "endpoint_id": endpoint,
    "job_uuid": job,
    "key_id": key,
    "purge_id": purge,
    "session_id": session,
    "slug": slug,
    "video_id": video,
    "upload_id": upload,
}


def parameter(path: str) -> str:
    (name,) = re.findall(r"\{(\w+)\}", path)
    return str(name)


OWNED = [(m, p, o) for m, p, o in OPERATIONS if "{" in p and p not in PUBLIC]
BODIES = [
    (m, p)
    for m, p, o in OPERATIONS
    if "application/json" in o.get("requestBody", {}).get("content", {}) and p not in VENDOR_SHAPED
]


def test_every_path_parameter_is_known() -> None:
    assert {parameter(path) for _, path, _ in OWNED} == MAKERS.keys()


def missing(id_: str) -> str:
    """Of the same form."""
    prefix = re.match(r"[a-z]+[-_]", id_)
    head = prefix[0] if prefix else ""
    try:
        uuid.UUID(id_)
    except ValueError:
        return head + re.sub(r"[0-9A-Za-z]", "0", id_[len(head) :])
    return str(uuid.uuid4())


async def answer_of(client: httpx2.AsyncClient, method: str, path: str, id_: str) -> tuple[int, str, list[Any]]:
    """All that an answer tells, but for what differs from call to call."""
    body = VALID.get(path) if method in ("POST", "PATCH") else None
    answer = await client.request(method, re.sub(r"\{\w+\}", id_, path), json=body)
    headers = [(name, value) for name, value in answer.headers.items() if not name.startswith(UNTOLD)]
    text = answer.text.replace(answer.headers.get("x-request-id") or "\0", "").replace(id_, "")
    return answer.status_code, text, sorted(headers)


@pytest.fixture
async def no_job_left(stack: Stack) -> AsyncIterator[None]:
    """The jobs made here have no hold, which other tests' look at the books would find."""
    yield
    async with await psycopg.AsyncConnection.connect(stack.owner_url, autocommit=True) as connection:
        await connection.execute("DELETE FROM media_jobs WHERE model = 'made-by-hand'")


@pytest.mark.usefixtures("no_job_left")
@pytest.mark.parametrize("who", ["key", "session", "visitor"])
async def test_what_is_anothers_is_as_missing(new_owner: OpenAccountClient, stack: Stack, who: str) -> None:
    ann, bob = await new_owner(), await new_owner()
    page = await browser(bob.database, bob.customer.account_id, stack.url)
    async with page, httpx2.AsyncClient(base_url=stack.url) as nobody:
        client = {"key": bob.http, "session": page, "visitor": nobody}[who]
        for method, path, operation in OWNED:
            theirs = await MAKERS[parameter(path)](ann, stack)
            answer = await answer_of(client, method, path, theirs)
            assert answer == await answer_of(client, method, path, missing(theirs)), (method, path)
            expected = (
                404
                if who in operation["x-yout-callers"]
                else 401
                if who == "visitor" or path.startswith("/v1/")
                else 403
            )
            assert answer[0] == expected, (method, path, answer)
            if path in {p for m, p, _ in OWNED if m == "GET"} - UNFINISHED:
                assert (await answer_of(ann.http, "GET", path, theirs))[0] == 200, (method, path)


def test_every_body_is_known() -> None:
    assert {path for _, path in BODIES} == VALID.keys()


async def test_no_body_sets_what_is_not_a_field(owner: AccountClient, stack: Stack) -> None:
    async def rows() -> list[Any]:
        async with await psycopg.AsyncConnection.connect(stack.owner_url) as connection:
            cursor = await connection.execute(ROWS, (owner.customer.account_id,))
            return await cursor.fetchall()

    ids = {name: await MAKERS[name](owner, stack) for name in ("conversation_id", "endpoint_id", "key_id")}
    before, wrong = await rows(), []
    async with await browser(owner.database, owner.customer.account_id, stack.url) as page:
        for method, path in BODIES:
            for field in FORBIDDEN:
                if field == "scopes" and path in ("/api/chat/keys/", "/api/chat/keys/{key_id}/"):
                    continue  # a field of theirs
                body = VALID[path] | {field: 1}
                answer = await page.request(method, path.format(**ids), json=body)
                error = answer.json().get("error") or {}
                if answer.status_code != 400 or field not in str(error.get("param")):
                    wrong.append((method, path, field, answer.status_code, answer.text[:150]))
    assert not wrong
    assert len(before) == 1
    assert await rows() == before
