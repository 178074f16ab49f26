"""Pages of the web app over a real port, as a browser without a script uses them."""

import re
import uuid

import httpx2
import psycopg
import pytest

from tests.support.pages_site import BROWSER, PASSWORD
from tests.support.stack import Stack
from web.routes import PAGES


async def create_key(member: httpx2.AsyncClient, **fields: str) -> httpx2.Response:
    form = {"name": "laptop", "scopes": ["chat", "models"], "once": str(uuid.uuid4()), **fields}
    return await member.post("/keys/new", data=form)


def filled(path: str) -> str:
    """The address of a page, with something in the place of its parameters."""
    known = {"model_id": "demo-chat", "topic": "clients", "tag": "chat", "decision": "0034-pages-call-the-public-api"}
    return re.sub(r"\{(\w+)\}", lambda match: known.get(match[1], str(uuid.uuid4())), path)


async def test_who_has_no_account_is_led_to_the_door_and_back(browser: httpx2.AsyncClient) -> None:
    for page in PAGES:
        path = filled(page.path)
        if "GET" not in page.methods or path.endswith(".json"):
            continue
        answer = await browser.get(path)
        if page.needs_account:
            assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={path}"), path
        else:
            assert answer.status_code == 200, path
            assert "default-src 'none'" in answer.headers["content-security-policy"], path
            assert answer.headers["referrer-policy"] == "no-referrer", path
            assert not re.search(r"(?:src|href|action)=[\"']?(?:https?:)?//", answer.text), path


async def test_an_address_that_only_takes_a_form_leads_to_the_page_above_it(member: httpx2.AsyncClient) -> None:
    """Who signs in again after such a form comes there, and so does who reloads the address."""
    places = {}
    for page in PAGES:
        if "GET" in page.methods:
            continue
        answer = await member.get(filled(page.path))
        while answer.status_code == 303:
            places[page.path] = answer.headers["location"]
            answer = await member.get(places[page.path])
        assert answer.status_code in {200, 404}, page.path  # what is at a made-up id is not there
    assert places["/account/sessions/{session_id}/end"] == places["/account/password"] == "/account"
    assert places["/webhooks/settings/rotate"] == places["/webhooks/settings"] == "/webhooks"
    assert places["/privacy/history"] == "/privacy"


async def test_the_door_opens_and_closes(member: httpx2.AsyncClient) -> None:
    home = await member.get("/")
    assert (home.status_code, home.headers["location"]) == (303, "/chat")
    assert (await member.get("/sign-in?next=/keys")).headers["location"] == "/keys"
    left = await member.post("/sign-out")
    assert (left.status_code, left.headers["clear-site-data"]) == (303, '"cache", "storage"')
    assert (await member.get("/keys")).headers["location"] == "/sign-in?next=/keys"


async def test_an_account_that_begins_without_credits_says_why(browser: httpx2.AsyncClient) -> None:
    offered = (await browser.get("/sign-up")).text
    assert "It comes with 50,000 credits, once for each mailbox and network." in offered
    for goal in ("/keys", "/plan?new"):
        form = {"email": f"{uuid.uuid4().hex}@example.com", "password": PASSWORD, "next": "/keys"}
        assert (await browser.post("/sign-up", data=form)).headers["location"] == goal
        shown = (await browser.get("/plan?new")).text
        assert ("begins without credits" in shown) == (goal != "/keys")
        await browser.post("/sign-out")


async def test_a_server_without_mail_promises_none_for_a_forgotten_password(browser: httpx2.AsyncClient) -> None:
    shown = await browser.get("/forgot")
    sent = await browser.post("/forgot", data={"email": "ann@example.com"})
    for page in (shown, sent):
        assert page.status_code == 200
        assert "Ask the operator of this server for the link." in page.text
        assert not re.search(r"mail you|It goes to|Look into", page.text)
    assert "<form" not in shown.text


