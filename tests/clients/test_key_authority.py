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


async def manager(owner: AccountClient, **body: object) -> Manager:
    created = await owner.http.post(PATH, json={"name": "manager", "scopes": EVERY, **body})
    assert created.status_code == 201, created.text
    return Manager(owner.http, created.json())


async def root(owner: AccountClient) -> str:
    """The id of the account's first key, which has everything."""
    return str((await owner.http.get(PATH)).json()["data"][-1]["id"])


async def listed(owner: AccountClient) -> dict[str, dict[str, Any]]:
    return {key["id"]: key for key in (await owner.http.get(PATH)).json()["data"]}


def refused(answer: httpx2.Response, param: str | None = None) -> None:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (403, "insufficient_scope", param), answer.text


@pytest.mark.parametrize("name", LIMITS)
async def test_what_a_limited_key_makes_has_its_limit_or_less(owner: AccountClient, name: str) -> None:
    limited = await manager(owner, limits={name: LIMITS[name]})
    refused(await limited.make(limits={name: LIMITS[name] + 1}), f"limits.{name}")
    keys = [await limited.make(), await limited.make(limits={name: None}), await limited.make(limits={name: 1})]
    assert [answer.json()["limits"][name] for answer in keys] == [LIMITS[name], LIMITS[name], 1]
    assert {answer.json()["parent_id"] for answer in keys} == {limited.id}
    child = keys[2].json()["id"]
    assert (await limited.change(child, limits={name: LIMITS[name]})).json()["limits"][name] == LIMITS[name]
    refused(await limited.change(child, limits={name: None}), f"limits.{name}")


async def test_four_keys_lie_behind_a_key_at_most(owner: AccountClient) -> None:
    maker = await manager(owner)
    parents = []
    for _ in range(3):
        maker = Manager(owner.http, (await maker.make(scopes=EVERY)).json())
        parents.append((await listed(owner))[maker.id]["parent_id"])
    assert len(set(parents)) == 3
    refused(await maker.make())


@pytest.mark.parametrize("name", LIMITS)
async def test_a_limited_key_narrows_others_and_widens_none(owner: AccountClient, name: str) -> None:
    limited = await manager(owner, limits={name: LIMITS[name]})
    other = (await (await manager(owner)).make(limits={name: LIMITS[name]}, scopes=["chat", "models"])).json()["id"]
    assert (await limited.change(other, limits={name: 1})).status_code == 200
    assert (await limited.change(other, name="renamed", scopes=["chat"])).status_code == 200
    refused(await limited.change(other, limits={name: LIMITS[name]}))
    refused(await limited.change(other, limits={name: LIMITS[name] + 1}), f"limits.{name}")
    refused(await limited.change(other, limits={name: None}), f"limits.{name}")
    refused(await limited.change(other, scopes=["chat", "models"]))
    assert (await listed(owner))[other]["limits"][name] == 1


async def test_a_key_does_not_change_its_own_limits_and_scopes(owner: AccountClient) -> None:
    limited = await manager(owner, limits=LIMITS)
    for change in ({"credits_day": None}, {"credits_day": 11}, {"requests": 1}):
        refused(await limited.change(limited.id, limits=change))
    refused(await limited.change(limited.id, scopes=["keys"]))
    assert (await limited.change(limited.id, name="renamed", scopes=EVERY)).status_code == 200


async def test_a_stronger_key_is_neither_changed_nor_revoked(owner: AccountClient) -> None:
    first = await root(owner)
    for weaker in (await manager(owner, scopes=["keys"]), await manager(owner, limits={"credits_day": 10})):
        refused(await weaker.change(first, scopes=["models"]))
        refused(await weaker.change(first, name="renamed"))
        refused(await weaker.change(first, limits={"requests": 1}))
        refused(await weaker.revoke(first))
    assert (await owner.http.get(PATH)).status_code == 200


async def test_a_weaker_key_is_changed_and_revoked(owner: AccountClient) -> None:
    limited = await manager(owner, limits=LIMITS)
    key = (await (await manager(owner)).make(scopes=["chat"], limits=LIMITS)).json()["id"]
    assert (await limited.change(key, limits={"credits_day": 5})).json()["limits"]["credits_day"] == 5
    assert (await limited.revoke(key)).status_code == 200
    assert (await limited.revoke(key)).status_code == 200


async def test_a_key_revokes_itself(owner: AccountClient) -> None:
    limited = await manager(owner, limits=LIMITS)
    assert (await limited.revoke(limited.id)).status_code == 200
    assert (await limited.make()).status_code == 401


async def test_a_key_for_keys_alone_has_to_name_scopes_that_it_has(owner: AccountClient) -> None:
    only_keys = await manager(owner, scopes=["keys"])
    assert (await only_keys.make()).json()["error"]["param"] == "scopes"
    refused(await only_keys.make(scopes=["chat"]))
    assert (await only_keys.make(scopes=["keys"])).status_code == 201


async def test_it_lives_no_longer_than_the_key_that_made_it(owner: AccountClient, stack: Stack) -> None:
    lasting, brief = await manager(owner), await manager(owner)
    async with await psycopg.AsyncConnection.connect(stack.owner_url, autocommit=True) as connection:
        expire = "UPDATE api_keys SET expires_at = now() + interval '1 hour' WHERE id = %s"
        await connection.execute(expire, [brief.id])
    key = (await brief.make()).json()
    assert key["expires_at"] is not None
    refused(await brief.revoke(lasting.id))
    refused(await brief.change((await lasting.make()).json()["id"], limits={"requests": 1}))
