"""Every way in which a stream can end once its client has left: one charge, of the right amount, and nothing open.

From a provider that stops its bill on an abort, and from one that bills on and is read to its end.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from signal import SIGKILL, SIGTERM
from typing import Any

import pytest

from db.audit import audit
from dev import ports
from dev.postgres import EmbeddedPostgres
from tests.clients.test_billing import check, kinds
from tests.support.account_client import CREDITS, QUESTION, AccountClient
from tests.support.doubles import paced
from tests.support.doubles.entries import INPUT, OUTPUT
from tests.support.doubles.paced import FIRST, REST, Paced
from tests.support.own_stack import own_stack
from tests.support.stack import Stack, eventually

CHAT = "/v1/chat/completions"
LIMIT = {"YOUT_ABANDONED_STREAM_TIMEOUT": "5", "YOUT_MAX_ABANDONED_STREAMS": "2"}
REPORTED = 600
"""What the provider's own report costs."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Paced]:
    with Paced() as server:
        yield server


@pytest.fixture(scope="module")
def stack(postgres: EmbeddedPostgres, upstream: Paced, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    own = own_stack(postgres, tmp_path_factory, "endings", paced.catalog(upstream.url), extra=LIMIT)
    with own.running("api"):
        yield own


@pytest.fixture(autouse=True)
async def nothing_is_left(owner: AccountClient, upstream: Paced) -> AsyncIterator[None]:
    """After each: the books are clean, and no connection to the provider is open."""
    upstream.rewind()
    yield
    upstream.release.set()

    async def is_idle() -> bool:
        return upstream.open == 0 and await drains(owner) == 0

    assert await eventually(is_idle)
    async with owner.database.connection() as connection:
        report = await audit(connection)
    assert report.clean, report.findings


async def drains(owner: AccountClient, url: str = "") -> int:
    return await metric(owner, "yout_abandoned_streams", url)


async def metric(owner: AccountClient, name: str, url: str = "") -> int:
    text = (await owner.http.get(f"{url}/metrics")).text
    return int(float(text.partition(f"\n{name} ")[2].partition("\n")[0]))


async def left(
    owner: AccountClient, upstream: Paced, model: str, *, url: str = "", once: str = "", **fields: object
) -> None:
    """Ask for a stream, leave it once the provider waits, and be sure that the server knows."""
    seen, before = len(upstream.seen), await drains(owner, url)
    speaks = not model.endswith("late")
    headers = {"idempotency-key": once} if once else {}
    body = {"model": model, **QUESTION, "stream": True, **fields}

    async def read() -> None:
        async with owner.http.stream("POST", url + CHAT, json=body, headers=headers) as answer:
            assert answer.status_code == 200
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    first_text.set()

    first_text = asyncio.Event()
    reading = asyncio.create_task(read())
    if speaks:
        await asyncio.wait_for(first_text.wait(), 20)
    assert await eventually(lambda: _is(len(upstream.seen) > seen))
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading
    reads_on = bool(once) or (model.startswith("drain") and before < 2)

    async def known() -> bool:
        return await drains(owner, url) > before if reads_on else upstream.aborted.is_set()

    assert await eventually(known)


async def _is(what: bool) -> bool:
    return what


async def ended(owner: AccountClient, count: int = 1) -> list[dict[str, Any]]:
    """The account's receipts, once all of its holds have ended; the balance is what they leave."""

    async def closed() -> list[str] | None:
        async with owner.database.connection() as connection:
            query = "SELECT id::text FROM holds WHERE account_id = %s AND state <> 'open' ORDER BY id"
            rows = list((await connection.exec_driver_sql(query, (owner.customer.account_id,))).scalars())
        return rows if len(rows) == count else None

    holds = await eventually(closed)
    assert holds
    receipts = [await owner.get(f"/charges/{hold_id}/") for hold_id in holds]
    balance = (await owner.http.get("/api/chat/limit/")).json()
    spent = sum(receipt["credits"]["charged"] for receipt in receipts)
    assert (balance["balance"], balance["held"]) == (CREDITS - spent, 0)
    return receipts


def charge(receipt: dict[str, Any]) -> tuple[int, str, int]:
    """What was charged, by whose count, and what the operator bears."""
    check(receipt)
    assert kinds(receipt) == ["hold", "charge"]
    assert receipt["credits"]["charged"] <= receipt["credits"]["held"]
    return receipt["credits"]["charged"], receipt["usage"]["source"], receipt["credits"]["written_off"]


@dataclass(frozen=True, slots=True)
class Ending:
    script: str
    drained: tuple[int, str, int] | None
    """From a provider that bills on. None: nothing came, nothing is charged."""
    stopped: tuple[int, str, int] | None


TWO, TWO_FINISHED, FIVE = (8, "counted", 0), (10, "counted", 0), (12, "counted", 0)
"""So many words, at 300 and 1,500 credits; a call that was finished costs the minimum."""
INPUT_ONLY = (5, "counted", 0)
"""The input: its provider had taken the call on, and said nothing yet."""
FULL = (REPORTED, "provider", 0)
REPORTED_EARLY = (303, "provider", 0)
"""The input that an early report tells, and the two words that came after it."""
ENDINGS = [
    Ending("ends", FULL, TWO),
    Ending("late", FULL, INPUT_ONLY),
    Ending("finishing", FULL, TWO_FINISHED),
    Ending("unfinished", TWO_FINISHED, TWO),
    Ending("breaks", TWO, TWO),
    Ending("fails-late", None, INPUT_ONLY),
    Ending("cut", TWO, TWO),
    Ending("tells-early", FULL, REPORTED_EARLY),
    Ending("one-of-two", FULL, TWO),
    Ending("one-of-two-cut", TWO, TWO),
    Ending("usage-missing", FIVE, TWO),
    Ending("usage-absurd", FIVE, TWO),
]


@pytest.mark.parametrize("provider", ["drain", "stop"])
@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.script)
async def test_the_client_has_left(owner: AccountClient, upstream: Paced, ending: Ending, provider: str) -> None:
    choices = 2 if ending.script.startswith("one-of-two") else 1
    await left(owner, upstream, f"{provider}-{ending.script}", max_tokens=500, n=choices)
    upstream.release.set()
    (receipt,) = await ended(owner)
    expected = ending.drained if provider == "drain" else ending.stopped
    if expected is None:
        assert (receipt["state"], kinds(receipt)) == ("void", ["hold", "release"])
    else:
        assert charge(receipt) == expected
    assert upstream.aborted.is_set() == (provider == "stop")


