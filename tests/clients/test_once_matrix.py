"""`Idempotency-Key` for a chat, a stream and a media job alike: every situation, over two API processes."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from signal import SIGKILL
from typing import Any

import httpx2
import psycopg
import pytest

from db.audit import audit
from dev import ports
from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import CREDITS, QUESTION, AccountClient
from tests.support.doubles.openai_server import ANSWER, OpenAIServer
from tests.support.stack import Stack, eventually

CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Kind:
    path: str
    body: dict[str, Any]
    other: dict[str, Any]
    """Another request."""
    status: int = 200

    def of(self, model: str) -> "Kind":
        return replace(self, body=self.body | {"model": model})

    def __str__(self) -> str:
        return "media" if self.status == 202 else "stream" if "stream" in self.body else "chat"


WHOLE = Kind(CHAT, {"model": "test-plain", **QUESTION}, {"temperature": 0.5})
STREAM = Kind(CHAT, WHOLE.body | {"stream": True}, {"stream": False})
MEDIA = Kind("/api/media/image/", {"model": "demo-image", "prompt": "a lake"}, {"prompt": "a sea"}, 202)
CALLS = [WHOLE, STREAM]
each = pytest.mark.parametrize("kind", [WHOLE, STREAM, MEDIA], ids=str)
each_call = pytest.mark.parametrize("kind", CALLS, ids=str)


@pytest.fixture(scope="module")
def second(stack: Stack) -> Iterator[Stack]:
    """Another API process on the same database."""
    started = replace(stack, port=ports.free(), state=stack.state / "second")
    with started.running("api"):
        yield started


async def ask(
    owner: AccountClient, kind: Kind, once: bytes | str, *, url: str = "", token: str = "", **changes: object
) -> httpx2.Response:
    headers: dict[str, Any] = {"idempotency-key": once} | ({"authorization": f"Bearer {token}"} if token else {})
    return await owner.http.post(url + kind.path, json=kind.body | changes, headers=headers)


def what(answer: httpx2.Response) -> str:
    """The id of what was made."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        return answer.text.partition('"id":"')[2].partition('"')[0]
    return str(answer.json().get("job_uuid") or answer.json()["id"])


def replayed(answer: httpx2.Response) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


def conflict(answer: httpx2.Response) -> str:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "idempotency_conflict")
    assert answer.headers["x-should-retry"] == "false"
    return str(error["message"])


async def patiently(owner: AccountClient, kind: Kind, once: str, url: str) -> httpx2.Response:
    """Comes back when told to, as SDKs do: a hundred share the few connections that a process has to its database."""
    answer = await ask(owner, kind, once, url=url)
    for _ in range(20):
        if answer.status_code != 503:
            break
        await asyncio.sleep(float(answer.headers["retry-after"]))
        answer = await ask(owner, kind, once, url=url)
    return answer


async def holds(owner: AccountClient) -> list[tuple[str, int]]:
    """Of the account: their states, and what they cost."""
    query = "SELECT state, charged FROM holds WHERE account_id = %s ORDER BY id"
    async with owner.database.connection() as connection:
        rows = await connection.exec_driver_sql(query, (owner.customer.account_id,))
        return [(str(row["state"]), int(row["charged"])) for row in rows.mappings()]


async def is_right(owner: AccountClient) -> None:
    left = (await owner.http.get("/api/chat/limit/")).json()
    spent = sum(charged for _, charged in await holds(owner))
    assert left["balance"] + left["held"] == CREDITS - spent
    async with owner.database.connection() as connection:
        report = await audit(connection)
    assert report.clean, report.findings


@each
@pytest.mark.parametrize("again", ['"{}"', "{}"])
async def test_the_same_again_is_a_replay_in_any_spelling_and_process(
    owner: AccountClient, second: Stack, kind: Kind, again: str
) -> None:
    once = uuid.uuid4().hex
    first = await ask(owner, kind, once)
    replay = await ask(owner, kind, again.format(once), url=second.url)
    assert (first.status_code, replay.status_code) == (kind.status, kind.status)
    assert (replayed(first), replayed(replay)) == (False, True)
    assert what(first) == what(replay)
    assert len(await holds(owner)) == 1
    await is_right(owner)


@each
async def test_another_body_is_refused(owner: AccountClient, second: Stack, kind: Kind) -> None:
    once = uuid.uuid4().hex
    await ask(owner, kind, once)
    for url in ("", second.url):
        conflict(await ask(owner, kind, once, url=url, **kind.other))
    assert len(await holds(owner)) == 1


@each
@pytest.mark.parametrize("once", [b"x" * 256, "Schlüssel".encode(), "🔑".encode(), b"a\tb", b'""'])
async def test_what_is_no_key_is_refused_and_makes_nothing(owner: AccountClient, kind: Kind, once: bytes) -> None:
    refused = await ask(owner, kind, once)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "Idempotency-Key")
    assert await holds(owner) == []


@each
async def test_the_longest_key_is_a_key(owner: AccountClient, kind: Kind) -> None:
    once = uuid.uuid4().hex.ljust(255, "~")
    assert what(await ask(owner, kind, once)) == what(await ask(owner, kind, once))


@each
async def test_another_account_has_keys_of_its_own(new_owner: OpenAccountClient, kind: Kind) -> None:
    ann, bob = await new_owner(), await new_owner()
    responses = [await ask(each, kind, "1") for each in (ann, bob)]
    assert not any(replayed(answer) for answer in responses)
    assert what(responses[0]) != what(responses[1])


