"""Purges through a real API, a real worker, Temporal, storage and PostgreSQL."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.ids import workflow_id
from tests.support import fork_server, receipt_verifier
from tests.support.media_samples import picture
from tests.support.media_stack import Customer, World, embedded, temporal_of, until
from tests.support.signed_in import browser
from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

ERASE = {"confirm": "erase"}
NEIGHBOURS = (
    *("accounts", "holds", "transactions", "lines", "usage", "usage_days", "idempotency", "api_keys", "data_keys"),
    *("media_jobs", "shares", "job_inputs"),
)
RELAYED = "SELECT id FROM holds WHERE account_id = %s AND state = 'open' AND relayed_output > 0"
SECRET_WORDS = "the owl of the harbour"


@dataclass(slots=True)
class Site:
    world: World
    temporal: Client
    state: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("purge")
    async with embedded(folder) as (postgres, server):
        stack = Stack.on(postgres, folder / "state", server.address, extra={"YOUT_SHUTDOWN_TIMEOUT": "3"})
        with stack.running("worker"), stack.running("api"):
            async with World.of(stack) as world:
                yield Site(world, await temporal_of(server), folder / "state")


def chat(text: str, **more: object) -> dict[str, object]:
    return {"model": "demo-chat", "messages": [{"role": "user", "content": text}], **more}


async def say(customer: Customer, text: str, key: str | None = None) -> Any:
    headers = {"idempotency-key": key} if key else {}
    answer = await customer.http.post("/v1/chat/completions", json=chat(text), headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def purged(customer: Customer, **body: object) -> Any:
    answer = await customer.http.post("/api/chat/purge/", json=ERASE | body)
    assert answer.status_code == 202, answer.text
    return await completed(customer, answer.json()["purge_id"])


async def completed(customer: Customer, purge_id: str) -> Any:
    async def polled() -> Any:
        answer = await customer.http.get(f"/api/chat/purge/{purge_id}/")
        return answer.json() if answer.status_code == 200 and answer.json()["status"] == "completed" else None

    return await until(polled, "a purge to complete")


async def is_gone(site: Site, name: str) -> bool:
    try:
        await site.temporal.get_workflow_handle(name).describe()
    except RPCError as error:
        return error.status is RPCStatusCode.NOT_FOUND
    return False


async def others(world: World, customer: Customer) -> list[Any]:
    """A checksum of each table's rows of all other accounts."""
    sums = []
    for table in NEIGHBOURS:
        owner = {"accounts": "id", "job_inputs": "(SELECT account_id FROM media_jobs j WHERE j.id = job_id)"}
        mine = owner.get(table, "account_id")
        query = f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t WHERE {mine} <> %s"
        sums += await world.rows(query, customer.account_id)
    return sums


async def busy(site: Site, customer: Customer) -> dict[str, Any]:
    """Calls, an answer that can be replayed, a finished job, a shared page, a file that waits for a job."""
    await say(customer, "one")
    await say(customer, "two", key="again")
    job = await customer.ended(await customer.ordered("image", model="demo-image", prompt=SECRET_WORDS, size="64x64"))
    upload = await customer.http.post("/api/media/uploads/", content=picture())
    assert upload.status_code == 201, upload.text
    shared = await customer.http.post("/api/chat/share/", json={"messages": chat(SECRET_WORDS)["messages"]})
    assert shared.status_code == 201, shared.text
    return {"job": job, "upload": upload.json()["id"], "page": shared.json()["url"], "slug": shared.json()["slug"]}


