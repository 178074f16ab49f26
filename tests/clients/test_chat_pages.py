"""The first page and the Playground over a real port, as the server renders them."""

import gzip
import re
import uuid

import httpx2

from tests.support.stack import Stack

HOSTILE = '"><script>alert(1)</script>'


async def test_a_visitor_asks_at_once(browser: httpx2.AsyncClient) -> None:
    page = (await browser.get("/")).text
    assert '<textarea id="first"' in page
    assert "20 of 20 free today" in page
    assert 'value="demo-chat"' in page
    assert "<noscript>" in page
    assert page.count('<button type="button" value="') == 3
    chat = (await browser.get("/chat")).text
    assert 'data-remaining="20"' in chat
    assert "data-account" not in chat
    assert 'id="max_credits"' not in chat
    assert "Chatting needs JavaScript" in chat


async def test_the_scripts_of_the_first_page_are_small(browser: httpx2.AsyncClient) -> None:
    for path, limit in (("/", 10_000), ("/chat", 22_000)):
        page = (await browser.get(path)).text
        scripts = set(re.findall(r"/assets/[0-9a-f]+/js/[a-z-]+\.js", page))
        whole = [(await browser.get(script)).content for script in scripts]
        assert scripts
        assert sum(len(gzip.compress(script)) for script in whole) <= limit, path
        assert not any("markdown-it" in script for script in scripts)


async def test_an_account_has_the_playground(member: httpx2.AsyncClient) -> None:
    page = (await member.get("/chat?model=demo-chat-slow")).text
    assert "data-account" in page
    assert "data-named" in page
    assert 'data-model="demo-chat-slow"' in page
    assert "Not kept" in page
    assert 'id="max_credits"' in page
    assert HOSTILE not in (await member.get("/chat", params={"model": HOSTILE})).text


async def test_what_is_kept_has_an_address_for_its_owner_alone(
    member: httpx2.AsyncClient,
    site: Stack,
) -> None:
    await member.patch("/api/chat/settings/", json={"keep_history": True})
    title = HOSTILE + "x" * (200 - len(HOSTILE))
    created = await member.post("/api/chat/conversations/", json={"title": title})
    address = f"/chat/{created.json()['id']}"
    for path in ("/chat", address):
        page = (await member.get(path)).text
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page
        assert address in page
        assert "</svg>Kept<" in page
    await member.patch("/api/chat/settings/", json={"keep_history": False})
    assert "</svg>Kept<" in (await member.get(address)).text  # it is, whatever becomes of the others
    assert "</svg>Not kept<" in (await member.get("/chat")).text
    assert (await member.get(f"/chat/{uuid.uuid4()}")).status_code == 404
    assert (await member.get("/chat/nothing")).status_code in {400, 404}
    await member.post("/sign-out")
    email = f"{uuid.uuid4().hex}@example.com"
    await member.post("/sign-up", data={"email": email, "password": "correct horse battery", "next": "/chat"})
    assert (await member.get(address)).status_code == 404
