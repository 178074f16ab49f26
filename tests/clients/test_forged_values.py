"""Cursors, slugs, addresses, cookies and tokens that are not ours, or nearly: refused, never an error of the server."""

import uuid
from base64 import b64decode
from itertools import permutations
from urllib.parse import quote

import httpx2

from domain.operations import Grant
from gateway import sign_in, sign_up
from tests.clients.conftest import OpenAccountClient
from tests.clients.test_conversations import made
from tests.clients.test_scopes import DOCUMENT
from tests.clients.test_shares import share
from tests.support.account_client import AccountClient
from tests.support.edge_requests import PICTURE
from tests.support.forgeries import forgeries
from tests.support.signed_in import SAME_ORIGIN, cookie_of
from tests.support.stack import Stack

FORGED = ("x", "\u00fc", "\0", "0" * 22, "-1", "1e30", "9" * 400, "AAAA", "eyJhIjoxfQ", "null", "%00", "../..", "'--")
REFUSED = (400, 401, 403, 404)
LISTS = [
    path
    for path, item in DOCUMENT["paths"].items()
    if "cursor" in {p["name"] for p in item.get("get", {}).get("parameters", [])} and "{" not in path
]


async def test_forged_cursors_are_refused(owner: AccountClient) -> None:
    assert len(LISTS) >= 4
    for path in LISTS:
        for value in FORGED:
            answer = await owner.http.get(path, params={"cursor": value})
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "cursor"), (path, value, answer.text)


async def test_forged_addresses_and_cookies_are_refused(stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=stack.url) as client:
        for value in FORGED:
            for exp in ("1e30", "-1", "99999999999999999999", "\u0661", "\0", value):
                answer = await client.get("/media/a/b/0.png", params={"exp": exp, "sig": value})
                assert answer.status_code in REFUSED, (exp, value, answer.text)
            page = await client.get(f"/c/{quote(value, safe='')}")
            assert page.status_code in REFUSED, (value, page.text)
            cookie = {b"cookie": b"yout=" + value.replace("\0", "").encode()}
            answer = await client.get("/api/auth/me/", headers=cookie)
            assert answer.status_code in REFUSED, (value, answer.text)


async def with_media(owner: AccountClient) -> set[str]:
    """Start a job and upload a picture. Return their ids."""
    job = await owner.http.post("/api/media/image/", json={"model": "demo-image", "prompt": "a lighthouse"})
    picture = b64decode(PICTURE.partition(",")[2])
    upload = await owner.http.post("/api/media/uploads/", content=picture, headers={"content-type": "image/png"})
    return {job.json()["job_uuid"], upload.json()["id"]}


async def filled(owner: AccountClient) -> tuple[dict[str, str], set[str]]:
    """By each list a genuine cursor of it; and what only this account may read. Every list has three entries."""
    secret, texts = uuid.uuid4().hex, set[str]()
    messages = [{"role": "user", "content": f"m{secret}{number}"} for number in range(3)]
    conversation = (await made(owner, title=f"t{secret}", messages=messages))["id"]
    for number in range(3):
        await owner.ledger.ask(Grant(owner.customer.account_id, 1, f"{secret}{number}"))
        texts.add((await made(owner, title=f"t{secret}"))["id"])
        texts.add((await share(owner, title=f"t{secret}{number}"))["slug"])
        texts.add((await owner.charged("test-plain"))["id"])
        texts |= await with_media(owner)
    endpoint = await owner.http.post("/api/webhooks/", json={"url": "https://receiver.example/a"})
    for _ in range(3):
        texts.add((await owner.http.post(f"/api/webhooks/{endpoint.json()['id']}/test/")).json()["id"])
    lists = [*LISTS, f"/api/chat/conversations/{conversation}/"]
    pages = {path: (await owner.http.get(path, params={"limit": 1})).json() for path in lists}
    return {path: page["next"] for path, page in pages.items()}, texts | {secret, conversation}