async def test_keys_are_found_from_the_account(member: httpx2.AsyncClient) -> None:
    main = (await member.get("/account")).text.partition("<main")[2]
    assert re.search(r'API keys</h2><a [^>]*href="/keys"', main)


@pytest.mark.parametrize("there", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "/\nx"])
async def test_nobody_is_led_to_another_server(browser: httpx2.AsyncClient, there: str) -> None:
    form = {"email": f"{uuid.uuid4().hex}@example.com", "password": PASSWORD, "next": there}
    assert (await browser.post("/sign-up", data=form)).headers["location"] == "/chat"


async def test_an_unknown_address_and_a_wrong_password_read_the_same(member: httpx2.AsyncClient) -> None:
    email = re.search(r"[0-9a-f]{32}@example\.com", (await member.get("/keys")).text)
    assert email is not None
    await member.post("/sign-out")
    pages = []
    for address in (email[0], f"{uuid.uuid4().hex}@example.com"):
        answer = await member.post("/sign-in", data={"email": address, "password": "another one", "next": "/keys"})
        assert answer.status_code == 401
        assert address in answer.text
        assert PASSWORD not in answer.text
        pages.append(answer.text.replace(address, "…"))
    assert pages[0] == pages[1]


async def test_a_token_is_in_one_answer_that_no_browser_keeps(member: httpx2.AsyncClient, site: Stack) -> None:
    page = await create_key(member, credits_day="20,000")
    token = re.search(r"yout-[0-9A-Za-z]{40,}", page.text)
    assert token is not None
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert "content-encoding" not in page.headers
    for path in ("/keys", "/keys/new"):
        again = await member.get(path)
        assert token[0] not in again.text
        assert again.headers["cache-control"] == "private, no-cache"
    assert "20,000" in (await member.get("/keys")).text
    assert token[0] not in site.log("api")
    call = await member.get("/v1/models", headers={"authorization": f"Bearer {token[0]}"})
    assert call.status_code == 200


async def test_two_clicks_make_one_key(member: httpx2.AsyncClient) -> None:
    once = str(uuid.uuid4())
    first, second = await create_key(member, once=once), await create_key(member, once=once)
    assert (first.status_code, second.status_code) == (200, 422)
    assert "was made before" in second.text
    assert "1 key<" in (await member.get("/keys")).text
    assert "has this name too" not in first.text
    assert "has this name too" in (await create_key(member)).text


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"name": ""}, "name"),
        ({"scopes": "nothing"}, "scopes"),
        ({"credits_day": "many"}, "credits_day"),
        ({"requests": "0"}, "requests"),
        ({"expires_on": "2001-01-01"}, "expires_on"),
    ],
)
async def test_a_fault_stands_at_its_field_and_nothing_is_lost(
    member: httpx2.AsyncClient, fields: dict[str, str], at_fault: str
) -> None:
    answer = await create_key(member, **{"name": "<b>ci</b>", "tokens": "70,000", **fields})
    assert answer.status_code == 400
    assert f'id="{at_fault}-fault"' in answer.text
    assert 'value="70,000"' in answer.text
    if "name" not in fields:
        assert "&lt;b&gt;ci&lt;/b&gt;" in answer.text
    assert "No key yet" in (await member.get("/keys")).text


async def test_a_key_is_rotated_and_revoked(member: httpx2.AsyncClient) -> None:
    await create_key(member)
    match = re.search(r"/keys/([0-9a-f-]{36})", (await member.get("/keys")).text)
    assert match is not None
    rotated = await member.post(f"{match[0]}/rotate", data={"grace_hours": "1", "once": str(uuid.uuid4())})
    assert (rotated.status_code, rotated.headers["cache-control"]) == (200, "no-store")
    assert "token before ends" in rotated.text
    revoked = await member.post(f"{match[0]}/revoke")
    assert (revoked.status_code, revoked.headers["location"]) == (303, "/keys")
    assert "was revoked" in (await member.get(match[0])).text
    assert (await member.get(f"/keys/{uuid.uuid4()}")).status_code == 404


