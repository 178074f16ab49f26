"""`/api/chat/share/`: pages are shared, listed and taken back by their account, and by nobody else."""

import asyncio
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import psycopg
import pytest

from db import erasure
from db.erasure import Extent
from domain.shares import slug_hash
from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import AccountClient
from tests.support.signed_in import browser
from tests.support.stack import Stack

PATH = "/api/chat/share/"
MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": "Which is the *tallest* mountain?"},
    {"role": "assistant", "content": "**Everest**, by its height above the sea.", "model": "test-plain"},
]


async def share(owner: AccountClient, **fields: Any) -> dict[str, Any]:
    headers = {"idempotency-key": fields.pop("once")} if "once" in fields else {}
    answer = await owner.http.post(PATH, json={"messages": MESSAGES, **fields}, headers=headers)
    assert answer.status_code == 201, answer.text
    shared: dict[str, Any] = answer.json()
    return shared


async def refused(owner: AccountClient, body: dict[str, Any], status: int = 400) -> str:
    answer = await owner.http.post(PATH, json=body)
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"]["param"])


async def slugs(owner: AccountClient) -> list[str]:
    return [page["slug"] for page in (await owner.http.get(PATH)).json()["data"]]


async def test_a_page_is_shared_listed_and_taken_back(owner: AccountClient, stack: Stack) -> None:
    shared = await share(owner, title="Mountains")
    assert re.fullmatch(r"[0-9A-Za-z]{22}", shared["slug"])
    assert shared["url"] == f"{stack.url}/c/{shared['slug']}"
    assert (shared["title"], shared["messages"]) == ("Mountains", 2)
    lives = datetime.fromisoformat(shared["expires_at"]) - datetime.fromisoformat(shared["created_at"])
    assert lives == timedelta(days=30)
    assert (await owner.http.get(PATH)).json() == {"data": [shared], "has_more": False, "next": None}
    assert (await owner.http.get(f"{PATH}{shared['slug']}/")).json() == shared
    gone = await owner.http.delete(f"{PATH}{shared['slug']}/")
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in [await owner.http.request(method, f"{PATH}{shared['slug']}/") for method in ("GET", "DELETE")]:
        assert answer.status_code == 404
    assert await slugs(owner) == []