@pytest.mark.parametrize("provider", ["drain", "stop"])
@pytest.mark.parametrize("chunks", [None, 3])
async def test_the_client_leaves_when_all_has_been_said(
    owner: AccountClient, upstream: Paced, provider: str, chunks: int | None
) -> None:
    """With the very last byte, or one chunk before it: the one with the charge has been sent by then."""
    upstream.release.set()
    await owner.streamed(f"{provider}-ends", chunks)
    (receipt,) = await ended(owner)
    assert charge(receipt) == FULL


@pytest.mark.parametrize("provider", ["drain", "stop"])
async def test_the_client_of_a_whole_answer_leaves(owner: AccountClient, upstream: Paced, provider: str) -> None:
    asking = asyncio.create_task(owner.chat(f"{provider}-ends"))
    assert await eventually(lambda: _is(len(upstream.seen) == 1))
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    upstream.release.set()
    (receipt,) = await ended(owner)
    assert charge(receipt) == FULL


async def test_no_other_attempt_is_made_for_a_client_that_has_left(owner: AccountClient, upstream: Paced) -> None:
    asking = asyncio.create_task(owner.chat("drain-fails-late"))
    assert await eventually(lambda: _is(len(upstream.seen) == 1))
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    for _ in range(2):
        await drains(owner)  # who is answered later than the client left: the server knows
    upstream.release.set()
    (receipt,) = await ended(owner)
    assert (receipt["state"], kinds(receipt)) == ("void", ["hold", "release"])
    assert len(upstream.seen) == 1


async def test_a_stream_is_cut_when_not_each_of_its_choices_has_ended(owner: AccountClient, upstream: Paced) -> None:
    upstream.release.set()
    body = {"model": "stop-one-of-two-cut", **QUESTION, "stream": True, "n": 2, "max_tokens": 500}
    text = (await owner.http.post(CHAT, json=body)).text
    assert '"code":"upstream_error"' in text
    assert "[DONE]" not in text
    (receipt,) = await ended(owner)
    assert charge(receipt) == TWO


@pytest.mark.parametrize("once", ["", "kept"])
async def test_who_has_left_never_pays_above_the_hold(owner: AccountClient, upstream: Paced, once: str) -> None:
    await left(owner, upstream, "drain-usage-above", once=once, max_tokens=500)
    upstream.release.set()
    (receipt,) = await ended(owner)
    held = receipt["credits"]["held"]
    assert charge(receipt) == (held, "provider", 0)
    assert receipt["calculation"]["capped_at_hold"]
    assert held < 1000 < receipt["calculation"]["rounded_cost"]


async def test_who_stays_pays_what_the_provider_reports(owner: AccountClient, upstream: Paced) -> None:
    upstream.release.set()
    await owner.streamed("drain-usage-above", max_tokens=500)
    (receipt,) = await ended(owner)
    assert check(receipt)["credits"]["charged"] == receipt["calculation"]["rounded_cost"] > 27_000