async def test_whoever_is_suspended_can_sign_out(member: httpx2.AsyncClient, stack: Stack) -> None:
    account = (await member.get("/api/auth/me/")).json()["account_id"]
    with psycopg.connect(stack.owner_url, autocommit=True) as connection:
        connection.execute("UPDATE accounts SET suspended_at = now() WHERE id = %s", (account,))
    for path in ("/", "/chat", "/keys", "/docs", "/sign-in"):
        answer = await member.get(path)
        assert answer.status_code == 403, path
        assert "This account is suspended." in answer.text
        assert re.findall(r'(?:action|<a class="button second" href)="([^"]*)"', answer.text) == ["/sign-out"]
    assert (await member.post("/sign-out")).status_code == 303
    assert (await member.get("/docs")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "", "origin": "https://evil.example"},
        {"sec-fetch-site": ""},
    ],
)
async def test_no_other_site_sends_a_form(member: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in member.cookies.items())
    own = {name: value for name, value in (BROWSER | headers).items() if value}
    async with httpx2.AsyncClient(base_url=member.base_url, headers={**own, "cookie": cookies}) as elsewhere:
        for page in PAGES:
            if "POST" in page.methods:
                path = filled(page.path)
                answer = await elsewhere.post(path, data={"name": "x", "theme": "dark"})
                assert answer.status_code == 403, path
                assert "set-cookie" not in answer.headers, path
    assert "No key yet" in (await member.get("/keys")).text


async def test_a_browser_gets_errors_as_pages_and_a_program_as_json(browser: httpx2.AsyncClient) -> None:
    page = await browser.get("/nothing")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no such page." in page.text
    ways = re.findall(r'<a class="button second" href="([^"]*)"', (await browser.get("/setings/keys")).text)
    assert ways == ["/account", "/", "/models"]
    assert (await browser.put("/keys")).status_code == 405
    program = await browser.get("/nothing", headers={"accept": "*/*"})
    assert program.json()["error"]["message"].startswith("There is nothing at GET /nothing")
    assert (await browser.get("/v1/nothing")).json()["error"]["message"]


async def test_a_client_with_a_wrong_base_url_gets_a_hint_and_no_page(browser: httpx2.AsyncClient) -> None:
    answer = await browser.get("/models", headers={"accept": "application/json", "authorization": "Bearer x"})
    assert answer.status_code == 404
    assert "Did you mean /v1/models?" in answer.json()["error"]["message"]


async def test_a_theme_is_chosen_without_a_script(browser: httpx2.AsyncClient) -> None:
    assert 'data-theme="' not in (await browser.get("/sign-in")).text
    chosen = await browser.post("/theme", data={"theme": "dark", "next": "/sign-in"})
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/sign-in")
    for path in ("/sign-in", "/nothing"):  # the page of an error too
        assert 'data-theme="dark"' in (await browser.get(path)).text
    await browser.post("/theme", data={"theme": "system", "next": "/sign-in"})
    assert 'data-theme="' not in (await browser.get("/sign-in")).text


async def test_a_session_that_has_ended_is_no_error(member: httpx2.AsyncClient) -> None:
    member.cookies.set("yout", "x" * 43, domain="127.0.0.1")
    answer = await member.get("/keys")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/keys")
    assert (await member.get("/")).status_code == 200


