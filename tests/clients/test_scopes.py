"""Who may call what: each operation of the document, by a key of each scope, a session, a visitor and nobody."""

import asyncio
import re
import uuid
from pathlib import Path
from typing import Any

import httpx2
import orjson
import psycopg
import pytest

from api.openapi import scope_table
from domain import keys
from tests.support.account_client import AccountClient
from tests.support.signed_in import browser
from tests.support.stack import Stack

DOCS = Path(__file__).resolve().parents[2] / "docs"
DOCUMENT: dict[str, Any] = orjson.loads((DOCS / "openapi.json").read_bytes())
OPERATIONS = [
    (method.upper(), path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if "anybody" not in operation["x-yout-callers"]
]
PUBLIC = (
    "/api/auth/",
    "/api/billing/stripe/webhook/",
    "/c/{slug}",
    "/media/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/.well-known/",
)
"""Where nobody has to say who they are."""


def lacks(answer: httpx2.Response, scope: str) -> bool:
    if answer.status_code != 403:
        return False
    error = answer.json()["error"]
    return error["code"] == "insufficient_scope" and f"scope '{scope}'" in error["message"]


async def call(client: httpx2.AsyncClient, method: str, path: str) -> httpx2.Response:
    url = re.sub(r"\{[^}]+\}", lambda _: str(uuid.uuid4()), path)
    if method in ("POST", "PATCH", "PUT"):
        return await client.request(method, url, json={"no-such-field": 1})
    return await client.request(method, url)


async def stream(client: httpx2.AsyncClient, method: str, path: str) -> httpx2.Response:
    """With the body's beginning alone: an event stream may have no end."""
    return await asyncio.wait_for(call(client, method, path), 20)


async def test_each_scope_opens_its_operations_and_no_other(owner: AccountClient, stack: Stack) -> None:
    wrong = []
    for scope in sorted(keys.SCOPES):
        created = await owner.http.post("/api/chat/keys/", json={"name": scope, "scopes": [scope]})
        headers = {"authorization": f"Bearer {created.json()['key']}"}
        async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=30) as client:
            for method, path, operation in OPERATIONS:
                answer, needed = await stream(client, method, path), operation["x-yout-scope"]
                if "key" not in operation["x-yout-callers"]:
                    expected = answer.status_code == 403
                elif needed in (None, scope):
                    expected = answer.status_code not in (401, 403, 500)
                else:
                    expected = lacks(answer, needed)
                if not expected:
                    wrong.append((scope, method, path, answer.status_code, answer.text[:200]))
    assert not wrong


async def test_a_session_opens_what_its_cookie_is_for(owner: AccountClient, stack: Stack) -> None:
    async with await browser(owner.database, owner.customer.account_id, stack.url) as page:
        for method, path, operation in OPERATIONS:
            if path == "/api/auth/logout/":
                continue  # it would be the last call
            answer, opened = await stream(page, method, path), "session" in operation["x-yout-callers"]
            assert (answer.status_code not in (401, 403, 500)) == opened, (method, path, answer.text)


async def test_without_a_caller_only_a_visitors_operations_answer(stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=stack.url, timeout=30) as client:
        for method, path, operation in OPERATIONS:
            answer, visitors = await stream(client, method, path), "visitor" in operation["x-yout-callers"]
            assert (answer.status_code != 401) == visitors, (method, path, answer.text)
            assert answer.status_code != 500


@pytest.mark.parametrize(("path", "item"), DOCUMENT["paths"].items())
def test_each_operation_says_who_may_call_it(path: str, item: dict[str, Any]) -> None:
    for method, operation in item.items():
        if operation["x-yout-callers"] == ["anybody"]:
            assert path.startswith(PUBLIC), (method, path, "names no caller, and is not public")
        assert operation["x-yout-scope"] in {None, *keys.SCOPES}


def test_the_committed_table_is_the_documents() -> None:
    assert (DOCS / "scopes.md").read_text("utf-8") == scope_table(DOCUMENT), "yout openapi --scopes > docs/scopes.md"


async def test_every_unknown_key_hears_the_same(owner: AccountClient, stack: Stack) -> None:
    """Missing, malformed, wrong checksum, unknown, revoked, rotated away, expired, past its grace, or in the query:
    all equal but for the request id. A key that works is one only in a header.
    """
    revoked = (await owner.http.post("/api/chat/keys/", json={"name": "k"})).json()
    await owner.http.post(f"/api/chat/keys/{revoked['id']}/revoke/")
    rotated = (await owner.http.post("/api/chat/keys/", json={"name": "k"})).json()
    await owner.http.post(f"/api/chat/keys/{rotated['id']}/rotate/", json={"grace_seconds": 0})
    expired, graced = [(await owner.http.post("/api/chat/keys/", json={"name": "k"})).json() for _ in range(2)]
    await owner.http.post(f"/api/chat/keys/{graced['id']}/rotate/")
    async with await psycopg.AsyncConnection.connect(stack.owner_url, autocommit=True) as connection:
        await connection.execute("UPDATE api_keys SET expires_at = now() WHERE id = %s", [expired["id"]])
        end = "UPDATE api_key_secrets SET expires_at = now() WHERE digest = %s"
        assert (await connection.execute(end, [keys.digest(graced["key"])])).rowcount == 1
    whole = owner.customer.token
    swapped = whole[:-1] + ("0" if whole[-1] != "0" else "1")
    tokens = [None, "sk-nonsense", whole[:-1], swapped, keys.mint(bytes(32)), revoked["key"], rotated["key"]]
    tokens += [expired["key"], graced["key"]]
    calls = [
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("POST", "/api/chat/keys/"),
        ("GET", "/api/chat/keys/"),
    ]
    async with httpx2.AsyncClient(base_url=stack.url, timeout=30) as client:
        for method, path in calls:
            answers = set()
            requests = [(path, token) for token in tokens]
            requests += [(f"{path}?{name}={whole}", None) for name in ("key", "api_key", "access_token")]
            for address, token in requests:
                client.headers = {"authorization": f"Bearer {token}"} if token else {}
                answer = await call(client, method, address)
                headers = {
                    name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")
                }
                answers.add((answer.status_code, answer.text, str(sorted(headers.items()))))
            assert len(answers) == 1, (path, answers)
            assert next(iter(answers))[0] == 401