async def test_everything_of_an_account_is_erased_and_proved(site: Site) -> None:
    ann, bob = [await site.world.customer() for _ in range(2)]
    await busy(site, bob)
    theirs = await others(site.world, ann)
    content = await busy(site, ann)
    running = await ann.in_state(
        await ann.ordered("image", model="demo-image-slow", prompt="x [seconds=300]", size="64x64"), "running"
    )
    slow = chat("a long story [seconds=60]", model="demo-chat-slow", stream=True)
    before = await ann.balance()
    streaming = asyncio.create_task(ann.http.post("/v1/chat/completions", json=slow))

    async def is_streaming() -> bool:
        return bool(await site.world.rows(RELAYED, ann.account_id))

    await until(is_streaming, "a stream to begin")
    answer = await ann.http.post("/api/chat/purge/", json=ERASE | {"sessions": True})
    assert answer.status_code == 202, answer.text
    purge_id = answer.json()["purge_id"]
    again = await ann.http.post("/api/chat/purge/", json=ERASE)
    assert again.json()["purge_id"] == purge_id
    assert (await ann.http.get(content["page"])).status_code == 404
    await say(ann, "three", key="again")
    events = (await streaming).text
    assert '"code":"purge_in_progress"' in events.replace(" ", "")
    done = await completed(ann, purge_id)
    receipt = done["receipt"]

    jwks = (await ann.http.get("/.well-known/yout-receipts.json")).json()
    assert receipt_verifier.is_valid(receipt, jwks)
    assert not receipt_verifier.is_valid(receipt | {"purge_id": "x"}, jwks)
    assert not any(receipt["verification"].values())
    assert receipt["deleted"] == receipt["before"] | {"sessions": 0}
    assert receipt["before"]["media_jobs"] == 2
    assert (receipt["before"]["uploads"], receipt["before"]["upload_parts"]) == (1, 1)
    assert (await ann.http.get(f"/api/media/uploads/{content['upload']}/")).status_code == 404
    assert (receipt["before"]["shares"], receipt["before"]["objects"], receipt["before"]["workflows"]) == (1, 1, 2)
    money = receipt["balance"]
    assert money["before"] == money["after"] + money["charged_while_cut"]
    assert money["before"] == sum(before)
    left = await ann.balance()
    assert left[1] == 0
    usage = await site.world.rows("SELECT credits FROM usage WHERE account_id = %s", ann.account_id)
    assert [row[0] for row in usage] == [money["after"] - left[0]], "the new call alone"

    for job in (content["job"], running):
        assert (await ann.http.get(f"/api/media/jobs/{job['job_uuid']}/")).status_code == 404
        assert await is_gone(site, workflow_id(UUID(job["job_uuid"])))
    assert not list((site.state / "media" / ann.account_id.hex).rglob("*.*"))
    assert (await ann.http.get(content["job"]["output_url"])).status_code == 404
    assert await others(site.world, ann) == theirs
    await site.world.books_are_clean()


async def test_what_remains_is_recognised_and_new_purges_follow(site: Site, tmp_path: Path) -> None:
    ann = await site.world.customer()
    await say(ann, "one")
    first = (await purged(ann))["receipt"]
    await say(ann, "two")
    second = (await purged(ann))["receipt"]
    assert second["subject"] == first["subject"]
    assert second["balance"]["after"] == sum(await ann.balance())
    kid = await _yout(site, "receipts", "rotate-key")
    third = (await purged(ann))["receipt"]
    assert third["kid"] == kid.strip() != first["kid"]
    jwks = (await ann.http.get("/.well-known/yout-receipts.json")).json()
    listed = json.loads(await _yout(site, "receipts", "list", "--json"))
    for number, receipt in enumerate(listed):
        assert receipt_verifier.is_valid(receipt, jwks)
        assert receipt_verifier.follows(receipt, listed[number - 1] if number else None)
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(second))
    assert "in its place" in await _yout(site, "receipts", "verify", str(path), "--chain")
    path.write_text(json.dumps(second | {"completed_at": "x"}))
    assert "not valid" in await _yout(site, "receipts", "verify", str(path), code=1)
    await site.world.books_are_clean()