@each
async def test_a_key_that_is_revoked_hears_nothing_and_its_sister_of_the_charge(
    owner: AccountClient, kind: Kind
) -> None:
    once = uuid.uuid4().hex
    dying = (await owner.http.post("/api/chat/keys/", json={"name": "dying"})).json()
    response = await ask(owner, kind, once, token=dying["key"])
    assert (await owner.http.post(f"/api/chat/keys/{dying['id']}/revoke/")).status_code == 200
    assert (await ask(owner, kind, once, token=dying["key"])).status_code == 401
    sister = await ask(owner, kind, once)
    if kind is MEDIA:  # a job is its account's, and holds no secret
        assert (replayed(sister), what(sister)) == (True, what(response))
    else:
        assert what(response) in conflict(sister)
        assert ANSWER not in sister.text
    assert len(await holds(owner)) == 1


@each
async def test_a_hundred_at_once_over_two_processes_are_one(
    owner: AccountClient, second: Stack, upstream: OpenAIServer, kind: Kind
) -> None:
    once, before = uuid.uuid4().hex, len(upstream.seen)
    urls = cycle(("", second.url))
    answers = await asyncio.gather(*(patiently(owner, kind, once, next(urls)) for _ in range(100)))
    assert {answer.status_code for answer in answers} <= {kind.status, 409}
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["error"]["code"] == "idempotency_in_flight"
            assert (float(answer.headers["retry-after"]) > 0, answer.headers["x-should-retry"]) == (True, "true")
    created = [answer for answer in answers if answer.status_code == kind.status]
    assert len([answer for answer in created if not replayed(answer)]) == 1
    assert len({what(answer) for answer in created}) == 1
    assert len(upstream.seen) - before == (0 if kind is MEDIA else 1)
    assert len(await holds(owner)) == 1
    await is_right(owner)


@pytest.fixture
async def dying(stack: Stack, upstream: OpenAIServer) -> AsyncIterator[Stack]:
    upstream.release.clear()
    yield replace(stack, port=ports.free(), state=stack.state / f"dying-{uuid.uuid4().hex}")
    upstream.release.set()


async def _killed_while_it_runs(owner: AccountClient, dying: Stack, kind: Kind, once: str, relayed: int) -> None:
    """In flight everywhere until then, and until the sweeper has been. `relayed` is what the ledger was told of."""
    with dying.running("api") as api:
        asking = asyncio.create_task(ask(owner, kind, once, url=dying.url))
        query = "SELECT count(*) FROM holds WHERE account_id = %s AND state = 'open' AND relayed_output >= %s"

        async def runs() -> bool:
            async with owner.database.connection() as connection:
                rows = await connection.exec_driver_sql(query, (owner.customer.account_id, relayed))
                return bool(rows.scalar_one())

        assert await eventually(runs)
        for url in ("", dying.url):
            assert (await ask(owner, kind, once, url=url)).status_code == 409
        api.send_signal(SIGKILL)
        with contextlib.suppress(httpx2.TransportError):
            await asking
    assert (await ask(owner, kind, once)).status_code == 409
    async with await psycopg.AsyncConnection.connect(dying.database_url, autocommit=True) as connection:
        expire = "UPDATE holds SET lease_until = now() - interval '1 second' WHERE account_id = %s"
        await connection.execute(expire, [owner.customer.account_id])

    async def swept() -> bool:
        return all(state != "open" for state, _ in await holds(owner))

    assert await eventually(swept)


@each_call
async def test_what_a_crash_left_uncharged_runs_again(
    owner: AccountClient, dying: Stack, upstream: OpenAIServer, kind: Kind
) -> None:
    once, kind = uuid.uuid4().hex, kind.of("test-hang")
    await _killed_while_it_runs(owner, dying, kind, once, relayed=0)
    upstream.release.set()
    again = await ask(owner, kind, once)
    assert (again.status_code, replayed(again)) == (200, False)
    assert replayed(await ask(owner, kind, once))
    assert [state for state, _ in await holds(owner)] == ["void", "settled"]
    await is_right(owner)


async def test_what_the_sweeper_charged_is_named_and_does_not_run_again(owner: AccountClient, dying: Stack) -> None:
    once, kind = uuid.uuid4().hex, STREAM.of("test-endless")
    await _killed_while_it_runs(owner, dying, kind, once, relayed=1)
    (charge,) = (await owner.get("/charges/"))["data"]
    assert charge["credits"]["charged"] > 0
    assert charge["id"] in conflict(await ask(owner, kind, once))
    assert len(await holds(owner)) == 1
    await is_right(owner)


async def test_a_job_outlives_the_process_that_took_it(owner: AccountClient, dying: Stack) -> None:
    once = uuid.uuid4().hex
    with dying.running("api") as api:
        response = await ask(owner, MEDIA, once, url=dying.url)
        api.send_signal(SIGKILL)
    replay = await ask(owner, MEDIA, once)
    assert (replayed(replay), what(replay)) == (True, what(response))


async def test_a_webhook_endpoint_is_made_once_and_remembered_after_its_end(owner: AccountClient) -> None:
    body, headers = {"url": "https://receiver.example/once"}, {"idempotency-key": uuid.uuid4().hex}
    first, again = [await owner.http.post("/api/webhooks/", json=body, headers=headers) for _ in range(2)]
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    await is_right(owner)
    assert (await owner.http.delete(f"/api/webhooks/{first.json()['id']}/")).status_code == 204
    await is_right(owner)
    assert (await owner.http.post("/api/webhooks/", json=body, headers=headers)).status_code == 422
