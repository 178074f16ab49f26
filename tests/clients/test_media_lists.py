"""Lists of media jobs and their cancellation over a real port. Temporal is away throughout: nobody begins a job."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from db import media_lists
from dev.postgres import EmbeddedPostgres
from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import AccountClient
from tests.support.own_stack import own_stack
from tests.support.stack import Stack

JOBS = "/api/media/jobs/"
IMAGE = ("image", {"model": "demo-image", "prompt": "a lake", "size": "64x64"})
SPEECH = ("speech", {"model": "demo-speech", "input": "Good evening."})


@pytest.fixture(scope="module")
def stack(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Its rows are changed by hand, which another test's look at the books would find."""
    started = own_stack(postgres, tmp_path_factory, "lists")
    with started.running("api"):
        yield started


async def ordered(owner: AccountClient, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await owner.http.post(f"/api/media/{kind}/", json=body)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


async def listed(owner: AccountClient, **query: object) -> dict[str, Any]:
    answer = await owner.http.get(JOBS, params={name: str(value) for name, value in query.items()})
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def ids(page: dict[str, Any]) -> list[str]:
    return [job["job_uuid"] for job in page["data"]]


async def changed(stack: Stack, statement: str, *values: object) -> None:
    async with await psycopg.AsyncConnection.connect(stack.owner_url, autocommit=True) as connection:
        await connection.execute(statement.encode(), values)


async def test_pages_have_every_job_once_the_newest_first(owner: AccountClient) -> None:
    ordered_ids = [(await ordered(owner, *IMAGE))["job_uuid"] for _ in range(5)]
    seen, cursor = [], ""
    while True:
        page = await listed(owner, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += ids(page)
        await ordered(owner, *SPEECH)  # newer ones do not move what is after the cursor
        if not page["has_more"]:
            break
        cursor = page["next"]
    assert seen == ordered_ids[::-1]
    assert page["next"] is None


async def test_the_job_of_a_list_is_the_job_that_is_polled(owner: AccountClient) -> None:
    job = await ordered(owner, *IMAGE)
    (entry,) = (await listed(owner))["data"]
    assert entry == (await owner.http.get(f"{JOBS}{job['job_uuid']}/")).json()


async def test_filters_combine(owner: AccountClient, stack: Stack) -> None:
    image, speech = await ordered(owner, *IMAGE), await ordered(owner, *SPEECH)
    old = await ordered(owner, *IMAGE)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    await changed(stack, "UPDATE media_jobs SET created_at = %s WHERE id = %s", yesterday, old["job_uuid"])
    await changed(stack, "UPDATE media_jobs SET state = 'running' WHERE id = %s", speech["job_uuid"])
    for query, expected in (
        ({"kind": "image"}, [image, old]),
        ({"kind": "video"}, []),
        ({"status": "running"}, [speech]),
        ({"status": "queued", "kind": "speech"}, []),
        ({"model": "demo-speech"}, [speech]),
        ({"model": "no-such-model"}, []),
        ({"created_before": yesterday + timedelta(hours=1)}, [old]),
        ({"created_after": yesterday}, [speech, image]),
        ({"created_after": yesterday.date(), "created_before": yesterday}, []),
        ({"created_after": yesterday.date(), "kind": "image", "limit": 1}, [image]),
    ):
        page = await listed(owner, **query)
        assert ids(page) == [job["job_uuid"] for job in expected], query


async def test_a_filter_that_few_pass_looks_at_some_jobs_at_a_time(
    owner: AccountClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_lists, "MAX_SCANNED", 2)
    speech = await ordered(owner, *SPEECH)
    for _ in range(4):
        await ordered(owner, *IMAGE)
    account, wanted = owner.customer.account_id, media_lists.JobFilter(model="demo-speech")
    async with owner.database.reading() as session:
        first = await media_lists.listed(session, account, wanted, 20)
        second = await media_lists.listed(session, account, wanted, 20, first.next)
        third = await media_lists.listed(session, account, wanted, 20, second.next)
    assert [first.jobs, second.jobs] == [[], []]
    assert [str(job.id) for job in third.jobs] == [speech["job_uuid"]]
    assert third.next is None


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"status": "expired"}, "status"),
        ({"kind": "sculpture"}, "kind"),
        ({"model": "a\x00b"}, "model"),
        ({"limit": 101}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "MjAyNi0wMS0wMXwx"}, "cursor"),
        ({"created_after": "yesterday"}, "created_after"),
        ({"created_after": "2026-01-02", "created_before": "2026-01-01"}, "created_before"),
        ({"since": "2026-01-02"}, "since"),
    ],
)
async def test_a_wrong_parameter_is_named(owner: AccountClient, query: dict[str, Any], param: str) -> None:
    answer = await owner.http.get(JOBS, params=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_another_account_and_a_purge_hide_jobs(new_owner: OpenAccountClient, stack: Stack) -> None:
    owner, stranger = await new_owner(), await new_owner()
    await ordered(owner, *IMAGE)
    assert (await listed(stranger))["data"] == []
    await changed(stack, "UPDATE accounts SET epoch = epoch + 1 WHERE id = %s", owner.customer.account_id)
    assert (await listed(owner))["data"] == []


async def test_a_job_that_nobody_has_begun_is_cancelled_at_once(owner: AccountClient) -> None:
    before = (await owner.http.get("/api/chat/limit/")).json()["balance"]
    job = await ordered(owner, *IMAGE)
    for _ in range(2):
        answer = await owner.http.post(f"{JOBS}{job['job_uuid']}/cancel/")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        assert answer.json()["credits_refunded"] == job["credits_cost"]
    assert (await owner.http.post(f"{JOBS}{job['job_uuid']}/cancel/")).json() == (
        await owner.http.get(f"{JOBS}{job['job_uuid']}/")
    ).json()
    limits = (await owner.http.get("/api/chat/limit/")).json()
    assert (limits["balance"], limits["held"]) == (before, 0)


async def test_the_wish_to_cancel_a_running_job_waits_for_temporal(owner: AccountClient, stack: Stack) -> None:
    job = await ordered(owner, *IMAGE)
    await changed(stack, "UPDATE media_jobs SET state = 'running' WHERE id = %s", job["job_uuid"])
    for _ in range(2):
        answer = await owner.http.post(f"{JOBS}{job['job_uuid']}/cancel/")
        assert (answer.status_code, answer.json()["status"]) == (202, "running")
    async with await psycopg.AsyncConnection.connect(stack.owner_url) as connection:
        query = "SELECT cancel_requested_at IS NOT NULL, cancel_sent_at FROM media_jobs WHERE id = %s"
        assert await (await connection.execute(query, [job["job_uuid"]])).fetchone() == (True, None)


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
async def test_an_ended_job_stays_as_it_is(owner: AccountClient, stack: Stack, state: str) -> None:
    job = await ordered(owner, *IMAGE)
    await owner.http.post(f"{JOBS}{job['job_uuid']}/cancel/")
    await changed(stack, "UPDATE media_jobs SET state = %s WHERE id = %s", state, job["job_uuid"])
    answer = await owner.http.post(f"{JOBS}{job['job_uuid']}/cancel/")
    assert (answer.status_code, answer.json()["status"]) == (200, state)


async def test_another_accounts_job_is_not_found(new_owner: OpenAccountClient) -> None:
    owner, stranger = await new_owner(), await new_owner()
    job = await ordered(owner, *IMAGE)
    for job_id in (job["job_uuid"], uuid4()):
        answer = await stranger.http.post(f"{JOBS}{job_id}/cancel/")
        assert answer.status_code == 404
    assert (await owner.http.get(f"{JOBS}{job['job_uuid']}/")).json()["status"] == "queued"
