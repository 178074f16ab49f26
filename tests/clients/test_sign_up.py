"""Sign-up, sign-in and what was forgotten, over HTTP and with a real mail server. Nobody learns who has an account."""

import dataclasses
import re
import uuid
from collections.abc import AsyncIterator, Iterator

import httpx2
import psycopg
import pytest

from dev import ports
from tests.support.doubles.mail_server import MailServer, running, text_of
from tests.support.signed_in import SAME_ORIGIN
from tests.support.stack import Stack

FREE = 50_000
PASSWORD = "a long sentence, easy to keep"
NEW = "an even longer sentence"


def address() -> str:
    return f"{uuid.uuid4().hex}@example.test"


@pytest.fixture(scope="module")
def mails() -> Iterator[tuple[MailServer, str]]:
    server = MailServer()
    with running(server) as at:
        yield server, at


@pytest.fixture(scope="module")
def site(stack: Stack, mails: tuple[MailServer, str]) -> Iterator[Stack]:
    """An API that verifies addresses, beside the one of the other tests, on the same database."""
    extra = stack.extra | {"YOUT_SMTP_URL": f"smtp://{mails[1]}", "YOUT_TRUSTED_PROXIES": "127.0.0.0/8"}
    process = dataclasses.replace(stack, extra=extra, port=ports.free())
    with process.running("api"):
        yield process


@pytest.fixture
def mailbox(mails: tuple[MailServer, str]) -> MailServer:
    return mails[0]


def page(site: Stack) -> httpx2.AsyncClient:
    """A browser in a network of its own."""
    headers = SAME_ORIGIN | {"x-forwarded-for": _network()}
    return httpx2.AsyncClient(base_url=site.url + "/api/auth", headers=headers, timeout=60)


def _network() -> str:
    words = uuid.uuid4().hex
    return f"2001:db8:{words[:4]}:{words[4:8]}::1"