async def test_the_list_has_pages(owner: AccountClient) -> None:
    slugs = [(await share(owner, title=str(number)))["slug"] for number in range(5)]
    seen = list[str]()
    cursor = dict[str, str]()
    while True:
        page = (await owner.http.get(PATH, params={"limit": 2, **cursor})).json()
        seen += [entry["slug"] for entry in page["data"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next"]}
    assert seen == slugs[::-1]
    assert (await owner.http.get(PATH, params={"cursor": "x"})).json()["error"]["param"] == "cursor"


async def test_another_account_finds_nothing(new_owner: OpenAccountClient) -> None:
    ann, bob = await new_owner(), await new_owner()
    shared = await share(ann)
    for method in ("GET", "DELETE"):
        of_another = await bob.http.request(method, f"{PATH}{shared['slug']}/")
        missing = await bob.http.request(method, f"{PATH}{'0' * 22}/")
        assert (of_another.status_code, of_another.content) == (missing.status_code, missing.content)
        assert missing.status_code == 404
    assert await slugs(ann) == [shared["slug"]]
    assert await slugs(bob) == []


async def test_a_key_needs_the_scope(owner: AccountClient, stack: Stack) -> None:
    created = await owner.http.post("/api/chat/keys/", json={"name": "no", "scopes": ["chat", "keys", "billing"]})
    headers = {"authorization": f"Bearer {created.json()['key']}"}
    for method, path, body in (
        ("POST", PATH, {"messages": MESSAGES}),
        ("GET", PATH, None),
        ("DELETE", f"{PATH}x/", None),
    ):
        answer = await owner.http.request(method, path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")
    async with httpx2.AsyncClient(base_url=stack.url) as nobody:
        assert (await nobody.post(PATH, json={"messages": MESSAGES})).status_code == 401


async def test_the_owner_shares_in_a_browser(owner: AccountClient, stack: Stack) -> None:
    async with await browser(owner.database, owner.customer.account_id, stack.url) as page:
        shared = await page.post(PATH, json={"messages": MESSAGES})
        assert shared.status_code == 201
        assert (await page.get(PATH)).json()["data"] == [shared.json()]
        address = f"{PATH}{shared.json()['slug']}/"
        forged = await page.delete(address, headers={"sec-fetch-site": "cross-site", "origin": "https://e.test"})
        assert forged.status_code in (401, 403)
        assert (await page.delete(address)).status_code == 204


async def test_one_page_is_erased_alone(new_owner: OpenAccountClient) -> None:
    owner, other = await new_owner(), await new_owner()
    erased, saved, of_other = (await share(owner))["slug"], (await share(owner))["slug"], (await share(other))["slug"]
    for slug, count in ((of_other, 0), (erased, 1), (erased, 0)):
        extent = Extent(owner.customer.account_id, 1, "share", slug_hash(slug).hex())
        async with owner.database.transaction() as session:
            counted = (await erasure.count(session, extent))["shares"]
            assert (counted, await erasure.erase(session, extent, 10)) == (count, ("shares", 1) if count else None)
    assert await slugs(owner) == [saved]
    assert await slugs(other) == [of_other]


async def test_the_operator_takes_a_reported_page_down(owner: AccountClient, stack: Stack) -> None:
    shared = await share(owner)
    assert stack.yout("shares", "revoke", shared["url"]) == {"revoked": True}
    assert await slugs(owner) == []


async def test_the_same_request_again_is_the_same_page(owner: AccountClient) -> None:
    once = uuid.uuid4().hex
    answers = await asyncio.gather(*(share(owner, once=once, title="Once") for _ in range(8)))
    assert len({answer["slug"] for answer in answers}) == 1
    other = await owner.http.post(PATH, json={"messages": MESSAGES}, headers={"idempotency-key": once})
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_conflict")
    await owner.http.delete(f"{PATH}{answers[0]['slug']}/")
    body = {"messages": MESSAGES, "title": "Once"}
    again = await owner.http.post(PATH, json=body, headers={"idempotency-key": once})
    assert (again.status_code, again.headers["x-should-retry"]) == (422, "false")
    assert await slugs(owner) == []


async def test_a_page_ends_when_its_owner_says(owner: AccountClient) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    assert datetime.fromisoformat((await share(owner, expires_at=soon.isoformat()))["expires_at"]) == soon
    assert (
        await refused(owner, {"messages": MESSAGES, "expires_in": 60, "expires_at": soon.isoformat()}) == "expires_at"
    )
    past = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    for name, value in (
        *(
            ("expires_at", None),
            ("expires_at", past),
            ("expires_at", "tomorrow"),
            ("expires_at", "2030-01-01T00:00:00"),
        ),
        *(
            ("expires_in", 0),
            ("expires_in", -1),
            ("expires_in", 366 * 86400),
            ("expires_in", "60"),
            ("expires_in", 10**18),
        ),
    ):
        assert await refused(owner, {"messages": MESSAGES, name: value}) == name


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"content": "a"}, "messages[0].role"),
        ({"role": "owner", "content": "a"}, "messages[0].role"),
        ({"role": "user", "content": 1}, "messages[0].content"),
        ({"role": "user", "content": ["a"]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{"type": "text", "text": 1}]}, "messages[0].content[0].text"),
        ({"role": "user", "content": "  "}, "messages"),
        ({"role": "assistant", "content": "a", "model": ["m"]}, "messages[0].model"),
        *(
            (
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]},
                "messages[0].content[0].image_url.url",
            )
            for url in ("javascript:alert(1)", "/local", "https://", "http://a b", "https://e.test/" + "a" * 2000, 7)
        ),
    ],
)
async def test_a_wrong_message_is_named(owner: AccountClient, message: dict[str, Any], param: str) -> None:
    assert await refused(owner, {"messages": [message]}) == param