async def test_no_cursor_made_of_a_genuine_one_shows_what_is_anothers(new_owner: OpenAccountClient) -> None:
    ann, bob = await new_owner(), await new_owner()
    (cursors, _), (bobs, secrets) = await filled(ann), await filled(bob)
    theirs = dict(zip(cursors, bobs.values(), strict=True))
    for path, genuine in cursors.items():
        page = (await ann.http.get(path, params={"cursor": genuine})).json()
        assert page.get("data") or page["messages"], path
        tried = [f"cursor={quote(value, safe='')}" for value in (*forgeries(genuine), theirs[path], *cursors.values())]
        doubled = [f"cursor={one}&cursor={other}" for one, other in permutations((genuine, theirs[path], "x"), 2)]
        for query in (*tried, *doubled):
            answer = await ann.http.get(f"{path}?{query}")
            assert answer.status_code in (200, 400), (path, query, answer.text)
            assert answer.status_code == 200 or answer.json()["error"]["param"] == "cursor", (path, query)
            assert not any(secret in answer.text for secret in secrets), (path, query)


async def test_no_slug_made_of_a_genuine_one_opens_a_page(owner: AccountClient) -> None:
    slug, title = (await share(owner, title="Mountains"))["slug"], "Mountains"
    for value in filter(None, forgeries(slug)):
        for path in (f"/c/{quote(value, safe='')}", f"/api/chat/share/{quote(value, safe='')}/"):
            answer = await owner.http.get(path)
            assert answer.status_code == 404, (path, answer.text)
            assert title not in answer.text, path
    assert title in (await owner.http.get(f"/c/{slug}")).text


async def test_no_cookie_made_of_a_genuine_one_signs_in(owner: AccountClient, stack: Stack) -> None:
    genuine = await cookie_of(owner.database, owner.customer.account_id)
    async with httpx2.AsyncClient(base_url=stack.url, headers=SAME_ORIGIN) as browser:
        for value in forgeries(genuine):
            answer = await browser.get("/api/auth/me/", headers={"cookie": f"yout={value}"})
            assert answer.status_code == 401, (value, answer.text)
        assert (await browser.get("/api/auth/me/", headers={"cookie": f"yout={genuine}"})).status_code == 200


async def test_no_cookie_made_of_a_visitors_is_a_visitors(stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=stack.url, headers=SAME_ORIGIN) as browser:
        limit = "/api/chat/limit/"
        genuine = (await browser.get(limit)).cookies["yout-visitor"]
        browser.cookies.clear()
        for value in forgeries(genuine):
            answer = await browser.get(limit, headers={"cookie": f"yout-visitor={value}"})
            assert (answer.status_code, "yout-visitor" in answer.cookies) == (200, True), (value, answer.text)
            browser.cookies.clear()
        again = await browser.get(limit, headers={"cookie": f"yout-visitor={genuine}"})
        assert (again.status_code, "set-cookie" in again.headers) == (200, False)


async def test_no_token_made_of_a_mailed_one_is_taken(owner: AccountClient, stack: Stack) -> None:
    email = f"{owner.customer.account_id.hex}@example.test"
    bodies = {"reset/confirm": {"password": "a long sentence to keep"}, "verify": dict[str, str]()}
    async with owner.database.transaction() as session:
        links = [await sign_in.operators_reset_link(session, email), await sign_up.operators_link(session, email)]
    async with httpx2.AsyncClient(base_url=f"{stack.url}/api/auth", headers=SAME_ORIGIN) as browser:
        for (path, body), link in zip(bodies.items(), links, strict=True):
            assert link is not None
            for value in forgeries(link.secret):
                answer = await browser.post(f"/{path}/", json=body | {"token": value})
                assert (answer.status_code, answer.json()["error"]["param"]) == (400, "token"), (value, answer.text)
            taken = await browser.post(f"/{path}/", json=body | {"token": link.secret})
            assert taken.status_code in (200, 204), taken.text
