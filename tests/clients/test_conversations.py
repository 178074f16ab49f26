"""`/api/chat/conversations/` over a real port: list, make, read, rename, search, delete, export; and whose they are."""

import uuid
from typing import Any

import pytest

from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import AccountClient

PATH = "/api/chat/conversations/"
QUESTION = [{"role": "user", "content": "Where is Ulm?"}, {"role": "assistant", "content": "On the Danube."}]


async def made(client: AccountClient, **fields: Any) -> dict[str, Any]:
    answer = await client.http.post(PATH, json=fields)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    assert answer.headers["location"].endswith(f"{PATH}{body['id']}/")
    return body


async def got(client: AccountClient, path: str = "", **query: Any) -> dict[str, Any]:
    answer = await client.http.get(f"{PATH}{path}", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def refused(client: AccountClient, method: str, path: str = "", **request: Any) -> tuple[int, str | None]:
    answer = await client.http.request(method, f"{PATH}{path}", **request)
    return answer.status_code, answer.json()["error"]["param"]


async def test_a_conversation_is_made_read_renamed_and_deleted(owner: AccountClient) -> None:
    conversation = await made(owner, messages=QUESTION)
    assert (conversation["title"], conversation["message_count"]) == ("Where is Ulm?", 2)
    whole = await got(owner, f"{conversation['id']}/")
    assert [(m["position"], m["role"], m["content"]) for m in whole["messages"]] == [
        (1, "user", "Where is Ulm?"),
        (2, "assistant", "On the Danube."),
    ]
    assert (whole["has_more"], whole["next"]) == (False, None)
    renamed = await owner.http.patch(f"{PATH}{conversation['id']}/", json={"title": "Städte"})
    assert renamed.json()["title"] == (await got(owner, f"{conversation['id']}/"))["title"] == "Städte"
    assert (await owner.http.delete(f"{PATH}{conversation['id']}/")).status_code == 204
    for method in ("GET", "DELETE"):
        assert (await refused(owner, method, f"{conversation['id']}/"))[0] == 404
    assert (await got(owner))["data"] == []


async def test_messages_are_read_in_pages(owner: AccountClient) -> None:
    messages = [{"role": "user", "content": str(number)} for number in range(7)]
    conversation, read, next_ = await made(owner, title="t", messages=messages), [], None
    while True:
        query = {"limit": 3} | ({"cursor": next_} if next_ else {})
        page = await got(owner, f"{conversation['id']}/", **query)
        read += [message["content"] for message in page["messages"]]
        next_ = page["next"]
        assert page["has_more"] == (next_ is not None)
        if next_ is None:
            break
    assert read == [str(number) for number in range(7)]


async def test_the_list_goes_on_and_is_searched_by_title(owner: AccountClient) -> None:
    titles = [f"Straße {number}" for number in range(5)] + ["Cafe\u0301 in Ulm"]
    for title in titles:
        await made(owner, title=title)
    first = await got(owner, limit=4)
    second = await got(owner, limit=4, cursor=first["next"])
    assert [one["title"] for one in first["data"] + second["data"]] == ["Café in Ulm", *reversed(titles[:-1])]
    assert (first["has_more"], second["has_more"], second["next"]) == (True, False, None)
    assert len((await got(owner, title="STRASSE"))["data"]) == 5
    assert [one["title"] for one in (await got(owner, title="CAFÉ"))["data"]] == ["Café in Ulm"]
    assert (await got(owner, title="nowhere"))["data"] == []
    paged = await got(owner, title="straße", limit=2)
    rest = await got(owner, title="straße", limit=5, cursor=paged["next"])
    assert [one["title"][-1] for one in paged["data"] + rest["data"]] == list("43210")


async def test_all_is_exported_and_deleted(owner: AccountClient) -> None:
    one = await made(owner, messages=QUESTION)
    await made(owner, title="empty")
    answer = await owner.http.get(f"{PATH}export/")
    assert answer.headers["content-disposition"].startswith("attachment")
    exported = answer.json()["conversations"]
    assert [(c["title"], len(c["messages"])) for c in exported] == [("Where is Ulm?", 2), ("empty", 0)]
    alone = (await owner.http.get(f"{PATH}{one['id']}/export/")).json()
    assert alone == exported[0]
    assert (await owner.http.delete(PATH)).json() == {"deleted": 2}
    assert (await owner.http.get(f"{PATH}export/")).json()["conversations"] == []


async def test_the_same_key_makes_one_conversation(owner: AccountClient) -> None:
    headers, body = {"idempotency-key": uuid.uuid4().hex}, {"title": "once"}
    first, again = [await owner.http.post(PATH, json=body, headers=headers) for _ in range(2)]
    assert (first.json(), again.headers["idempotent-replayed"]) == (again.json(), "true")
    assert len((await got(owner))["data"]) == 1
    other = await owner.http.post(PATH, json={"title": "another"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_conflict")
    await owner.http.delete(f"{PATH}{first.json()['id']}/")
    assert (await owner.http.post(PATH, json=body, headers=headers)).status_code == 422


async def test_another_accounts_conversation_is_not_there(new_owner: OpenAccountClient) -> None:
    ann, bob = [await new_owner() for _ in range(2)]
    conversation = await made(ann, messages=QUESTION)
    for method, path in (("GET", ""), ("DELETE", ""), ("PATCH", ""), ("GET", "export/")):
        body = {"title": "mine"} if method == "PATCH" else None
        theirs = await bob.http.request(method, f"{PATH}{conversation['id']}/{path}", json=body)
        nobodys = await bob.http.request(method, f"{PATH}{uuid.uuid4()}/{path}", json=body)
        assert (theirs.status_code, theirs.json()) == (nobodys.status_code, nobodys.json()) == (404, theirs.json())
    assert (await got(bob))["data"] == []
    assert (await bob.http.delete(PATH)).json() == {"deleted": 0}
    assert (await got(ann, f"{conversation['id']}/"))["title"] == "Where is Ulm?"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"title": ""}, "title"),
        ({"title": "  "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a\nb"}, "title"),
        ({"title": 7}, "title"),
        ({"account_id": str(uuid.uuid4())}, "account_id"),
        ({"messages": [{"role": "owner", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x"}] * 2001}, "messages"),
    ],
)
async def test_what_cannot_be_saved_is_refused_by_its_field(
    owner: AccountClient, body: dict[str, Any], param: str
) -> None:
    assert await refused(owner, "POST", json=body) == (400, param)
    assert (await got(owner))["data"] == []


@pytest.mark.parametrize("cursor", ["x", "MTI", "MjAyNi0wMS0wMXwx", "é"])
async def test_a_cursor_of_no_page_is_refused(owner: AccountClient, cursor: str) -> None:
    assert await refused(owner, "GET", params={"cursor": cursor}) == (400, "cursor")


async def test_the_switch_is_read_and_set(owner: AccountClient) -> None:
    settings = "/api/chat/settings/"
    assert (await owner.http.get(settings)).json() == {"keep_history": False}
    for keep in (True, False):
        assert (await owner.http.patch(settings, json={"keep_history": keep})).json() == {"keep_history": keep}
        assert (await owner.http.get(settings)).json() == {"keep_history": keep}
    assert (await owner.http.patch(settings, json={"keep_history": 1})).status_code == 400
