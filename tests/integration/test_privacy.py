"""A word that no machine would say by itself goes through every door of a real stack, and is looked for afterwards.

In the database's files and its log of writes, in Temporal's, in every log, in the demo provider's spool and in our
own storage. The faults come with it: failing, broken and killed.
"""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from db.data_keys import wrapping_aad
from domain import shares
from domain.ids import workflow_id
from domain.sealing import SealBroken, Wrapping, unseal
from temporal.client import Address, connect, converter
from temporal.codec import ENCODING, EncryptionCodec
from tests.support import leak_scan
from tests.support.canaries import (
    ADDRESS,
    ASKED,
    CHAT,
    ERASED,
    HEADERS,
    NAMED,
    PASSWORD,
    RAW,
    SAVED,
    SHOWN,
    SPOKEN,
    misuses,
)
from tests.support.doubles import mail_server
from tests.support.doubles.echo_provider import MODELS, WORD, EchoProvider, catalog
from tests.support.media_stack import KEYRING, Customer, Job, World, embedded, temporal_of, triggered, until
from tests.support.stack import SECRET, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEMOS = ("demo-chat", "demo-chat-fail", "demo-chat-broken")


async def _chat(customer: Customer, model: str, stream: bool) -> httpx2.Response | None:
    headers = HEADERS | {"idempotency-key": f"{ASKED}-{model}-{stream}"}
    shown = [SHOWN] if model.startswith("test-") else []
    body = {**CHAT, "messages": [*SPOKEN, *shown], "model": model, "stream": stream}
    try:
        return await customer.http.post("/v1/chat/completions", json=body, headers=headers)
    except httpx2.TransportError:
        return None


async def _chats(customer: Customer) -> None:
    """Every way in which a call can go. What a provider quotes in an error reaches nobody."""
    models = [*DEMOS, *(f"test-{name}" for name in MODELS if name != "hangs")]
    called = [(model, stream) for model in models for stream in (False, True)]
    answers = await asyncio.gather(*(_chat(customer, *call) for call in called))
    for (model, stream), answer in zip(called, answers, strict=True):
        assert answer is not None
        if model == "test-echoes":
            assert (answer.status_code, ASKED in answer.text, WORD in answer.text) == (200, True, True)
        if answer.status_code != 200:
            assert ASKED not in answer.text, (model, stream)
            assert WORD not in answer.text, (model, stream)
    again = await _chat(customer, "demo-chat", stream=False)
    assert again is not None
    assert ASKED in again.text


async def _bad_requests(customer: Customer) -> None:
    """What is refused is not quoted either."""
    for method, path, what in misuses():
        answer = await customer.http.request(method, path, **what)
        assert 400 <= answer.status_code < 500, (method, path, answer.status_code)
        assert ASKED not in answer.text + str(answer.headers), (method, path, answer.text)


async def _jobs(customer: Customer) -> list[Job]:
    """The first image is the one that a worker dies over."""
    image = {"prompt": f"a lake {ASKED}", "size": "64x64"}
    video = {"prompt": f"a sea {ASKED}", "size": "64x64", "duration": 0.5}
    return [
        await customer.ordered("image", model="demo-image", **image),
        await customer.ordered("image", model="demo-image-fail", **image),
        await customer.ordered("image", model="demo-image", **image | {"size": "4096x4096"}),
        await customer.ordered("video", model="demo-video", **video),
        await customer.ordered("video", model="demo-video-fail", **video),
        await customer.ordered("speech", model="demo-speech", input=f"Say {ASKED}.", response_format="wav"),
        await customer.ordered("speech", model="demo-speech-fail", input=f"Say {ASKED}."),
    ]


