"""Webhooks from what happens to the receiver, through a real API, worker, Temporal and PostgreSQL."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.doubles.webhook_receiver import HUGE, Received, Receiver, receiving
from tests.support.media_stack import Customer, World, embedded, until
from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")
IMAGE: dict[str, object] = {"model": "demo-image", "prompt": "a secret dawn", "size": "64x64"}


@dataclass(slots=True)
class Site:
    world: World
    receiver: Receiver
    stack: Stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("webhooks")
    async with embedded(folder) as (postgres, server), receiving() as receiver:
        more = {"YOUT_SHUTDOWN_TIMEOUT": "3", "YOUT_WEBHOOKS_ALLOW_LOOPBACK": "true"}
        stack = Stack.on(postgres, folder / "state", server.address, extra=more)
        with stack.running("worker"), stack.running("api"):
            async with World.of(stack) as world:
                yield Site(world, receiver, stack)


async def registered(customer: Customer, url: str, **more: object) -> dict[str, Any]:
    answer = await customer.http.post("/api/webhooks/", json={"url": url, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


async def listed(customer: Customer, endpoint: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await customer.http.get(f"/api/webhooks/{endpoint['id']}/deliveries/")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


async def ended(customer: Customer, endpoint: dict[str, Any], number: int = 1) -> list[dict[str, Any]]:
    """The deliveries to an endpoint, once there are so many and none is pending."""

    async def all_of_them() -> list[dict[str, Any]]:
        page = await listed(customer, endpoint)
        return page if len(page) == number and all(one["status"] != "pending" for one in page) else []

    return await until(all_of_them, "deliveries to end")


async def got(site: Site, path: str, number: int = 1) -> list[Received]:
    async def enough() -> list[Received]:
        return site.receiver.at(path) if len(site.receiver.at(path)) >= number else []

    return await until(enough, f"messages at {path}")


def verified(received: Received, secret: str) -> dict[str, Any]:
    return dict(Webhook(secret).verify(received.body, received.headers))


async def test_the_end_of_a_job_is_told_to_its_url_and_to_the_accounts_endpoints(site: Site) -> None:
    customer = await site.world.customer(1_000_000)
    endpoint = await registered(customer, site.receiver.url("/200/a"), events=["job.succeeded"])
    other = await registered(customer, site.receiver.url("/200/b"), events=["job.failed"])
    own = (await customer.http.post("/api/webhooks/settings/rotate-secret/", json={})).json()["secret"]
    job = await customer.ordered("image", **IMAGE, webhook_url=site.receiver.url("/200/own"))
    (sent,), (direct,) = await got(site, "/200/a"), await got(site, "/200/own")
    message = verified(sent, endpoint["secret"])
    assert message == verified(direct, own)
    assert (message["type"], set(message)) == ("job.succeeded", {"type", "timestamp", "data"})
    assert message["data"] == {
        "job_id": job["job_uuid"],
        "kind": "image",
        "status": "succeeded",
        "credits_charged": job["credits_cost"],
        "sequence": 1,
    }
    assert sent.headers["webhook-id"] == direct.headers["webhook-id"]
    assert sent.headers["webhook-id"].startswith("msg_")
    assert sent.headers["User-Agent"] == "yout-webhooks/1"
    assert b"secret dawn" not in sent.body
    (delivery,) = await ended(customer, endpoint)
    assert (delivery["status"], delivery["event"], len(delivery["attempts"])) == ("delivered", "job.succeeded", 1)
    assert delivery["attempts"][0]["status"] == 200
    detail = (await customer.http.get(f"/api/webhooks/deliveries/{delivery['id']}/")).json()
    assert detail["body"].encode() == sent.body
    assert await listed(customer, other) == []
    everything = (await customer.http.get("/api/webhooks/deliveries/?limit=1")).json()
    assert everything["has_more"]
    second = (await customer.http.get(f"/api/webhooks/deliveries/?cursor={everything['next']}")).json()
    assert len(second["data"]) == 1


async def test_a_failed_job_is_told_with_nothing_charged(site: Site) -> None:
    customer = await site.world.customer(1_000_000)
    endpoint = await registered(customer, site.receiver.url("/200/failed"))
    await customer.ordered("image", model="demo-image-fail", prompt="x")
    message = verified((await got(site, "/200/failed"))[0], endpoint["secret"])
    assert (message["type"], message["data"]["credits_charged"]) == ("job.failed", 0)


async def test_both_secrets_sign_after_a_rotation_and_an_old_message_is_refused(site: Site) -> None:
    customer = await site.world.customer(1_000_000)
    endpoint = await registered(customer, site.receiver.url("/200/rotated"))
    rotated = (await customer.http.post(f"/api/webhooks/{endpoint['id']}/rotate-secret/", json={})).json()
    assert [secret["expires_at"] is None for secret in rotated["secrets"]] == [True, False]
    assert (await customer.http.post(f"/api/webhooks/{endpoint['id']}/test/")).status_code == 202
    (received,) = await got(site, "/200/rotated")
    assert verified(received, endpoint["secret"]) == verified(received, rotated["secret"])
    old = {**received.headers, "webhook-timestamp": str(int(received.headers["webhook-timestamp"]) - 400)}
    with pytest.raises(WebhookVerificationError, match="old"):
        Webhook(rotated["secret"]).verify(received.body, old)
    last = {"overlap_seconds": 0}
    again = (await customer.http.post(f"/api/webhooks/{endpoint['id']}/rotate-secret/", json=last)).json()
    assert len(again["secrets"]) == 1
    await customer.http.post(f"/api/webhooks/{endpoint['id']}/test/")
    received = (await got(site, "/200/rotated", 2))[1]
    assert verified(received, again["secret"])["type"] == "webhook.test"
    with pytest.raises(WebhookVerificationError):
        verified(received, rotated["secret"])


async def test_a_failure_is_tried_again_with_the_same_id_and_bytes(site: Site) -> None:
    customer = await site.world.customer(1_000_000)
    site.receiver.answers["/flaky"] = [500, 200]
    endpoint = await registered(customer, site.receiver.url("/flaky"))
    await customer.http.post(f"/api/webhooks/{endpoint['id']}/test/")
    first, second = await got(site, "/flaky", 2)
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert verified(second, endpoint["secret"])
    (delivery,) = await ended(customer, endpoint)
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 200]
    again = await customer.http.post(f"/api/webhooks/deliveries/{delivery['id']}/redeliver/")
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    third = (await got(site, "/flaky", 3))[2]
    assert third.headers["webhook-id"] == first.headers["webhook-id"]


async def test_an_endpoint_that_is_gone_is_switched_off_with_notice(site: Site) -> None:
    customer = await site.world.customer(1_000_000)
    gone = await registered(customer, site.receiver.url("/410"))
    other = await registered(customer, site.receiver.url("/200/notice"), events=["webhook.disabled"])
    await customer.http.post(f"/api/webhooks/{gone['id']}/test/")
    notice = verified((await got(site, "/200/notice"))[0], other["secret"])
    assert notice["data"] == {"endpoint_id": gone["id"], "reason": "gone", "sequence": 1}
    shown = (await customer.http.get(f"/api/webhooks/{gone['id']}/")).json()
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "gone")
    assert (await customer.http.post(f"/api/webhooks/{gone['id']}/test/")).status_code == 400
    on = (await customer.http.patch(f"/api/webhooks/{gone['id']}/", json={"enabled": True})).json()
    assert (on["enabled"], on["disabled_reason"], on["failing_since"]) == (True, None, None)


async def test_a_redirect_is_a_failure_and_is_not_followed(site: Site) -> None:
    customer = await site.world.customer(1_000_000)
    endpoint = await registered(customer, site.receiver.url("/moved"))
    await customer.http.post(f"/api/webhooks/{endpoint['id']}/test/")
    await got(site, "/moved", 1)

    async def noted() -> bool:
        return bool((await listed(customer, endpoint))[0]["attempts"])

    await until(noted, "the attempt")
    assert (await listed(customer, endpoint))[0]["attempts"][0]["status"] == 301
    assert site.receiver.at("/200") == []


async def test_a_slow_receiver_has_four_attempts_at_a_time_and_delays_nobody(site: Site) -> None:
    slow, quick = await site.world.customer(1_000_000), await site.world.customer(1_000_000)
    blocked = await registered(slow, site.receiver.url("/slow"))
    free = await registered(quick, site.receiver.url("/200/quick"))
    for _ in range(8):
        await slow.http.post(f"/api/webhooks/{blocked['id']}/test/")
    await got(site, "/slow", 4)
    await quick.http.post(f"/api/webhooks/{free['id']}/test/")
    await got(site, "/200/quick")
    assert site.receiver.peaks["/slow"] == 4
    site.receiver.released.set()
    await ended(slow, blocked, 8)
    assert site.receiver.peaks["/slow"] == 4


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [("/huge", 200, None), ("/endless", 200, None), ("/reset", None, "connection"), ("/garbage", None, "connection")],
)
async def test_whatever_a_receiver_answers_is_bounded(
    site: Site, path: str, status: int | None, error: str | None
) -> None:
    customer = await site.world.customer(1_000_000)
    endpoint = await registered(customer, site.receiver.url(path))
    await customer.http.post(f"/api/webhooks/{endpoint['id']}/test/")

    async def noted() -> list[dict[str, Any]]:
        return list((await listed(customer, endpoint))[0]["attempts"])

    first = (await until(noted, "the attempt"))[0]
    assert (first["status"], first["error"]) == (status, error)
    assert site.receiver.written < HUGE


async def test_the_end_of_a_purge_is_told_with_the_secret_that_it_erases(site: Site) -> None:
    customer = await site.world.customer(1_000_000)
    endpoint = await registered(customer, site.receiver.url("/200/purged"), events=["purge.completed"])
    for _ in range(2):
        await customer.http.post(f"/api/webhooks/{endpoint['id']}/test/")
    await ended(customer, endpoint, 2)
    purge = await customer.http.post("/api/chat/purge/", json={"confirm": "erase"})
    purge_id = purge.json()["purge_id"]
    sent = (await got(site, "/200/purged", 3))[-1]
    message = verified(sent, endpoint["secret"])
    assert message["type"] == "purge.completed"
    assert message["data"] == {"purge_id": purge_id, "status": "completed", "sequence": 1}
    assert (await customer.http.get("/api/webhooks/")).json()["data"] == []

    async def url_is_erased() -> bool:
        left = "SELECT count(*) FROM webhook_deliveries WHERE account_id = %s AND sealed_target IS NOT NULL"
        return await site.world.rows(left, customer.account_id) == [(0,)]

    await until(url_is_erased, "the URL to be erased")
    done = (await customer.http.get(f"/api/chat/purge/{purge_id}/")).json()
    assert done["receipt"]["before"]["webhook_deliveries"] == 2
    assert not any(done["receipt"]["verification"].values())
    assert done["receipt"]["deleted"]["workflows"] == 2


async def test_low_credits_are_told_once_each_time_they_fall(site: Site) -> None:
    customer = await site.world.customer(10_000)
    endpoint = await registered(customer, site.receiver.url("/200/low"), events=["credits.low"])
    set_ = await customer.http.patch("/api/webhooks/settings/", json={"credits_low": 9_500})
    assert set_.json()["credits_low"] == 9_500
    for _ in range(2):
        job = await customer.ordered("image", **IMAGE)
        await until(lambda job=job: _done(customer, job), "the job")  # type: ignore[misc]  # a lambda's default
    (received,) = await got(site, "/200/low")
    data = verified(received, endpoint["secret"])["data"]
    assert (data["balance"], data["threshold"]) == (9_000, 9_500)
    assert len(await ended(customer, endpoint)) == 1


async def _done(customer: Customer, job: Any) -> bool:
    now = await customer.job(job["job_uuid"])
    return now is not None and now["status"] == "succeeded"


async def test_deliveries_wait_for_an_api_and_a_worker(site: Site) -> None:
    """What was committed is started by whoever is there next: nobody has to remember it."""
    customer = await site.world.customer(1_000_000)
    endpoint = await registered(customer, site.receiver.url("/200/outbox"))
    async with await psycopg.AsyncConnection.connect(site.stack.owner_url, autocommit=True) as owner:
        recorded = await owner.execute(
            "SELECT record_event(%s, 'key.revoked', gen_random_uuid(), '{}')", [customer.account_id]
        )
        assert await recorded.fetchone() == (1,)
    assert verified((await got(site, "/200/outbox"))[0], endpoint["secret"])["type"] == "key.revoked"


OPENAIS: dict[str, dict[str, Any]] = {
    "/v1/images/generations": {"model": "demo-image", "prompt": "dawn", "response_format": "url"},
    "/v1/audio/speech": {"model": "demo-speech", "input": "dawn"},
    "/v1/videos": {"model": "demo-video", "prompt": "dawn", "seconds": 1},
}


@pytest.mark.parametrize("path", OPENAIS)
async def test_a_job_of_openais_endpoints_tells_its_url(site: Site, path: str) -> None:
    customer = await site.world.customer(1_000_000)
    own = (await customer.http.post("/api/webhooks/settings/rotate-secret/", json={})).json()["secret"]
    refused = await customer.http.post(path, json=OPENAIS[path] | {"webhook_url": "https://10.0.0.1/"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "webhook_url")
    to = f"/200/{path.rpartition('/')[2]}"
    made = await customer.http.post(path, json=OPENAIS[path] | {"webhook_url": site.receiver.url(to)})
    assert made.status_code == 200, made.text
    assert "x-yout-dropped-parameters" not in made.headers
    (sent,) = await got(site, to)
    assert verified(sent, own)["data"]["job_id"] == made.headers["x-yout-job-id"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"url": "http://example.com/"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "https://example.com:6379/"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "https://example.com/", "events": ["nothing"]}, "events"),
        ({"url": "https://example.com/", "events": []}, "events"),
        ({"url": "https://example.com/", "more": 1}, "more"),
        ({}, "url"),
    ],
)
async def test_a_bad_endpoint_is_refused_and_names_the_field(site: Site, body: dict[str, Any], param: str) -> None:
    customer = await site.world.customer(1000)
    answer = await customer.http.post("/api/webhooks/", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    if param == "url" and body:
        assert answer.json()["error"]["message"].startswith("'url': This URL cannot be used. Give an https URL")
    refused = await customer.order("image", **IMAGE, webhook_url=body.get("url", ""))
    if param == "url":
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "webhook_url")


async def test_there_is_a_limit_of_endpoints_and_a_request_is_done_once(site: Site) -> None:
    customer = await site.world.customer(1000)
    body, once = {"url": "https://example.com/"}, {"idempotency-key": "one"}
    first = await customer.http.post("/api/webhooks/", json=body, headers=once)
    again = await customer.http.post("/api/webhooks/", json=body, headers=once)
    assert (first.json()["secret"], first.json()["id"]) == (again.json()["secret"], again.json()["id"])
    assert again.headers["idempotent-replayed"] == "true"
    for _ in range(15):
        assert (await customer.http.post("/api/webhooks/", json=body)).status_code == 201
    assert (await customer.http.post("/api/webhooks/", json=body)).status_code == 400
    assert (await customer.http.delete(f"/api/webhooks/{first.json()['id']}/")).status_code == 204
    assert (await customer.http.get(f"/api/webhooks/{first.json()['id']}/")).status_code == 404
    assert len((await customer.http.get("/api/webhooks/")).json()["data"]) == 15


async def test_nothing_of_it_is_readable_at_rest(site: Site) -> None:
    customer = await site.world.customer(1000)
    url = "https://receiver.example/a-path-that-nobody-reads"
    endpoint = await registered(customer, url, description="a name that nobody reads")
    async with await psycopg.AsyncConnection.connect(site.stack.owner_url) as owner:
        rows = await (
            await owner.execute("SELECT e::text, s::text FROM webhook_endpoints e, webhook_secrets s")
        ).fetchall()
    everything = str(rows)
    for text in (url, "nobody reads", endpoint["secret"]):
        assert text not in everything
        assert text.encode().hex() not in everything


async def test_without_anybody_to_tell_nothing_is_written(site: Site) -> None:
    customer = await site.world.customer(1_000_000)
    job = await customer.ordered("image", **IMAGE)
    await until(lambda: _done(customer, job), "the job")
    async with await psycopg.AsyncConnection.connect(site.stack.owner_url) as owner:
        count = await owner.execute("SELECT count(*) FROM events WHERE account_id = %s", [customer.account_id])
        assert await count.fetchone() == (0,)