async def test_one_job_or_page_alone(site: Site) -> None:
    ann, bob = [await site.world.customer() for _ in range(2)]
    own = await busy(site, ann)
    running = await ann.in_state(
        await ann.ordered("image", model="demo-image-slow", prompt="x [seconds=300]", size="64x64"), "running"
    )
    balance = sum(await ann.balance())
    for missing in ({"job": str(UUID(int=1))}, {"share": "nobody"}):
        assert (await ann.http.post("/api/chat/purge/", json=ERASE | {"only": missing})).status_code == 404
    assert (await bob.http.post("/api/chat/purge/", json=ERASE | {"only": {"share": own["slug"]}})).status_code == 404
    for no_slug in ("a\0b", "\u202e", "a b"):
        refused = await ann.http.post("/api/chat/purge/", json=ERASE | {"only": {"share": no_slug}})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "only.share")
    theirs = await others(site.world, ann)
    page = await purged(ann, only={"share": own["slug"]})
    assert page["receipt"]["deleted"] == {"shares": 1, "objects": 0, "workflows": 0}
    assert page["only"] == page["receipt"]["scope"] == {"share": sha256(own["slug"].encode()).hexdigest()}
    assert not await site.world.rows("SELECT FROM purges WHERE part_id = %s", own["slug"])
    assert (await ann.http.get(own["page"])).status_code == 404
    assert await ann.job(own["job"]["job_uuid"])
    receipt = (await purged(ann, only={"job": running["job_uuid"]}))["receipt"]
    assert (receipt["scope"], receipt["deleted"]["media_jobs"]) == ({"job": running["job_uuid"]}, 1)
    assert await is_gone(site, workflow_id(UUID(running["job_uuid"])))
    assert sum(await ann.balance()) == balance, "a job that was cut is not charged"
    await purged(ann, only={"job": own["job"]["job_uuid"]})
    assert (await ann.http.get(f"/api/media/jobs/{own['job']['job_uuid']}/")).status_code == 404
    assert len(await site.world.rows("SELECT hold_id FROM usage WHERE account_id = %s", ann.account_id)) == 3
    assert await others(site.world, ann) == theirs
    await site.world.books_are_clean()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"confirm": "yes"},
        ERASE | {"only": {}},
        ERASE | {"only": {"job": None}},
        ERASE | {"only": {"job": "x"}},
        ERASE | {"only": {"job": str(UUID(int=1)), "share": "s"}},
        ERASE | {"all": True},
    ],
)
async def test_what_is_no_purge_begins_none(site: Site, body: dict[str, object]) -> None:
    ann = await site.world.customer()
    answer = await ann.http.post("/api/chat/purge/", json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert (await ann.http.get("/api/chat/purge/")).json()["data"] == []


async def test_a_purge_starts_once_and_found_by_its_owner_alone(site: Site) -> None:
    ann, bob = [await site.world.customer() for _ in range(2)]
    key = {"idempotency-key": "once"}
    answers = await asyncio.gather(*(ann.http.post("/api/chat/purge/", json=ERASE) for _ in range(5)))
    assert len({answer.json()["purge_id"] for answer in answers}) == 1
    await completed(ann, answers[0].json()["purge_id"])
    named = await ann.http.post("/api/chat/purge/", json=ERASE, headers=key)
    await completed(ann, named.json()["purge_id"])
    repeated = await ann.http.post("/api/chat/purge/", json=ERASE, headers=key)
    assert repeated.json()["purge_id"] == named.json()["purge_id"]
    assert repeated.headers["idempotent-replayed"] == "true"
    assert (await bob.http.get(f"/api/chat/purge/{named.json()['purge_id']}/")).status_code == 404
    async with await browser(site.world.database, ann.account_id, site.world.stack.url) as owner:
        ended = await owner.post("/api/chat/purge/", json=ERASE | {"sessions": True})
        assert ended.status_code == 202, ended.text
        done = await completed(ann, ended.json()["purge_id"])
        assert done["receipt"]["deleted"]["sessions"] == 1
        assert (await owner.get("/api/chat/purge/")).status_code == 401
    listed = (await ann.http.get("/api/chat/purge/")).json()["data"]
    assert [one["receipt"]["number"] for one in listed] == sorted(
        (one["receipt"]["number"] for one in listed), reverse=True
    )
    await site.world.books_are_clean()


async def _yout(site: Site, *words: str, code: int = 0) -> str:
    done = await asyncio.to_thread(fork_server.running().finish, ["cli", *words], site.world.stack.environment)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + done.stderr
