"""`GET /c/<slug>`: what everybody who has the address gets, and what nobody gets any more."""

import asyncio
from typing import Any

import httpx2
import psycopg
import pytest

from tests.clients.conftest import OpenAccountClient
from tests.clients.test_shares import MESSAGES, PATH, share
from tests.support.account_client import AccountClient
from tests.support.hostile_markdown import DOCUMENTS
from tests.support.stack import Stack, eventually
from tests.unit.web.test_markdown import Page

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": POLICY,
    "x-robots-tag": "noindex, nofollow, noarchive, nosnippet",
    "referrer-policy": "no-referrer",
    "cache-control": "private, no-store",
    "x-content-type-options": "nosniff",
}


@pytest.fixture
async def visitor(stack: Stack) -> Any:
    async with httpx2.AsyncClient(base_url=stack.url, timeout=30) as client:
        yield client


def same(answer: httpx2.Response) -> tuple[int, bytes, dict[str, str]]:
    """All that a reader sees, but for the id of the request and the time of the answer."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
    return answer.status_code, answer.content, headers


async def test_everybody_reads_a_page_and_gets_nothing_else(owner: AccountClient, visitor: httpx2.AsyncClient) -> None:
    shared = await share(owner, title="Mountains & <b>valleys</b>")
    answer = await visitor.get(
        f"/c/{shared['slug']}", headers={"cookie": "a=b", "origin": "https://e.test", "accept-encoding": "identity"}
    )
    assert answer.status_code == 200
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert not [name for name in answer.headers if name.startswith(("set-cookie", "access-control"))]
    page = Page(answer.text)
    for shown in ("Mountains & <b>valleys</b>", "Everest", "test-plain", "2 messages"):
        assert shown in page.text
    assert "<em>tallest</em>" in answer.text
    assert str(owner.customer.account_id) not in answer.text
    packed = await visitor.get(f"/c/{shared['slug']}")
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "accept-encoding")
    assert packed.content == answer.content
    head = await visitor.head(f"/c/{shared['slug']}/", headers={"accept-encoding": "identity"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]


async def test_all_that_a_page_loads_is_its_own_and_stays_as_it_is(
    owner: AccountClient, visitor: httpx2.AsyncClient
) -> None:
    page = Page((await visitor.get(f"/c/{(await share(owner))['slug']}")).text)
    loaded = [address for link in page.all("link") if not (address := str(link["href"])).startswith("#")]
    assert [address.rpartition(".")[2] for address in loaded] == ["svg", "woff2", "css"]
    style = await visitor.get(loaded[2])
    folder = loaded[2].rpartition("/")[0]
    fonts = [f"{folder}/{part.partition(')')[0].strip(chr(34))}" for part in style.text.split('url("')[1:]]
    assert len(fonts) == 2
    for address in [*loaded, *fonts]:
        asset = await visitor.get(address)
        assert (asset.status_code, asset.headers["x-content-type-options"]) == (200, "nosniff")
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (await visitor.get(loaded[2].replace(folder, "/assets/0"))).headers["cache-control"] == "no-cache"
    for address in (f"{folder}/../pages.py", f"{folder}/%2e%2e/pages.py", f"{folder}/nothing.css", f"{folder}/"):
        assert (await visitor.get(address)).status_code == 404
    assert "/c/" not in (await visitor.get("/robots.txt")).text


async def test_what_is_gone_is_as_what_never_was(
    new_owner: OpenAccountClient, visitor: httpx2.AsyncClient, stack: Stack
) -> None:
    owner, suspended = await new_owner(), await new_owner()
    revoked, expiring, purged = [(await share(owner))["slug"] for _ in range(3)]
    of_suspended = (await share(suspended))["slug"]
    assert (await visitor.get(f"/c/{revoked}")).status_code == 200
    assert (await owner.http.delete(f"{PATH}{revoked}/")).status_code == 204
    never = same(await visitor.get(f"/c/{'0' * 22}"))
    assert never[0] == 404
    assert {name: never[2][name] for name in HEADERS} == HEADERS
    assert same(await visitor.get(f"/c/{revoked}")) == never
    with psycopg.connect(stack.owner_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE shares SET created_at = now() - interval '2 s', expires_at = now() - interval '1 s'"
            " WHERE slug_hash = sha256(%s)",
            (expiring.encode(),),
        )
        connection.execute("UPDATE accounts SET suspended_at = now() WHERE id = %s", (suspended.customer.account_id,))
        assert same(await visitor.get(f"/c/{expiring}")) == never
        assert (await owner.http.get(f"{PATH}{expiring}/")).status_code == 404
        assert same(await visitor.get(f"/c/{of_suspended}")) == never
        connection.execute("UPDATE accounts SET suspended_at = NULL WHERE id = %s", (suspended.customer.account_id,))
        assert (await visitor.get(f"/c/{of_suspended}")).status_code == 200
        connection.execute("UPDATE accounts SET epoch = epoch + 1 WHERE id = %s", (owner.customer.account_id,))
        assert same(await visitor.get(f"/c/{purged}")) == never
        # Back, for an epoch without a data key is a fault in the books that other files look at.
        connection.execute("UPDATE accounts SET epoch = epoch - 1 WHERE id = %s", (owner.customer.account_id,))
    for malformed in (
        "",
        "a",
        "a/b",
        "%00",
        "%ff%fe",
        "..%2f..%2fetc",
        "é" * 50,
        "a" * 5000,
        f"{of_suspended}x",
        "?x=1",
    ):
        assert same(await visitor.get(f"/c/{malformed}")) == never, malformed
    assert same(await visitor.get(f"/c/{of_suspended.swapcase()}")) == never


async def test_maintenance_deletes_what_has_ended(owner: AccountClient, stack: Stack) -> None:
    await share(owner, expires_in=1)
    lives = await share(owner)

    async def left() -> bool:
        async with await psycopg.AsyncConnection.connect(stack.owner_url) as connection:
            query = "SELECT count(*) FROM shares WHERE account_id = %s"
            row = await (await connection.execute(query, (owner.customer.account_id,))).fetchone()
        return row == (1,)

    assert await eventually(left)
    assert [page["slug"] for page in (await owner.http.get(PATH)).json()["data"]] == [lives["slug"]]


async def test_hostile_pages_are_shown_while_others_are_served(
    owner: AccountClient, visitor: httpx2.AsyncClient
) -> None:
    """All of them at once: each is the page, or says to come again."""
    slugs = []
    for text in DOCUMENTS.values():
        text = "".join(character for character in text if not 0xD800 <= ord(character) < 0xE000)
        message = {"role": "assistant", "content": text}
        slugs.append((await share(owner, messages=[message]))["slug"])
    answers = await asyncio.gather(
        *(visitor.get(f"/c/{slug}") for slug in slugs), *(owner.http.get("/v1/models") for _ in range(20))
    )
    assert {answer.status_code for answer in answers[len(slugs) :]} == {200}
    assert {answer.status_code for answer in answers[: len(slugs)]} <= {200, 503}
    for answer in answers[: len(slugs)]:
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.status_code == 200 or answer.headers["retry-after"]


async def test_many_readers_of_one_page_are_all_served(owner: AccountClient, visitor: httpx2.AsyncClient) -> None:
    message = {"role": "assistant", "content": DOCUMENTS["slow lexers"]}
    slug = (await share(owner, messages=[*MESSAGES, message]))["slug"]
    answers = await asyncio.gather(*(visitor.get(f"/c/{slug}") for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({len(answer.content) > 1000 for answer in answers}) == 1
