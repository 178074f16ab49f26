"""Cursors, slugs, signed addresses and cookies that are not ours: refused, and never an error of the server."""

from urllib.parse import quote

import httpx2

from tests.clients.test_scopes import DOCUMENT
from tests.support.account_client import AccountClient
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
            empty = answer.status_code == 200 and answer.json()["data"] == []
            assert empty or answer.status_code in REFUSED, (path, value, answer.text)


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
