"""A key with the scope `keys` is bound by its owner's limits: for itself, and in what it makes, changes and revokes."""

from typing import Any

import httpx2
import psycopg
import pytest

from tests.support.account_client import AccountClient
from tests.support.stack import Stack

PATH = "/api/chat/keys/"
EVERY = ["chat", "models", "media", "keys", "billing", "webhooks", "share", "purge"]
LIMITS = {"requests": 600, "tokens": 100_000, "concurrent": 4, "credits_day": 10, "credits_month": 100}


class Manager:
    """The key that asks, and what it asks for."""

    def __init__(self, http: httpx2.AsyncClient, created: dict[str, str]) -> None:
        self._http = http
        self._headers = {"authorization": f"Bearer {created['key']}"}
        self.id = created["id"]

    async def make(self, **body: object) -> httpx2.Response:
        return await self._http.post(PATH, json={"name": "k", **body}, headers=self._headers)

    async def change(self, key_id: str, **body: object) -> httpx2.Response:
        return await self._http.patch(f"{PATH}{key_id}/", json=body, headers=self._headers)

    async def revoke(self, key_id: str) -> httpx2.Response:
        return await self._http.post(f"{PATH}{key_id}/revoke/", headers=self._headers)


async def manager(payer: AccountClient, **body: object) -> Manager:
    created = await payer.http.post(PATH, json={"name": "manager", "scopes": EVERY, **body})
    assert created.status_code == 201, created.text
    return Manager(payer.http, created.json())


async def root(payer: AccountClient) -> str:
    """The id of the account's first key, which has everything."""
    return str((await payer.http.get(PATH)).json()["data"][-1]["id"])


async def listed(payer: AccountClient) -> dict[str, dict[str, Any]]:
    return {key["id"]: key for key in (await payer.http.get(PATH)).json()["data"]}


def refused(answer: httpx2.Response, param: str | None = None) -> None:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (403, "insufficient_scope", param), answer.text


@pytest.mark.parametrize("name", LIMITS)
async def test_a_limited_key_makes_no_keys_that_would_have_its_limit_again(payer: AccountClient, name: str) -> None:
    limited = await manager(payer, limits={name: LIMITS[name]})
    before = await listed(payer)
    for limits in ({}, {name: 1}, {name: LIMITS[name]}, dict.fromkeys(LIMITS, 1)):
        refused(await limited.make(limits=limits))
    assert await listed(payer) == before


@pytest.mark.parametrize("name", LIMITS)
async def test_a_limited_key_narrows_others_and_widens_none(payer: AccountClient, name: str) -> None:
    limited = await manager(payer, limits={name: LIMITS[name]})
    other = (await (await manager(payer)).make(limits={name: LIMITS[name]}, scopes=["chat", "models"])).json()["id"]
    assert (await limited.change(other, limits={name: 1})).status_code == 200
    assert (await limited.change(other, name="renamed", scopes=["chat"])).status_code == 200
    refused(await limited.change(other, limits={name: LIMITS[name]}))
    refused(await limited.change(other, limits={name: LIMITS[name] + 1}), f"limits.{name}")
    refused(await limited.change(other, limits={name: None}), f"limits.{name}")
    refused(await limited.change(other, scopes=["chat", "models"]))
    assert (await listed(payer))[other]["limits"][name] == 1


async def test_a_key_does_not_change_its_own_limits_and_scopes(payer: AccountClient) -> None:
    limited = await manager(payer, limits=LIMITS)
    for change in ({"credits_day": None}, {"credits_day": 11}, {"requests": 1}):
        refused(await limited.change(limited.id, limits=change))
    refused(await limited.change(limited.id, scopes=["keys"]))
    assert (await limited.change(limited.id, name="renamed", scopes=EVERY)).status_code == 200


async def test_a_stronger_key_is_neither_narrowed_nor_revoked(payer: AccountClient) -> None:
    first = await root(payer)
    for weaker in (await manager(payer, scopes=["keys"]), await manager(payer, limits={"credits_day": 10})):
        refused(await weaker.change(first, scopes=["models"]))
        refused(await weaker.change(first, limits={"requests": 1}))
        refused(await weaker.revoke(first))
    assert (await payer.http.get(PATH)).status_code == 200


async def test_a_weaker_key_is_changed_and_revoked(payer: AccountClient) -> None:
    limited = await manager(payer, limits=LIMITS)
    made = (await (await manager(payer)).make(scopes=["chat"], limits=LIMITS)).json()["id"]
    assert (await limited.change(made, limits={"credits_day": 5})).json()["limits"]["credits_day"] == 5
    assert (await limited.revoke(made)).status_code == 200
    assert (await limited.revoke(made)).status_code == 200


async def test_a_key_revokes_itself(payer: AccountClient) -> None:
    limited = await manager(payer, limits=LIMITS)
    assert (await limited.revoke(limited.id)).status_code == 200
    assert (await limited.make()).status_code == 401


async def test_a_key_for_keys_alone_has_to_name_scopes_that_it_has(payer: AccountClient) -> None:
    only_keys = await manager(payer, scopes=["keys"])
    assert (await only_keys.make()).json()["error"]["param"] == "scopes"
    refused(await only_keys.make(scopes=["chat"]))
    assert (await only_keys.make(scopes=["keys"])).status_code == 201


async def test_it_lives_no_longer_than_the_key_that_made_it(payer: AccountClient, stack: Stack) -> None:
    lasting, brief = await manager(payer), await manager(payer)
    async with await psycopg.AsyncConnection.connect(stack.owner_url, autocommit=True) as connection:
        expire = "UPDATE api_keys SET expires_at = now() + interval '1 hour' WHERE id = %s"
        await connection.execute(expire, [brief.id])
    made = (await brief.make()).json()
    assert made["expires_at"] is not None
    refused(await brief.revoke(lasting.id))
    refused(await brief.change((await lasting.make()).json()["id"], limits={"requests": 1}))
