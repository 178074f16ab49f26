"""Webhooks over a real port, as a browser without a script uses their pages."""

import re
import uuid

import httpx2
import pytest

from tests.support.stack import Stack

SECRET = r"whsec_[A-Za-z0-9+/=]{20,}"
HOSTILE = "<img src=x onerror=alert(1)>" + "w" * 172


async def made(member: httpx2.AsyncClient, **fields: object) -> httpx2.Response:
    form = {"url": "https://receiver.example/hook", "events": ["job.failed"], "once": str(uuid.uuid4()), **fields}
    return await member.post("/webhooks/new", data=form)


async def address(member: httpx2.AsyncClient) -> str:
    await made(member)
    match = re.search(r"/webhooks/[0-9a-f-]{36}", (await member.get("/webhooks")).text)
    assert match is not None
    return match[0]


def secrets(answer: httpx2.Response) -> list[str]:
    return re.findall(SECRET, answer.text)


async def test_a_secret_is_in_one_answer_that_no_browser_keeps(member: httpx2.AsyncClient, site: Stack) -> None:
    created = await made(member, description=HOSTILE)
    assert (created.status_code, created.headers["cache-control"]) == (200, "no-store")
    assert "content-encoding" not in created.headers
    (secret,) = secrets(created)
    assert "&lt;img src=x" in created.text
    assert "<img src=x" not in created.text
    own = re.search(r"/webhooks/[0-9a-f-]{36}", created.text)
    assert own is not None
    for path in ("/webhooks", own[0], f"{own[0]}/change"):
        again = await member.get(path)
        assert (again.status_code, secrets(again)) == (200, []), path
        assert again.headers["cache-control"] == "private, no-cache"
    rotated = await member.post(f"{own[0]}/rotate", data={"overlap_hours": "2"})
    assert (rotated.status_code, rotated.headers["cache-control"]) == (200, "no-store")
    assert [one != secret for one in secrets(rotated)] == [True]
    assert (await member.get(own[0])).text.count("whsec_…") == 2
    assert not any(one in site.log("api") for one in (secret, *secrets(rotated)))


async def test_two_clicks_make_one_endpoint(member: httpx2.AsyncClient) -> None:
    once = str(uuid.uuid4())
    first, second = await made(member, once=once), await made(member, once=once)
    assert (first.status_code, second.status_code, secrets(second)) == (200, 422, [])
    assert "was made before" in second.text
    assert "1 endpoint<" in (await member.get("/webhooks")).text


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://receiver.example/", "must begin with https://"),
        ("https://10.0.0.1/", "inside a network"),
        ("https://localhost/", "YOUT_WEBHOOKS_ALLOW_LOOPBACK"),
        ("http://127.0.0.1:9000/", "YOUT_WEBHOOKS_ALLOW_LOOPBACK"),
        ("https://receiver.example:444/", "443 or 8443"),
        ("https://a:b@receiver.example/", "no user name"),
        ("https://receiver.example/#x", "no fragment"),
        ("https://[::1", "no address of a server"),
    ],
)
async def test_a_refused_address_says_why_at_its_field(member: httpx2.AsyncClient, url: str, why: str) -> None:
    refused = await made(member, url=url, description="mine")
    assert refused.status_code == 400
    fault = re.search(r'id="url-fault">.*?</span>', refused.text, re.DOTALL)
    assert fault is not None
    assert why in fault[0]
    assert 'value="mine"' in refused.text
    assert "No endpoint yet" in (await member.get("/webhooks")).text


async def test_no_event_is_a_fault_at_the_events(member: httpx2.AsyncClient) -> None:
    refused = await made(member, events=[])
    assert (refused.status_code, 'id="events-fault"' in refused.text) == (400, True)


async def test_an_endpoint_is_changed_switched_tested_and_deleted(member: httpx2.AsyncClient) -> None:
    own = await address(member)
    assert "Nothing was delivered yet" in (await member.get(own)).text
    form = {"url": "https://other.example/", "description": "", "events": ["job.failed", "key.revoked"]}
    assert (await member.post(f"{own}/change", data=form)).headers["location"] == own
    assert "https://other.example/" in (await member.get(own)).text
    assert 'id="url-fault"' in (await member.post(f"{own}/change", data=form | {"url": "ftp://x"})).text

    sent = await member.post(f"{own}/test")
    delivery = str(sent.headers["location"])
    shown = await member.get(delivery)
    assert "webhook.test" in shown.text
    assert "&#34;endpoint_id&#34;" in shown.text
    for page in (own, "/webhooks/deliveries"):
        assert delivery in (await member.get(page)).text
    assert (await member.post(f"{delivery}/send-again")).headers["location"] == delivery

    await member.post(f"{own}/switch", data={"enabled": "off"})
    assert "You switched it off." in (await member.get(own)).text
    again = await member.post(f"{delivery}/send-again")
    assert (again.status_code, "Switch it on first" in again.text) == (400, True)
    await member.post(f"{own}/switch", data={"enabled": "on"})
    assert "You switched it off." not in (await member.get(own)).text

    assert "Its secrets and its log are deleted" in (await member.get(f"{own}/delete")).text
    assert (await member.post(f"{own}/delete")).headers["location"] == "/webhooks"
    assert (await member.get(own)).status_code == 404


async def test_the_settings_of_the_account(member: httpx2.AsyncClient) -> None:
    await member.post("/webhooks/settings", data={"credits_low": "20,000"})
    assert 'value="20,000"' in (await member.get("/webhooks")).text
    refused = await member.post("/webhooks/settings", data={"credits_low": "few"})
    assert (refused.status_code, 'id="credits_low-fault"' in refused.text) == (400, True)
    assert 'value="few"' in refused.text
    await member.post("/webhooks/settings", data={"credits_low": ""})
    assert 'value="20,000"' not in (await member.get("/webhooks")).text
    rotated = await member.post("/webhooks/settings/rotate")
    assert (len(secrets(rotated)), rotated.headers["cache-control"]) == (1, "no-store")
    late = await member.post("/webhooks/settings/rotate", data={"overlap_hours": "169"})
    assert (late.status_code, 'id="overlap_hours-fault"' in late.text) == (400, True)


async def test_pages_of_another_account_are_not_there(member: httpx2.AsyncClient, site: Stack) -> None:
    own = await address(member)
    delivery = str((await member.post(f"{own}/test")).headers["location"])
    await member.post("/sign-out")
    form = {"email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse battery", "next": "/webhooks"}
    assert (await member.post("/sign-up", data=form)).status_code == 303
    for path in (own, f"{own}/change", f"{own}/delete", delivery, "/webhooks/x", "/webhooks/deliveries/x"):
        assert (await member.get(path)).status_code == 404, path
    for path in (f"{own}/rotate", f"{own}/switch", f"{own}/test", f"{own}/delete", f"{delivery}/send-again"):
        assert (await member.post(path)).status_code == 404, path