async def test_a_form_is_small(browser: httpx2.AsyncClient) -> None:
    answer = await browser.post("/sign-in", data={"email": "x" * 70_000, "password": PASSWORD})
    assert (answer.status_code, answer.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert "too large" in answer.text


LONG = "9" * 25


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/keys/new", {"credits_day": LONG}),
        ("/keys/new", {"credits_day": LONG * 200}),
        ("/keys/new", {"once": "\u2713"}),
        ("/webhooks/settings", {"credits_low": LONG}),
        ("/webhooks/settings/rotate", {"overlap_hours": LONG}),
        ("/studio/image", {"model": "demo-image", "prompt": "a lake", "seed": LONG}),
        ("/privacy/erase", {"once": ""}),
    ],
)
async def test_what_no_field_takes_is_a_fault_of_the_form(
    member: httpx2.AsyncClient, path: str, fields: dict[str, str]
) -> None:
    form = {"name": "laptop", "scopes": "chat", "once": str(uuid.uuid4()), **fields}
    answer = await member.post(path, data=form)
    assert answer.status_code == 400
    assert "Something broke on our side" not in answer.text


async def test_models_without_a_provider_here_are_shown_on_demand(browser: httpx2.AsyncClient) -> None:
    known = (await browser.get("/api/chat/models/?inactive=true")).json()["data"]
    active = (await browser.get("/api/chat/models/")).json()["data"]
    absent = next(model for model in known if model["disabled_reason"] == "inactive" and model["modality"] == "text")
    assert absent["id"] not in {model["id"] for model in active}
    assert not any(model["disabled_reason"] == "inactive" for model in active)
    link = f'href="/models/{absent["id"]}"'
    assert link not in (await browser.get("/models")).text
    shown = (await browser.get("/models?inactive=1")).text
    assert link in shown
    assert "no provider key" in shown
    assert "/models?kind=text&amp;unit=usd&amp;inactive=1" in shown
    assert "This server has no provider key for it" in (await browser.get(f"/models/{absent['id']}")).text


async def test_a_search_that_finds_no_model_says_what_to_change(browser: httpx2.AsyncClient) -> None:
    async def ways(address: str) -> dict[str, str]:
        shown = (await browser.get(address)).text
        assert "No model fits" in shown
        return dict(re.findall(r'second small" href="(/models[^"]*)">([^<]*) <', shown))

    words = "/models?kind=image&amp;unit=credits&amp;q=demo-image-fail"
    elsewhere = {words: "Image", "/models?kind=text&amp;unit=credits": "Without these words"}
    assert elsewhere.items() <= (await ways("/models?q=demo-image-fail")).items()
    filtered = await ways("/models?kind=image&q=demo-image-fail&has=tools")
    assert filtered == {words: "Without “Calls tools”", "/models?kind=image": "Show all"}


async def test_a_key_is_changed_on_its_page_and_shows_what_of_its_limits_is_used(member: httpx2.AsyncClient) -> None:
    page = await create_key(member, credits_day="1,000", expires_on="2031-05-06")
    token = re.search(r"yout-[0-9A-Za-z]{40,}", page.text)
    match = re.search(r"/keys/([0-9a-f-]{36})", (await member.get("/keys")).text)
    assert token is not None
    assert match is not None
    body = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello"}]}
    call = await member.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {token[0]}"})
    spent = call.json()["yout"]["credits_charged"]
    shown = (await member.get("/keys")).text
    assert f'<span>{spent} <span class="faint">of 1,000 today</span></span>' in shown
    assert "%</span>" not in shown

    form = {"name": "ci", "scopes": ["chat"], "credits_day": str(spent), "requests": "60", "expires_on": "2031-05-06"}
    wrong = await member.post(match[0], data=form | {"requests": "many"})
    assert (wrong.status_code, 'id="requests-fault"' in wrong.text) == (400, True)
    changed = await member.post(match[0], data=form)
    assert (changed.status_code, changed.headers["location"]) == (303, match[0])
    assert '<span class="tag wait num">100%</span>' in (await member.get("/keys")).text
    key = (await member.get(f"/api/chat{match[0]}/")).json()
    assert (key["name"], key["scopes"], key["limits"]["requests"], key["limits"]["tokens"]) == (
        "ci",
        ["chat"],
        60,
        None,
    )
    assert key["used"] == {"credits_day": spent, "credits_month": spent}
    assert key["expires_at"].startswith("2031-05-06T00:00:00")
