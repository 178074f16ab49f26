"""Privacy over a real port: what is stored is counted as it is, decided on, downloaded and erased."""

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from db.erasure import ERASED, RETAINED
from db.stored_rows import OUTPUTS
from domain.sealing import Wrapping
from gateway.erasure_steps import ErasureSteps
from storage.objects import ObjectStorage
from tests.support import receipt_verifier
from tests.support.account_client import AccountClient
from tests.support.purging import NoJobs
from tests.support.signed_in import browser as signed_in
from tests.support.stack import SECRET, Stack

QUESTION = [{"role": "user", "content": "Hello"}]
HOSTILE = "<script>alert(1)</script>" + "w" * 175
OF_USER = "user_id IN (SELECT id FROM users WHERE account_id = %(account)s)"
OWNERS = {
    "accounts": "id = %(account)s",
    "sessions": OF_USER,
    "one_time_links": OF_USER,
    "api_key_secrets": "key_id IN (SELECT id FROM api_keys WHERE account_id = %(account)s)",
    "purge_receipts": "purge_id IN (SELECT id FROM purges WHERE account_id = %(account)s)",
    "job_files": "job_id IN (SELECT id FROM media_jobs WHERE account_id = %(account)s)",
    "job_inputs": "job_id IN (SELECT id FROM media_jobs WHERE account_id = %(account)s)",
    "upload_parts": "upload_id IN (SELECT id FROM uploads WHERE account_id = %(account)s)",
    "holds": "account_id = %(account)s AND state <> 'erased'",
}
"""Whose rows are whose, in tables where it is not the account's id alone that says it."""