@dataclass(slots=True)
class Left:
    """What a stack has left behind."""

    folder: Path
    tokens: list[str]
    jobs: list[Job] = field(default_factory=list)
    histories: dict[str, list[HistoryEvent]] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    """What operators were shown while it ran."""
    slugs: list[str] = field(default_factory=list)
    """Of shared pages: whoever knows one can read the page."""
    secrets: list[str] = field(default_factory=list)
    """Of links that were mailed, and of a cookie."""
    limits: dict[str, str] = field(default_factory=dict)
    """Of each process, by its program."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def left(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Left]:
    """After a life full of accidents: everything has been stopped, so that all of it lies in files."""
    folder, elsewhere = tmp_path_factory.mktemp("privacy"), tmp_path_factory.mktemp("privacy-catalog")
    temporary = folder / "tmp"
    temporary.mkdir()
    mails = mail_server.MailServer()
    with EchoProvider() as upstream, mail_server.running(mails) as mail_address:
        (elsewhere / "catalog.toml").write_text(catalog(upstream.url))
        async with embedded(folder) as (postgres, server):
            stack = Stack.on(
                postgres,
                folder / "state",
                server.address,
                catalog=elsewhere / "catalog.toml",
                extra={
                    "YOUT_SHUTDOWN_TIMEOUT": "3",
                    "TMPDIR": str(temporary),
                    "YOUT_SMTP_URL": f"smtp://{mail_address}",
                    "YOUT_MAIL_FROM": "yout@example.test",
                },
            )
            async with World.of(stack) as world:
                customers = [await world.customer(), await world.customer()]
                left = Left(folder, [customer.token for customer in customers])
                async with _activity(world, left):
                    left.jobs = await _accidents(world, *customers)
                    upstream.release.set()
                    await _recovery(world, customers, left, mails)
                left.limits |= {each.name: _limits(each.pid) for each in (postgres, server)}
                client = await temporal_of(server)
                left.histories = {
                    each.id: [event async for event in client.get_workflow_handle(each.id).fetch_history_events()]
                    async for each in client.list_workflows()
                }
                await world.rows("CHECKPOINT")
    yield left


@asynccontextmanager
async def _activity(world: World, left: Left) -> AsyncIterator[None]:
    """Look again and again at what the database shows its operator of running statements."""

    async def look() -> None:
        while True:
            rows = await world.rows("SELECT query FROM pg_stat_activity")
            left.shown["activity"] = left.shown.get("activity", "") + repr(rows)
            await asyncio.sleep(0.1)

    looking = asyncio.create_task(look())
    yield
    looking.cancel()
    assert "write_batch" in left.shown["activity"]


def _limits(pid: int | None) -> str:
    return Path(f"/proc/{pid}/limits").read_text()


async def _accidents(world: World, customer: Customer, other: Customer) -> list[Job]:
    """A worker dies over the first output, an API over a stream that has begun."""
    stack = world.stack
    with stack.running("worker", {"YOUT_FAILPOINT": "copy:between"}) as worker, stack.running("api") as api:
        jobs = await _jobs(customer)
        await asyncio.gather(_chats(customer), _bad_requests(other))
        hanging = asyncio.create_task(_chat(other, "test-hangs", stream=True))
        query = "SELECT id FROM holds WHERE model = 'test-hangs'"
        await until(lambda: world.rows(query), "a call to run")
        await until(lambda: _ended(worker), "the worker to die")
        api.kill()
        assert await hanging is None
    return jobs


async def _created_and_replayed(customer: Customer) -> str:
    """A new key's token, sealed meanwhile."""
    headers = {"idempotency-key": ASKED}
    responses = [await customer.http.post("/api/chat/keys/", json={"name": "x"}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in responses] == [201, 201]
    assert responses[0].json() == responses[1].json()
    return str(responses[0].json()["key"])


async def _maintained(client: Client) -> None:
    """A round of what else runs by a schedule, so that its history is there to be read."""
    await until(lambda: triggered(client), "the schedule")
    rounds = "WorkflowType = 'MaintenanceWorkflow' AND ExecutionStatus = 'Completed'"
    await until(lambda: _any(client, rounds), "a round of maintenance")


async def _any(client: Client, query: str) -> bool:
    return (await client.count_workflows(query)).count > 0


async def _ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


async def _saved(customer: Customer, left: Left, word: str) -> None:
    """What a caller wants to be saved can be read again, by whom it is for."""
    messages = [{"role": "user", "content": f"keep {word}"}, {"role": "assistant", "content": f"saved {word}"}]
    made = await customer.http.post("/api/chat/share/", json={"title": word, "messages": messages})
    assert made.status_code == 201
    left.slugs.append(made.json()["slug"])
    assert (await customer.http.get(f"/c/{left.slugs[-1]}")).text.count(word) >= 3
    assert word in (await customer.http.get("/api/chat/share/")).text
    saved = await customer.http.post("/api/chat/conversations/", json={"title": f"of {word}", "messages": messages})
    assert saved.status_code == 201
    path = f"/api/chat/conversations/{saved.json()['id']}/"
    assert (await customer.http.patch(path, json={"title": f"about {word}"})).status_code == 200
    for read in (path, f"/api/chat/conversations/?title={word}", "/api/chat/conversations/export/"):
        assert word in (await customer.http.get(read)).text, read


async def _signed_in(world: World, left: Left, mails: mail_server.MailServer) -> None:
    """A person signs up, in, out, and forgets the password. Each secret is known to the person alone."""
    person = {"email": ADDRESS, "password": PASSWORD}
    async with httpx2.AsyncClient(base_url=world.stack.url, timeout=60) as http:

        async def post(what: str, **body: str) -> httpx2.Response:
            headers = {**HEADERS, "sec-fetch-site": "same-origin"}
            answer = await http.post(f"/api/auth/{what}/", json=body, headers=headers)
            assert PASSWORD not in answer.text + str(answer.headers)
            return answer

        assert (await post("signup", **person)).status_code == 202
        left.secrets.append(mails.secret(ADDRESS))
        assert (await post("verify", token=left.secrets[-1])).status_code == 200
        assert (await post("login", email=ADDRESS, password=PASSWORD[::-1])).status_code == 401
        assert (await post("login", email=PASSWORD, password=PASSWORD)).status_code == 400
        signed_in = await post("login", **person)
        assert signed_in.status_code == 200
        left.secrets.append(http.cookies["yout"])
        assert (await http.get("/api/auth/me/")).json()["email"] == ADDRESS
        assert (await post("reset", email=ADDRESS)).status_code == 202
        left.secrets.append(mails.secret(ADDRESS, 2))
        reset = await post("reset/confirm", token=left.secrets[-1], password=PASSWORD[::-1])
        assert reset.status_code == 204
        assert (await http.get("/api/auth/me/")).status_code == 401


async def _purged(world: World, customer: Customer, left: Left) -> None:
    """Everything that the customer saved is erased: a row from a backup cannot be opened with the keys left."""
    keys = "SELECT epoch, wrapped FROM data_keys WHERE account_id = %s AND wrapped IS NOT NULL"
    shared = "SELECT slug_hash, sealed FROM shares WHERE account_id = %s"
    ((slug_hash, sealed),) = await world.rows(shared, customer.account_id)
    ((old, wrapped),) = await world.rows(keys, customer.account_id)
    place = shares.aad(customer.account_id, slug_hash, "messages")

    def opened(epoch: int, wrapped: bytes, of_epoch: int) -> bytes:
        data_key = Wrapping.of(SECRET).unwrap(wrapped, aad=wrapping_aad(customer.account_id, epoch))
        return unseal(data_key, sealed, aad=f"{place}|{of_epoch}")

    assert ERASED.encode() in opened(old, wrapped, old)
    started = await customer.http.post("/api/chat/purge/", json={"confirm": "erase"})
    assert started.status_code == 202

    async def completed() -> bool:
        answer = await customer.http.get(f"/api/chat/purge/{started.json()['purge_id']}/")
        return bool(answer.json()["status"] == "completed")

    await until(completed, "the purge")
    for path in (f"/c/{left.slugs[-1]}", f"/api/chat/share/{left.slugs[-1]}/"):
        assert (await customer.http.get(path)).status_code == 404
    assert ERASED not in (await customer.http.get("/api/chat/conversations/export/")).text
    ((epoch, wrapped),) = await world.rows(keys, customer.account_id)
    assert epoch > old
    for of_epoch in (old, epoch):
        with pytest.raises(SealBroken):
            opened(epoch, wrapped, of_epoch)


async def _recovery(world: World, customers: Sequence[Customer], left: Left, mails: mail_server.MailServer) -> None:
    customer, other = customers
    with world.stack.running("worker") as worker, world.stack.running("api") as api:
        left.limits |= {"worker": _limits(worker.pid), "api": _limits(api.pid)}
        left.tokens.append(await _created_and_replayed(customer))
        await _saved(customer, left, SAVED)
        await _saved(other, left, ERASED)
        await _purged(world, other, left)
        await _signed_in(world, left, mails)
        slow = {"model": "demo-image-slow", "prompt": f"[seconds=300] {ASKED}", "size": "64x64"}
        cancelled = await customer.ordered("image", **slow)
        await customer.in_state(cancelled, "running")
        client = await connect(Address(world.stack.temporal_address), converter(KEYRING))
        await client.get_workflow_handle(workflow_id(UUID(cancelled["job_uuid"]))).cancel()
        assert (await customer.ended(cancelled))["status"] == "cancelled"
        states = [(await customer.ended(job))["status"] for job in left.jobs]
        assert states == ["succeeded", "failed", "failed", "succeeded", "failed", "succeeded", "failed"]
        await _maintained(client)
        left.shown["metrics"] = (await customer.http.get("/metrics")).text


async def test_nothing_that_was_said_is_saved_anywhere(left: Left) -> None:
    assert leak_scan.of(left.folder, leak_scan.spellings(ASKED, NAMED, RAW, WORD)) == []
    for what, text in left.shown.items():
        assert not leak_scan.within(text.encode(), leak_scan.spellings(ASKED, NAMED, RAW, WORD)), what


async def test_no_key_and_no_secret_is_saved_anywhere(left: Left) -> None:
    tokens = [token.removeprefix("yout-")[4:-4] for token in left.tokens]  # what a list does not show of them
    assert leak_scan.of(left.folder, leak_scan.spellings(*tokens)) == []
    assert leak_scan.of(left.folder, leak_scan.spellings(SECRET, parts=False)) == []


async def test_no_password_link_or_cookie_is_saved_and_an_address_in_the_database_alone(left: Left) -> None:
    assert len(left.secrets) == 3
    needles = leak_scan.spellings(PASSWORD, PASSWORD[::-1], *left.secrets)
    assert leak_scan.of(left.folder, needles) == []
    finds = leak_scan.of(left.folder, leak_scan.spellings(ADDRESS.partition("@")[0]))
    assert finds
    assert {Path(find.partition(":")[0]).relative_to(left.folder).parts[:2] for find in finds} == {("postgres", "data")}


async def test_what_was_to_be_saved_is_encrypted_where_it_lies(left: Left) -> None:
    """Each was read again through the API while the stack ran."""
    assert leak_scan.of(left.folder, leak_scan.spellings(SAVED, ERASED, *left.slugs)) == []


async def test_no_process_of_the_stack_could_leave_a_core_dump(left: Left) -> None:
    limits = {name: re.search(r"^Max core file size +(\S+) +(\S+)", text, re.M) for name, text in left.limits.items()}
    assert set(limits) == {"api", "worker", "PostgreSQL", "Temporal"}
    for name, found in limits.items():
        assert found is not None
        assert found.groups() == ("0", "0"), name


async def test_the_search_finds_what_is_there(left: Left) -> None:
    """The names of models are everybody's: where content would lie, they do."""
    for where in ("postgres/data", "temporal"):
        assert leak_scan.of(left.folder / where, {"model": b"demo-image-slow"})
    job = left.jobs[0]["job_uuid"]
    assert leak_scan.of(left.folder / "temporal", {"job": job.encode()})
    assert leak_scan.of(left.folder / "state" / "demo", {"job": job.encode()})
    assert (left.folder / "state" / "api.log").stat().st_size > 0
    assert any((left.folder / "postgres" / "data" / "pg_wal").iterdir())


async def test_temporal_is_told_ids_and_under_seal(left: Left) -> None:
    """No payload is readable without our key, and those that are, with it, hold nothing that was said."""
    assert {workflow_id(UUID(job["job_uuid"])) for job in left.jobs} <= set(left.histories)
    payloads = [payload for events in left.histories.values() for payload in leak_scan.payloads(events)]
    assert len(payloads) > 5 * len(left.jobs)
    assert {payload.metadata["encoding"] for payload in payloads} == {ENCODING}
    needles = leak_scan.spellings(ASKED, NAMED, RAW, WORD, *left.tokens)
    for opened in await EncryptionCodec(KEYRING).decode(payloads):
        assert not [name for name, needle in needles.items() if needle in opened.SerializeToString()]
    whole = b"".join(event.SerializeToString() for events in left.histories.values() for event in events)
    assert not [name for name, needle in needles.items() if needle in whole]
