"""`Idempotency-Key` on `POST /api/chat/keys/`: one key is made, and its token is told to its maker alone."""

import asyncio
import uuid

import httpx2
import psycopg

from domain import keys
from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import AccountClient
from tests.support.stack import Stack

PATH = "/api/chat/keys/"
BODY = {"name": "ci", "scopes": ["chat", "models"], "limits": {"requests": 60}}


async def make(owner: AccountClient, once: str, token: str = "", **changes: object) -> httpx2.Response:
    headers = {"idempotency-key": once} | ({"authorization": f"Bearer {token}"} if token else {})
    return await owner.http.post(PATH, json=BODY | changes, headers=headers)


async def live(owner: AccountClient) -> list[str]:
    """The account's keys, but for the one that calls."""
    return [key["id"] for key in (await owner.http.get(PATH)).json()["data"]][:-1]


def refused(answer: httpx2.Response, code: str = "idempotency_conflict") -> str:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, code)
    assert answer.headers["x-should-retry"] == "false"
    assert "yout-" not in answer.text
    return str(error["message"])


async def test_the_same_request_again_is_the_same_key(owner: AccountClient) -> None:
    once = uuid.uuid4().hex
    first, again = await make(owner, once), await make(owner, f'"{once}"')
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert await live(owner) == [first.json()["id"]]
    listed = await owner.http.get("/v1/models", headers={"authorization": f"Bearer {again.json()['key']}"})
    assert listed.status_code == 200
    assert (await make(owner, uuid.uuid4().hex)).json()["id"] != first.json()["id"]


async def test_another_body_is_refused_and_makes_nothing(owner: AccountClient) -> None:
    once = uuid.uuid4().hex
    response = await make(owner, once)
    for changes in ({"name": "other"}, {"scopes": ["chat"]}, {"limits": None}):
        refused(await make(owner, once, **changes))
    assert await live(owner) == [response.json()["id"]]


async def test_twenty_at_once_make_one_key(owner: AccountClient) -> None:
    once = uuid.uuid4().hex
    answers = await asyncio.gather(*(make(owner, once) for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.text for answer in answers if answer.status_code == 201}) == 1
    assert len([answer for answer in answers if "idempotent-replayed" not in answer.headers]) == 1
    assert len(await live(owner)) == 1


async def test_another_key_of_the_account_learns_which_key_and_not_its_token(owner: AccountClient) -> None:
    once = uuid.uuid4().hex
    key = (await make(owner, once)).json()
    other = (await owner.http.post(PATH, json={"name": "other", "scopes": ["keys", "chat", "models"]})).json()
    assert key["id"] in refused(await make(owner, once, token=other["key"]))
    assert len(await live(owner)) == 2


async def test_accounts_do_not_share_keys(new_owner: OpenAccountClient) -> None:
    ann, bob = await new_owner(), await new_owner()
    assert (await make(ann, "1")).json()["id"] != (await make(bob, "1")).json()["id"]


async def test_a_revoked_key_is_not_told_again_as_if_it_lived(owner: AccountClient) -> None:
    once = uuid.uuid4().hex
    key = (await make(owner, once)).json()
    assert (await owner.http.post(f"{PATH}{key['id']}/revoke/")).status_code == 200
    message = refused(await make(owner, once))
    assert key["id"] in message
    assert "revoked" in message
    assert await live(owner) == []


async def test_what_was_refused_is_not_remembered(owner: AccountClient) -> None:
    once = uuid.uuid4().hex
    narrow = (await owner.http.post(PATH, json={"name": "narrow", "scopes": ["keys", "chat"]})).json()
    assert (await make(owner, once, scopes=["nonsense"])).status_code == 400
    assert (await make(owner, once, token=narrow["key"])).status_code == 403
    assert (await make(owner, once)).status_code == 201
    assert (await make(owner, "x" * 256)).json()["error"]["param"] == "Idempotency-Key"


async def test_it_is_forgotten_in_time(stack: Stack, owner: AccountClient) -> None:
    once = uuid.uuid4().hex
    first = (await make(owner, once)).json()
    async with await psycopg.AsyncConnection.connect(stack.database_url, autocommit=True) as connection:
        expire = "UPDATE idempotency SET expires_at = now() - interval '1 second' WHERE hold_id = %s"
        assert (await connection.execute(expire, [first["id"]])).rowcount == 1
    second = (await make(owner, once, name="another")).json()
    assert second["id"] != first["id"]
    assert (await make(owner, once, name="another")).json() == second


async def test_a_full_account_still_hears_of_the_key_that_filled_it(stack: Stack, owner: AccountClient) -> None:
    once = uuid.uuid4().hex
    async with await psycopg.AsyncConnection.connect(stack.database_url, autocommit=True) as connection:
        fill = """
            WITH made AS (
                INSERT INTO api_keys (id, account_id, name, scopes)
                SELECT uuidv7(), %s, 'one of many', '{chat}' FROM generate_series(1, 98) RETURNING id
            )
            INSERT INTO api_key_secrets (digest, key_id, masked) SELECT sha256(id::text::bytea), id, '' FROM made"""
        await connection.execute(fill, [owner.customer.account_id])
    response = await make(owner, once)
    assert response.status_code == 201
    assert (await make(owner, uuid.uuid4().hex)).status_code == 400
    assert (await make(owner, once)).json() == response.json()


async def test_no_token_is_readable_in_the_database(stack: Stack, owner: AccountClient) -> None:
    key = (await make(owner, "a-key-that-is-not-stored")).json()
    assert keys.well_formed(key["key"])
    async with await psycopg.AsyncConnection.connect(stack.database_url) as connection:
        tables = await connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in await tables.fetchall():
            cursor = await connection.execute(f"SELECT t::text FROM {table} t".encode())
            rows = "".join(row for (row,) in await cursor.fetchall())
            for secret in (key["key"], "a-key-that-is-not-stored"):
                assert secret not in rows, table
                assert secret.encode().hex() not in rows, table