async def test_too_much_is_refused(owner: AccountClient) -> None:
    assert await refused(owner, {"messages": [{"role": "user", "content": "é" * 600_000}]}, 413) == "messages"
    assert await refused(owner, {"messages": [{"role": "user", "content": "a"}] * 1001}) == "messages"
    assert await refused(owner, {"messages": []}) == "messages"
    assert await refused(owner, {}) == "messages"
    assert await refused(owner, {"messages": MESSAGES, "title": "a" * 201}) == "title"
    assert await refused(owner, {"messages": MESSAGES, "account_id": str(uuid.uuid4())}) == "account_id"
    large = await owner.http.post(PATH, json={"messages": [{"role": "user", "content": "a" * 4_200_000}]})
    assert large.status_code == 413


async def test_a_reader_of_the_database_opens_no_page(owner: AccountClient, stack: Stack) -> None:
    shared = await share(owner, title="Canary of a title")
    with psycopg.connect(stack.owner_url) as connection:
        rows = connection.execute(
            "SELECT row_to_json(s)::text, sealed, sealed_heading FROM shares s WHERE account_id = %s",
            (owner.customer.account_id,),
        ).fetchall()
    assert len(rows) == 1
    stored = b"".join(part if isinstance(part, bytes) else part.encode() for part in rows[0])
    for secret in (shared["slug"], "Canary", "Everest", "mountain"):
        assert secret.encode() not in stored
        assert secret.encode().hex().encode() not in stored


async def test_the_application_cannot_change_a_page(owner: AccountClient, stack: Stack) -> None:
    await share(owner)
    with psycopg.connect(stack.database_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE shares SET expires_at = NULL")


async def keep(owner: AccountClient) -> str:
    messages = [{"role": "system", "content": "Be brief."}, *MESSAGES[:1], {"role": "assistant", "content": "Everest."}]
    messages += [{"role": "user", "content": "And the deepest sea?"}]
    saved = await owner.http.post("/api/chat/conversations/", json={"title": "Saved", "messages": messages})
    assert saved.status_code == 201, saved.text
    return str(saved.json()["id"])


async def shown(owner: AccountClient, **fields: Any) -> tuple[str, str]:
    """The title of a page that is shared of a conversation, and its text."""
    answer = await owner.http.post(PATH, json=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()["title"], (await owner.http.get(f"/c/{answer.json()['slug']}")).text


async def test_a_saved_conversation_is_shared_whole_or_in_part(owner: AccountClient) -> None:
    saved = await keep(owner)
    title, text = await shown(owner, conversation_id=saved)
    assert title == "Saved"
    assert ["Be brief." in text, "Everest." in text, "deepest" in text] == [False, True, True]
    title, text = await shown(owner, conversation_id=saved, up_to=3, title="Mine")
    assert (title, "Everest." in text, "deepest" in text) == ("Mine", True, False)
    _, text = await shown(owner, conversation_id=saved, positions=[1, 4])
    assert ["Be brief." in text, "Everest." in text, "deepest" in text] == [True, False, True]
    for wrong, param in (
        ({"up_to": 9}, "up_to"),
        ({"positions": [0]}, "positions"),
        ({"positions": []}, "positions"),
        ({"messages": MESSAGES}, "messages"),
        ({"model": "m"}, "model"),
    ):
        assert await refused(owner, {"conversation_id": saved, **wrong}) == param
    assert await refused(owner, {"messages": MESSAGES, "up_to": 1}) == "up_to"


async def test_a_conversation_is_shared_by_whoever_may_read_it(new_owner: OpenAccountClient) -> None:
    owner, other = await new_owner(), await new_owner()
    saved = await keep(owner)
    body = {"conversation_id": saved}
    assert (await other.http.post(PATH, json=body)).status_code == 404
    key = (await owner.http.post("/api/chat/keys/", json={"name": "s", "scopes": ["share"]})).json()["key"]
    narrow = await owner.http.post(PATH, json=body, headers={"authorization": f"Bearer {key}"})
    assert (narrow.status_code, narrow.json()["error"]["code"]) == (403, "insufficient_scope")
    once = {"idempotency-key": uuid.uuid4().hex}
    shared = await owner.http.post(PATH, json=body, headers=once)
    assert (await owner.http.delete(f"/api/chat/conversations/{saved}/")).status_code == 204
    again = await owner.http.post(PATH, json=body, headers=once)
    assert (again.json(), again.headers["idempotent-replayed"]) == (shared.json(), "true")
    assert (await owner.http.post(PATH, json=body)).status_code == 404