async def test_a_provider_that_never_ends_is_read_so_long(owner: AccountClient, upstream: Paced) -> None:
    await left(owner, upstream, "drain-endless", max_tokens=4000)
    upstream.release.set()
    (receipt,) = await ended(owner)
    assert charge(receipt)[1:] == ("counted", 0)
    assert receipt["usage"]["output_tokens"] > 2
    assert not receipt["calculation"]["minimum_applied"]
    assert upstream.aborted.wait(10)


async def test_a_provider_that_goes_on_above_its_limit_is_cut(owner: AccountClient, upstream: Paced) -> None:
    await left(owner, upstream, "drain-endless", max_tokens=5)
    upstream.release.set()
    (receipt,) = await ended(owner)
    input_tokens = receipt["usage"]["input_tokens"]
    assert receipt["usage"]["output_tokens"] == 5  # what is above the limit that was sent is the operator's
    assert charge(receipt) == (-(-(input_tokens * INPUT + 5 * OUTPUT) // 1000), "counted", 0)
    assert await metric(owner, "yout_unbilled_output_tokens_total") > 59
    assert upstream.aborted.wait(10)


@pytest.mark.parametrize("provider", ["drain", "stop"])
async def test_an_answer_that_is_kept_is_read_to_its_end_and_told_whole(
    owner: AccountClient, upstream: Paced, provider: str
) -> None:
    model = f"{provider}-ends"
    await left(owner, upstream, model, once="kept")
    body = {"model": model, **QUESTION, "stream": True}
    running = await owner.http.post(CHAT, json=body, headers={"idempotency-key": "kept"})
    assert (running.status_code, running.json()["error"]["code"]) == (409, "idempotency_in_flight")
    upstream.release.set()
    (receipt,) = await ended(owner)
    assert charge(receipt) == FULL
    again = await owner.http.post(CHAT, json=body, headers={"idempotency-key": "kept"})
    assert again.headers["idempotent-replayed"] == "true"
    assert FIRST + REST in again.text
    assert again.text.endswith("data: [DONE]\n\n")
    assert len(upstream.seen) == 1
    await ended(owner)


async def test_only_so_many_are_read_for_the_bill(owner: AccountClient, upstream: Paced) -> None:
    """One more is cut, and charged for what was delivered. What is kept for a replay has no such limit."""
    for _ in range(3):
        await left(owner, upstream, "drain-ends")
    assert upstream.aborted.is_set()
    await left(owner, upstream, "drain-ends", once="kept")
    assert await drains(owner) == 3
    upstream.release.set()
    assert sorted(charge(receipt) for receipt in await ended(owner, 4)) == [TWO, FULL, FULL, FULL]
    upstream.rewind()
    await left(owner, upstream, "drain-ends")  # there is room again
    upstream.release.set()
    await ended(owner, 5)


async def test_the_server_is_told_to_stop_while_it_reads_on(
    owner: AccountClient, upstream: Paced, stack: Stack
) -> None:
    other = replace(stack, port=ports.free(), state=stack.state / "stopping")
    with other.running("api") as api:
        await left(owner, upstream, "drain-ends", url=other.url)
        api.send_signal(SIGTERM)
        assert await asyncio.to_thread(api.wait, 60) == 0
    (receipt,) = await ended(owner)
    assert charge(receipt) == TWO
    assert receipt["closed_by"] == "call"
    assert upstream.aborted.is_set()


async def test_the_server_is_killed_while_it_reads_on(owner: AccountClient, upstream: Paced, stack: Stack) -> None:
    """The provider bills what it generated, for nobody: so does the sweeper, as far as it was told."""
    other = replace(stack, port=ports.free(), state=stack.state / "killed")
    with other.running("api") as api:
        await left(owner, upstream, "drain-endless", url=other.url, max_tokens=4000)
        delivered = len(FIRST.split())
        upstream.release.set()
        query = "SELECT relayed_output FROM holds WHERE account_id = %s"

        async def reads_on() -> bool:
            return (await _value(owner, query)) > delivered

        assert await eventually(reads_on)
        api.send_signal(SIGKILL)
        await asyncio.to_thread(api.wait, 60)
    relayed = await _value(owner, query)
    async with owner.database.transaction() as session:
        expire = "UPDATE holds SET lease_until = now() - interval '1 second' WHERE state = 'open'"
        await (await session.connection()).exec_driver_sql(expire)
    (receipt,) = await ended(owner)
    assert charge(receipt)[1:] == ("estimated", 0)
    assert (receipt["closed_by"], receipt["usage"]["output_tokens"]) == ("sweeper", relayed)
    assert not receipt["calculation"]["minimum_applied"]


async def _value(owner: AccountClient, query: str) -> int:
    async with owner.database.connection() as connection:
        return int((await connection.exec_driver_sql(query, (owner.customer.account_id,))).scalar_one())