@pytest.fixture
async def page(owner: AccountClient, site: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    """The browser of an account that has made calls, kept a chat and shared it."""
    await owner.charged("test-plain")
    await owner.charged("test-plain")
    conversation = await owner.http.post("/api/chat/conversations/", json={"title": HOSTILE, "messages": QUESTION})
    shared = await owner.http.post("/api/chat/share/", json={"messages": QUESTION, "title": HOSTILE})
    hook = await owner.http.post("/api/webhooks/", json={"url": "https://receiver.example/"})
    assert [one.status_code for one in (conversation, shared, hook)] == [201, 201, 201]
    async with await signed_in(owner.database, owner.customer.account_id, site.url) as client:
        client.headers["accept"] = "text/html"
        yield client


async def in_database(stack: Stack, account_id: uuid.UUID) -> dict[str, int]:
    counts = {}
    async with await psycopg.AsyncConnection.connect(stack.owner_url) as connection:
        for name, table in [*((one.name, one.table) for one in ERASED), *((one.table, one.table) for one in RETAINED)]:
            own = OWNERS.get(table, "account_id = %(account)s")
            query = f"SELECT count(*) FROM {table} WHERE {own}"  # our own names
            row = await (await connection.execute(query, {"account": account_id})).fetchone()
            assert row is not None
            counts[name] = row[0]
    return counts


async def stored(client: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/api/privacy/", headers={"accept": "application/json"})
    assert answer.status_code == 200, answer.text
    return {kind["name"]: kind for kind in answer.json()["data"]}


async def erased(page: httpx2.AsyncClient) -> str:
    form = {"confirm": " Erase ", "once": str(uuid.uuid4())}
    begun = await page.post("/privacy/erase", data=form)
    assert (begun.status_code, begun.headers["clear-site-data"]) == (303, '"cache", "storage"'), begun.text
    assert (await page.post("/privacy/erase", data=form)).headers["location"] == begun.headers["location"]
    return str(begun.headers["location"])


async def complete(owner: AccountClient, folder: Path, purge_id: uuid.UUID) -> None:
    storage = ObjectStorage.from_url(folder.as_uri())
    steps = ErasureSteps(owner.database, Wrapping.of(SECRET), storage, NoJobs(), NoJobs())
    await steps.survey(purge_id)
    await steps.shred(purge_id)
    assert await steps.delete_rows(purge_id)
    assert await steps.roll_up(purge_id)
    assert await steps.conclude(purge_id)


async def test_counts_equal_the_database(owner: AccountClient, page: httpx2.AsyncClient, site: Stack) -> None:
    kinds = await stored(page)
    expected = await in_database(site, owner.customer.account_id)
    assert {name: kind["count"] for name, kind in kinds.items() if name != OUTPUTS} == expected
    assert (kinds["conversations"]["count"], kinds["messages"]["count"], kinds["shares"]["count"]) == (1, 1, 1)
    assert kinds["usage_entries"]["count"] == 2
    assert kinds["lines"]["count"] > 0
    shown = (await page.get("/privacy")).text
    for kind in kinds.values():
        assert re.search(rf"<b>{re.escape(kind['title'])}</b>.*?>{kind['count']:,}<", shown), kind["name"]


async def test_nothing_of_another_account_is_counted_or_shown(member: httpx2.AsyncClient, owner: AccountClient) -> None:
    await owner.http.post("/api/chat/share/", json={"messages": QUESTION, "title": "of another"})
    kinds = await stored(member)
    assert not any(kinds[name]["count"] for name in ("shares", "usage_entries", "conversations", "holds", "purges"))
    shown = await member.get("/privacy")
    assert (shown.status_code, shown.headers["cache-control"]) == (200, "private, no-cache")
    assert "Nothing is shared" in shown.text
    assert "of another" not in shown.text


async def test_titles_are_escaped_and_a_shared_page_is_taken_back(page: httpx2.AsyncClient) -> None:
    shown = (await page.get("/privacy")).text
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert(1)" in shown
    slug = re.search(r'name="slug" value="([^"]+)"', shown)
    assert slug is not None
    for _ in range(2):  # the second finds nothing, which is what was wanted
        back = await page.post("/privacy/shares/take-back", data={"slug": slug[1]})
        assert (back.status_code, back.headers["location"]) == (303, "/privacy#shares")
    assert (await page.get(f"/c/{slug[1]}")).status_code == 404
    assert "Nothing is shared" in (await page.get("/privacy")).text


@pytest.mark.parametrize(("kept", "left"), [("keep", 1), ("erase", 0)])
async def test_who_keeps_no_more_chats_says_what_becomes_of_the_kept(
    page: httpx2.AsyncClient, kept: str, left: int
) -> None:
    await page.post("/privacy/history", data={"history": "on"})
    assert 'aria-checked="true"' in (await page.get("/privacy")).text
    shown = await page.post("/privacy/history", data={"history": "off"})
    assert (shown.status_code, "kept already?" in shown.text) == (200, True)
    assert 'aria-checked="true"' in (await page.get("/privacy")).text
    await page.post("/privacy/history", data={"history": "off", "kept": kept})
    assert 'aria-checked="false"' in (await page.get("/privacy")).text
    assert (await stored(page))["conversations"]["count"] == left


async def test_everything_is_one_file(page: httpx2.AsyncClient, owner: AccountClient) -> None:
    assert "/api/privacy/export/" in (await page.get("/privacy/export")).text
    file = await page.get("/api/privacy/export/")
    assert 'filename="yout-account.json"' in file.headers["content-disposition"]
    whole = file.json()
    assert whole["account"]["account_id"] == str(owner.customer.account_id)
    assert [share["title"] for share in whole["shared_pages"]] == [HOSTILE]
    assert (len(whole["charges"]), len(whole["keys"]), len(whole["webhooks"])) == (2, 1, 1)
    assert owner.customer.token not in file.text


async def test_the_file_is_for_the_owner_alone(owner: AccountClient) -> None:
    assert (await owner.http.get("/api/privacy/")).status_code == 200
    refused = await owner.http.get("/api/privacy/export/")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_scope")


async def test_nothing_is_erased_without_the_word(page: httpx2.AsyncClient) -> None:
    shown = (await page.get("/privacy/erase")).text
    assert re.search(r"<dt>Kept chats</dt><dd>1</dd>", shown)
    for word in ("", "yes", "erase everything"):
        refused = await page.post("/privacy/erase", data={"confirm": word, "once": str(uuid.uuid4())})
        assert (refused.status_code, 'id="confirm-fault"' in refused.text) == (400, True)
    assert not (await stored(page))["purges"]["count"]


async def test_a_purge_is_followed_without_a_script_and_ends_in_a_receipt(
    page: httpx2.AsyncClient, owner: AccountClient, member: httpx2.AsyncClient, tmp_path: Path
) -> None:
    address = await erased(page)
    running = (await page.get(address)).text
    assert '<noscript><meta http-equiv="refresh" content="1"></noscript>' in running
    assert 'aria-current="step"' in running
    assert address in (await page.get("/privacy")).text
    assert (await page.get(f"{address}/receipt.json")).status_code == 404

    await complete(owner, tmp_path, uuid.UUID(address.rpartition("/")[2]))
    done = (await page.get(address)).text
    assert "Everything was erased" in done
    assert "http-equiv" not in done
    assert '<dt>Kept chats</dt><dd class="nowrap">1 erased, 0 left</dd>' in done
    file = await page.get(f"{address}/receipt.json")
    assert file.headers["content-disposition"].startswith("attachment")
    keys = (await page.get("/.well-known/yout-receipts.json")).json()
    assert receipt_verifier.is_valid(file.json(), keys)
    money = file.json()["balance"]
    assert money["before"] == money["after"] == (await owner.get("/statement/"))["closing"]["balance"]
    assert "Everything was erased" in (await page.get("/privacy")).text
    assert not (await stored(page))["usage_entries"]["count"]

    for path in (address, f"{address}/receipt.json", f"/privacy/purges/{uuid.uuid4()}", "/privacy/purges/x"):
        assert (await member.get(path)).status_code == 404, path