@pytest.fixture
async def ann(site: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    async with page(site) as client:
        yield client


async def signed_up(client: httpx2.AsyncClient, mailbox: MailServer, email: str) -> dict[str, object]:
    """An account of that address, signed in."""
    assert (await client.post("/signup/", json={"email": email, "password": PASSWORD})).status_code == 202
    verified = await client.post("/verify/", json={"token": mailbox.secret(email)})
    answer = await client.post("/login/", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    me: dict[str, object] = answer.json()
    assert verified.json() == {"email": email, "email_verified": True, "free_credits": me["balance"]}
    return me


async def refused(client: httpx2.AsyncClient, path: str, param: str | None, status: int = 400, **body: str) -> None:
    answer = await client.post(path, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param), answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert all(value not in answer.text for name, value in body.items() if name != "email")


async def test_an_account_is_opened_by_the_mailed_link(ann: httpx2.AsyncClient, mailbox: MailServer) -> None:
    email = address()
    answer = await ann.post("/signup/", json={"email": f"  {email.upper()} ", "password": PASSWORD})
    assert (answer.status_code, answer.headers.get("set-cookie")) == (202, None)
    await refused(ann, "/login/", None, 401, email=email, password=PASSWORD)
    token = mailbox.secret(email)
    assert "/verify#" in text_of(mailbox.to(email)[0])
    assert PASSWORD not in text_of(mailbox.to(email)[0])
    assert (await ann.post("/verify/", json={"token": token})).status_code == 200
    await refused(ann, "/verify/", "token", token=token)
    assert (await ann.get("/me/")).status_code == 401
    answer = await ann.post("/login/", json={"email": email, "password": PASSWORD})
    assert answer.headers["cache-control"] == "no-store"
    (cookie, browser) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("yout=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; ")) & set(browser.split("; "))
    me = (await ann.get("/me/")).json()
    assert (me["email"], me["email_verified"], me["balance"], me["plan_active"]) == (email, True, FREE, False)


async def test_a_mailbox_has_the_free_tier_once(site: Stack, mailbox: MailServer) -> None:
    name = uuid.uuid4().hex
    balances = []
    for spelling in (f"{name}@gmail.com", f"{name[:8]}.{name[8:]}@gmail.com", f"{name}+news@googlemail.com"):
        async with page(site) as client:
            balances.append((await signed_up(client, mailbox, spelling))["balance"])
    assert balances == [FREE, 0, 0]


async def test_a_known_address_is_answered_like_a_new_one(
    site: Stack, ann: httpx2.AsyncClient, mailbox: MailServer
) -> None:
    known, new = address(), address()
    await signed_up(ann, mailbox, known)
    for path, more, kind in (
        ("/signup/", {"password": NEW}, "already"),
        ("/reset/", {}, "password"),
        ("/verify/resend/", {}, None),
    ):
        answers = []
        for email in (known, new):
            async with page(site) as stranger:
                answers.append(await stranger.post(path, json={"email": email} | more))
        assert answers[0].status_code == answers[1].status_code == 202
        assert answers[0].content == answers[1].content
        assert _headers_of(answers[0]) == _headers_of(answers[1])
        if kind is not None:
            assert kind in text_of(mailbox.awaited(known, 2 if path == "/signup/" else 3)[-1])
    async with page(site) as stranger:
        wrong = await stranger.post("/login/", json={"email": known, "password": NEW})
        nobody = await stranger.post("/login/", json={"email": address(), "password": NEW})
        short = await stranger.post("/login/", json={"email": known, "password": "x"})
    assert wrong.status_code == 401
    assert wrong.content == nobody.content == short.content
    assert _headers_of(wrong) == _headers_of(nobody) == _headers_of(short)
    assert len(mailbox.to(new)) >= 1  # of the sign-up; a reset of an unknown address mails nothing


def _headers_of(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}


async def test_a_forgotten_password_is_replaced_by_the_mailed_link(
    site: Stack, ann: httpx2.AsyncClient, mailbox: MailServer
) -> None:
    email = address()
    await signed_up(ann, mailbox, email)
    async with page(site) as other:
        assert (await other.post("/reset/", json={"email": email})).status_code == 202
        token = mailbox.secret(email, 2)
        await refused(other, "/reset/confirm/", "password", token=token, password="short")
        await refused(other, "/reset/confirm/", "token", token=token[:-1] + "_", password=NEW)
        await refused(other, "/verify/", "token", token=token)
        assert (await other.post("/reset/confirm/", json={"token": token, "password": NEW})).status_code == 204
        await refused(other, "/reset/confirm/", "token", token=token, password=PASSWORD)
        assert (await ann.get("/me/")).status_code == 401
        await refused(other, "/login/", None, 401, email=email, password=PASSWORD)
        assert (await other.post("/login/", json={"email": email, "password": NEW})).status_code == 200
        assert "changed" in mailbox.awaited(email, 3)[-1]["Subject"]


async def test_a_forgotten_password_says_where_its_link_goes(site: Stack) -> None:
    async with httpx2.AsyncClient(base_url=site.url, headers=SAME_ORIGIN, timeout=60) as browser:
        assert "We mail you a link" in (await browser.get("/forgot")).text
        answer = await browser.post("/forgot", data={"email": "ann@example.test"})
    assert (answer.status_code, re.findall("It goes to <b[^>]*>([^<]*)<", answer.text)) == (200, ["ann@example.test"])


async def test_a_password_is_changed_by_who_knows_it(site: Stack, ann: httpx2.AsyncClient, mailbox: MailServer) -> None:
    email = address()
    await signed_up(ann, mailbox, email)
    async with page(site) as other:
        assert (await other.post("/login/", json={"email": email, "password": PASSWORD})).status_code == 200
        await refused(other, "/password/", "current_password", current_password="wrong guess", new_password=NEW)
        await refused(other, "/password/", "new_password", current_password=PASSWORD, new_password="x" * 201)
        changed = await other.post("/password/", json={"current_password": PASSWORD, "new_password": NEW})
        assert changed.json() == {"ended_sessions": 1}
        assert ((await other.get("/me/")).status_code, (await ann.get("/me/")).status_code) == (200, 401)
        await refused(ann, "/login/", None, 401, email=email, password=PASSWORD)


async def test_a_new_address_counts_when_it_is_verified(
    site: Stack, ann: httpx2.AsyncClient, mailbox: MailServer
) -> None:
    old, new = address(), address()
    await signed_up(ann, mailbox, old)
    await refused(ann, "/email/", "password", email=new, password=NEW)
    await refused(ann, "/email/", "email", email=old, password=PASSWORD)
    assert (await ann.post("/reset/", json={"email": old})).status_code == 202
    stale = mailbox.secret(old, 2)
    assert (await ann.post("/email/", json={"email": new, "password": PASSWORD})).status_code == 202
    assert (await ann.get("/me/")).json()["email"] == old
    assert (await ann.post("/verify/", json={"token": mailbox.secret(new)})).json()["email"] == new
    me = (await ann.get("/me/")).json()
    assert (me["email"], me["balance"]) == (new, FREE)
    notice = mailbox.awaited(old, 3)[-1]
    assert "address was changed" in notice["Subject"]
    assert "write to the operator" in text_of(notice)
    assert (new in text_of(notice), "ask there for a new password" in text_of(notice)) == (False, False)
    await refused(ann, "/reset/confirm/", "token", token=stale, password=NEW)  # mailed to an address that is left
    async with page(site) as other:
        again = await signed_up(other, _After(mailbox, old, 4), old)
        assert again["balance"] == 0  # the mailbox had it
        taken = await other.post("/email/", json={"email": new, "password": PASSWORD})
        assert taken.status_code == 202
        assert "already" in text_of(mailbox.awaited(new, 2)[-1])


class _After(MailServer):
    """A mailbox that had mails before."""

    def __init__(self, server: MailServer, email: str, count: int) -> None:
        self._server, self._email, self._count = server, email, count

    def secret(self, address: str, count: int = 1) -> str:
        return self._server.secret(address, self._count)


async def test_sessions_are_listed_and_ended_at_once(site: Stack, stack: Stack, mailbox: MailServer) -> None:
    email, pages = address(), [page(site) for _ in range(3)]
    first, second, third = pages
    await signed_up(first, mailbox, email)
    for client in (second, third):
        assert (await client.post("/login/", json={"email": email, "password": PASSWORD})).status_code == 200
    listed = (await third.get("/sessions/")).json()["data"]
    assert [row["current"] for row in listed].count(True) == len(listed) - 2 == 1
    assert set(listed[0]) == {"id", "created_at", "last_seen_at", "expires_at", "current"}
    cookies = {"yout": second.cookies["yout"]}
    async with httpx2.AsyncClient(base_url=stack.url, cookies=cookies) as another_process:
        assert (await another_process.get("/api/auth/me/")).status_code == 200
        second_id = next(row["id"] for row in (await second.get("/sessions/")).json()["data"] if row["current"])
        assert (await third.delete(f"/sessions/{second_id}/")).status_code == 204
        assert (await another_process.get("/api/auth/me/")).status_code == 401
        assert (await third.delete(f"/sessions/{second_id}/")).status_code == 404
    assert (await first.delete("/sessions/")).json() == {"ended_sessions": 1}
    assert (await third.get("/me/")).status_code == 401
    logged_out = await first.post("/logout/")
    assert (logged_out.status_code, logged_out.headers["set-cookie"].split("; ")[0]) == (204, "yout=")
    assert (await first.post("/logout/")).status_code == 204
    for client in pages:
        await client.aclose()


async def test_another_users_session_is_not_found(site: Stack, ann: httpx2.AsyncClient, mailbox: MailServer) -> None:
    await signed_up(ann, mailbox, address())
    async with page(site) as bob:
        await signed_up(bob, mailbox, address())
        (theirs,) = (await ann.get("/sessions/")).json()["data"]
        assert (await bob.delete(f"/sessions/{theirs['id']}/")).status_code == 404
    assert (await ann.get("/me/")).status_code == 200


async def test_a_suspended_owner_hears_so_with_the_right_password_only(
    site: Stack, ann: httpx2.AsyncClient, mailbox: MailServer
) -> None:
    email = address()
    me = await signed_up(ann, mailbox, email)
    site.yout("accounts", "suspend", str(me["account_id"]))
    answer = await ann.get("/me/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")
    await refused(ann, "/login/", None, 401, email=email, password=NEW)
    await refused(ann, "/login/", None, 403, email=email, password=PASSWORD)


REFUSED = [
    ("/signup/", {"email": "nobody", "password": PASSWORD}, "email"),
    ("/signup/", {"email": "a@b.test\r\nBcc: c@d.test", "password": PASSWORD}, "email"),
    ("/signup/", {"email": "a@example.test", "password": "1234567"}, "password"),
    ("/signup/", {"email": "a@example.test", "password": "x" * 201}, "password"),
    ("/signup/", {"email": "ann.long@example.test", "password": "Ann.Long@example.test"}, "password"),
    ("/signup/", {"email": "a@example.test", "password": "Password123"}, "password"),
    ("/signup/", {"email": "a@example.test", "password": 12345678}, "password"),
    ("/signup/", {"email": "a@example.test"}, "password"),
    ("/signup/", {"email": "a@example.test", "password": PASSWORD, "balance": 9}, "balance"),
    ("/login/", {"email": "a@example.test", "password": PASSWORD, "account_id": "x"}, "account_id"),
    ("/login/", {"email": ["a@example.test"], "password": PASSWORD}, "email"),
    ("/reset/", {}, "email"),
    ("/verify/", {"token": "x" * 43}, "token"),
    ("/verify/", {"token": ""}, "token"),
]


async def test_what_is_wrong_is_named_and_not_repeated(ann: httpx2.AsyncClient) -> None:
    for path, body, param in REFUSED:
        answer = await ann.post(path, json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), (path, body, answer.text)
        assert answer.headers["cache-control"] == "no-store"
        assert PASSWORD not in answer.text
    assert (await ann.post("/login/", content=b"{" + b" " * 9000 + b"}")).status_code == 413
    assert (await ann.get("/login/")).headers["allow"] == "OPTIONS, POST"
    assert (await ann.head("/me/")).status_code == 401
    assert (await ann.request("OPTIONS", "/login/")).status_code == 204


@pytest.mark.parametrize("name", ["verify", "reset"])
async def test_the_page_of_a_mailed_link_asks_this_server_alone(
    site: Stack, ann: httpx2.AsyncClient, name: str
) -> None:
    answer = await ann.get(f"{site.url}/{name}")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    policy = answer.headers["content-security-policy"]
    expected = {"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"}
    assert expected <= set(policy.split("; "))
    path = answer.text.partition('endpoint="')[2].partition('"')[0]
    assert (await ann.post(site.url + path, json={})).json()["error"]["param"] in ("token", "password")


async def test_an_account_of_the_operator_gets_its_password_by_a_printed_link(
    site: Stack, ann: httpx2.AsyncClient
) -> None:
    email = address()
    created = site.yout("accounts", "create", "--email", email, "--credits", "7")
    await refused(ann, "/login/", None, 401, email=email, password=PASSWORD)
    link = site.yout("accounts", "reset-link", email)
    assert link["link"] == f"{site.url}/reset#{link['token']}"
    assert (await ann.post("/reset/confirm/", json={"token": link["token"], "password": PASSWORD})).status_code == 204
    me = (await ann.post("/login/", json={"email": email, "password": PASSWORD})).json()
    assert (me["account_id"], me["balance"], me["email_verified"]) == (created["account_id"], 7, False)
    link = site.yout("accounts", "verify-link", email)
    assert (await ann.post("/verify/", json={"token": link["token"]})).status_code == 200
    me = (await ann.get("/me/")).json()
    assert (me["balance"], me["email_verified"]) == (7 + FREE, True)
    keyed = await ann.get("/me/", headers={"authorization": f"Bearer {created['api_key']}"})
    assert (keyed.json()["account_id"], keyed.json()["email"]) == (me["account_id"], None)
    by_key = {"authorization": f"Bearer {created['api_key']}"}
    for method, path in (("GET", "/sessions/"), ("DELETE", "/sessions/"), ("DELETE", f"/sessions/{uuid.uuid4()}/")):
        assert (await ann.request(method, path, headers=by_key)).status_code == 403
    changed = await ann.post("/password/", headers=by_key, json={"current_password": PASSWORD, "new_password": NEW})
    assert changed.status_code == 403


async def test_no_other_site_signs_a_browser_in(ann: httpx2.AsyncClient) -> None:
    """Nor out: its browser sends no cookie with another site's form, and would take the one that is cleared."""
    for headers in ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}):
        for path in ("/login/", "/signup/", "/reset/", "/verify/", "/logout/"):
            answer = await ann.post(path, json={"email": "a@example.test", "password": PASSWORD}, headers=headers)
            assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None), path
    assert (await ann.post("/logout/")).status_code == 204


def test_no_secret_is_in_a_log_or_a_table(site: Stack) -> None:
    """The other tests of this file have run on it."""
    log = site.log("api")
    assert PASSWORD not in log
    assert "@example.test" not in log
    with psycopg.connect(site.owner_url) as connection:
        for table in ("users", "sessions", "one_time_links", "throttles", "free_tier_networks", "transactions"):
            rows = connection.execute(f"SELECT t::text FROM {table} t".encode()).fetchall()
            assert not any(PASSWORD in row[0] or "2001:db8" in row[0] for row in rows), table
