"""Chat calls under which processes die, freeze and stop, and the database falls over: no credit is lost or invented."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from signal import SIGCONT, SIGSTOP, SIGTERM
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from dev import ports
from dev.postgres import EmbeddedPostgres
from domain import pricing
from domain.meters import TokenPrices, per_thousand
from domain.pricing import Usage, UsageSource
from providers import tokenizer
from tests.support import migrated
from tests.support.doubles.entries import INPUT, OUTPUT, embedding_model, text_model
from tests.support.doubles.openai_server import ANSWER, OpenAIServer, event
from tests.support.media_stack import Customer, World, crash, until
from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDLESS, STALLING, HANGING, PLAIN = "test-endless", "test-stalls", "test-hang", "test-plain"
EMBEDDING = "test-embed-hang"
WHOLE = (HANGING, EMBEDDING)
MESSAGES = [{"role": "user", "content": "What is 2+2?"}]
PRICES = TokenPrices(per_thousand(input=Decimal(INPUT), output=Decimal(OUTPUT)))
MAX_TOKENS = 2000
EXPIRE = "UPDATE holds SET lease_until = now() - interval '1 second' WHERE state = 'open'"


class Upstream(OpenAIServer):
    """With a model more: it says its words and then nothing, but keeps the line."""

    async def _script(self, body: dict[str, Any], write: Callable[[str], Awaitable[None]]) -> None:
        if body["model"] != "stalls":
            await super()._script(body, write)
            return
        await write(event(body, {"role": "assistant", "content": ANSWER}))
        while True:
            await asyncio.sleep(0.1)
            await write(": still there\n\n")


def _catalog(upstream: str) -> str:
    provider = f"""
[providers.foreign]
kind = "openai"
base_url = "{upstream}"
capabilities = ["abort_stops_billing"]
"""
    models = (ENDLESS, STALLING, HANGING, PLAIN)
    provider += embedding_model(EMBEDDING, "foreign/embed-hang")
    return provider + "".join(text_model(name, f"foreign/{name.removeprefix('test-')}") for name in models)


@dataclass(slots=True)
class ClientResult:
    """What a client got of one call."""

    status: int = 0
    text: str = ""
    done: bool = False
    error: dict[str, Any] | None = None
    charged: int | None = None
    call_id: str = ""
    retry_after: str = ""
    cut: bool = False
    """The connection broke before the answer was whole."""


async def _stream(customer: Customer, model: str, result: ClientResult) -> ClientResult:
    body = {"model": model, "messages": MESSAGES, "stream": True, "max_tokens": MAX_TOKENS}
    try:
        async with customer.http.stream("POST", "/v1/chat/completions", json=body) as answer:
            result.status, result.retry_after = answer.status_code, answer.headers.get("retry-after", "")
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    _take(result, line.removeprefix("data: "))
                elif result.status != 200:
                    _take(result, line)
    except httpx2.TransportError:
        result.cut = True
    return result


def _take(result: ClientResult, line: str) -> None:
    if line == "[DONE]":
        result.done = True
        return
    chunk = json.loads(line)
    result.call_id = chunk.get("id", "")
    result.error = chunk.get("error", result.error)
    if "yout" in chunk:
        result.charged = chunk["yout"]["credits_charged"]
    for choice in chunk.get("choices", ()):
        result.text += choice["delta"].get("content") or ""


async def _whole(customer: Customer, model: str) -> ClientResult:
    body: dict[str, Any] = {"model": model, "messages": MESSAGES, "max_tokens": MAX_TOKENS}
    path = "/v1/chat/completions"
    if model == EMBEDDING:
        body, path = {"model": model, "input": "What is 2+2?"}, "/v1/embeddings"
    try:
        answer = await customer.http.post(path, json=body)
    except httpx2.TransportError:
        return ClientResult(cut=True)
    parsed = answer.json()
    result = ClientResult(
        answer.status_code, error=parsed.get("error"), retry_after=answer.headers.get("retry-after", "")
    )
    if result.status == 200:
        result.charged, result.call_id, result.done = parsed["yout"]["credits_charged"], parsed["id"], True
    return result


@dataclass(slots=True)
class Calls:
    """Calls of one customer that run side by side."""

    customer: Customer
    streams: dict[str, list[ClientResult]] = field(default_factory=dict)
    running: list[asyncio.Task[ClientResult]] = field(default_factory=list)

    def begin(self, **models: int) -> None:
        for name, count in models.items():
            model = f"test-{name}"
            for result in [ClientResult() for _ in range(count)]:
                self.streams.setdefault(model, []).append(result)
                call = _whole(self.customer, model) if model in WHOLE else _stream(self.customer, model, result)
                self.running.append(asyncio.create_task(call))

    async def ended(self) -> list[ClientResult]:
        return await asyncio.gather(*self.running)


@dataclass(frozen=True, slots=True)
class Hold:
    id: str
    model: str
    state: str
    relayed: int
    charged: int
    input_count: int
    closed_by: str | None

    def cost_of(self, output: int) -> int:
        """Without the minimum."""
        return pricing.cost(PRICES, Usage(self.input_count, output, UsageSource.ESTIMATED))


async def _holds(world: World, customer: Customer) -> list[Hold]:
    query = """
        SELECT id::text, model, state, relayed_output, charged - refunded, input_count, closed_by
        FROM holds WHERE account_id = %s"""
    return [Hold(*row) for row in await world.rows(query, customer.account_id)]


async def _all_relaying(world: World, customer: Customer, count: int) -> bool:
    """Every call has its hold, and every stream has told the ledger of its first words."""
    holds = await _holds(world, customer)
    return len(holds) == count and all(hold.relayed for hold in holds if hold.model not in WHOLE)


async def _all_closed(world: World, customer: Customer) -> bool:
    return all(hold.state != "open" for hold in await _holds(world, customer))


async def _the_sweeper_has_been(world: World, customer: Customer) -> list[Hold]:
    """Half a minute later, so to speak: every hold has ended, with what it cost by its own word."""
    await world.rows(EXPIRE)
    await until(lambda: _all_closed(world, customer), "the sweeper")
    holds = await _holds(world, customer)
    for hold in holds:
        assert hold.closed_by == "sweeper"
        relayed = ("settled", hold.cost_of(hold.relayed)) if hold.relayed else ("void", 0)
        assert (hold.state, hold.charged) == relayed
        assert hold.model not in WHOLE or hold.relayed == 0
    return holds


async def _is_right(world: World, customer: Customer) -> None:
    """What the holds cost is what the account has paid."""
    paid = sum(hold.charged for hold in await _holds(world, customer))
    ((available, held),) = await world.rows("SELECT available, held FROM accounts WHERE id = %s", customer.account_id)
    assert (available, held) == (customer.opening - paid, 0)
    await world.books_are_clean()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@dataclass(slots=True)
class Site:
    world: World
    postgres: EmbeddedPostgres
    upstream: Upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("chat-kills")
    (folder / "catalog.toml").write_text(_catalog(upstream.url))
    await migrated.put(folder / "postgres")
    async with EmbeddedPostgres(folder / "postgres") as postgres:
        stack = Stack.on(
            postgres, folder / "state", catalog=folder / "catalog.toml", extra={"YOUT_SHUTDOWN_TIMEOUT": "1"}
        )
        async with World.of(stack) as world:
            yield Site(world, postgres, upstream)


async def test_an_api_that_is_killed_under_running_calls(site: Site) -> None:
    """The next one ends their holds, with at most what the clients have got."""
    customer = await site.world.customer()
    calls = Calls(customer)
    with site.world.stack.running("api") as api:
        calls.begin(stalls=3, endless=3, hang=3, **{"embed-hang": 2})
        await until(lambda: _all_relaying(site.world, customer, 11), "the calls to run")
        api.kill()
        result = await calls.ended()
    assert all(each.cut and not each.done and each.charged is None for each in result)
    assert len([hold for hold in await _holds(site.world, customer) if hold.state == "open"]) == 11

    with site.world.stack.running("api"):
        swept = await _the_sweeper_has_been(site.world, customer)
        await _is_right(site.world, customer)
    got = {model: [tokenizer.count(each.text) for each in streams] for model, streams in calls.streams.items()}
    relayed = {model: [hold.relayed for hold in swept if hold.model == model] for model in calls.streams}
    assert relayed[STALLING] == got[STALLING] == [tokenizer.count(ANSWER)] * 3
    assert max(relayed[ENDLESS]) <= max(got[ENDLESS])
    assert sum(relayed[ENDLESS]) <= sum(got[ENDLESS])


async def test_an_api_that_was_frozen_beyond_its_lease(site: Site) -> None:
    """Another one ends its calls meanwhile. When it wakes it stops them, and charges nothing again."""
    customer = await site.world.customer()
    calls = Calls(customer)
    other = replace(site.world.stack, port=ports.free(), state=site.world.stack.state / "other")
    with other.running("api"), site.world.stack.running("api") as frozen:
        calls.begin(stalls=2, endless=2, hang=1, **{"embed-hang": 1})
        await until(lambda: _all_relaying(site.world, customer, 6), "the calls to run")
        frozen.send_signal(SIGSTOP)
        try:
            swept = await _the_sweeper_has_been(site.world, customer)
        finally:
            frozen.send_signal(SIGCONT)
        site.upstream.release.set()
        result = await calls.ended()
        site.upstream.release.clear()
        await _is_right(site.world, customer)
        assert sorted(await _holds(site.world, customer), key=str) == sorted(swept, key=str)
    for each in result:
        assert each.error is not None
        assert not each.done


async def test_an_api_that_is_told_to_stop_settles_what_it_has_delivered(site: Site) -> None:
    customer = await site.world.customer()
    calls = Calls(customer)
    with site.world.stack.running("api") as api:
        calls.begin(stalls=2, endless=2, hang=1, **{"embed-hang": 1})
        await until(lambda: _all_relaying(site.world, customer, 6), "the calls to run")
        api.send_signal(SIGTERM)
        result = await calls.ended()
        assert await asyncio.to_thread(api.wait, 60) == 0
    assert not any(each.done for each in result)
    holds = await _holds(site.world, customer)
    charges = {hold.charged for hold in holds if hold.model not in WHOLE}
    for each in (*calls.streams[STALLING], *calls.streams[ENDLESS]):
        assert each.error is not None
        assert each.error["code"] == "service_unavailable"
        assert each.charged in charges
    assert {hold.closed_by for hold in holds} == {"call"}
    assert {hold.state for hold in holds if hold.model in WHOLE} == {"void"}
    for model, receipts in calls.streams.items():
        charged = sorted(hold.charged for hold in holds if hold.model == model)
        delivered = sorted(holds[0].cost_of(tokenizer.count(each.text)) for each in receipts if model not in WHOLE)
        if model == STALLING:
            assert charged == delivered
        if model == ENDLESS:  # what was on its way to a client that still read is charged too
            assert all(paid >= got > 0 for paid, got in zip(charged, delivered, strict=True))
            assert max(charged) <= holds[0].cost_of(MAX_TOKENS)
    await _is_right(site.world, customer)


async def _load(call: Callable[[], Awaitable[ClientResult]], over: asyncio.Event, answers: list[ClientResult]) -> None:
    """One client that calls and calls."""
    while not over.is_set():
        answers.append(await call())
        await asyncio.sleep(0.02)


async def test_a_database_that_is_killed_under_load(site: Site) -> None:
    """Calls are told to come back, and do, to the same process. What was said to be charged is what was charged."""
    customer = await site.world.customer(100_000_000)
    with site.world.stack.running("api") as api:
        over, wholes, streams = asyncio.Event(), list[ClientResult](), list[ClientResult]()
        kinds = (lambda: _whole(customer, PLAIN), wholes), (lambda: _stream(customer, PLAIN, ClientResult()), streams)
        clients = [asyncio.create_task(_load(call, over, answers)) for call, answers in kinds for _ in range(3)]
        await until(lambda: _some(200, wholes, streams), "calls that succeed")
        await crash(site.postgres)
        lists = await customer.http.get("/v1/models")
        assert (lists.status_code, lists.json()["error"]["code"]) == (503, "service_unavailable")
        assert lists.headers["retry-after"]
        await until(lambda: _some(503, [*wholes, *streams]), "calls that are refused")
        await site.postgres.start()
        before = len(wholes), len(streams)
        await until(lambda: _some(200, wholes[before[0] :], streams[before[1] :]), "calls that succeed again")
        over.set()
        await asyncio.gather(*clients)
        assert api.poll() is None
        await site.world.rows(EXPIRE)
        await until(lambda: _all_closed(site.world, customer), "the sweeper")
        await _is_right(site.world, customer)
    _results_are_true([*wholes, *streams], await _holds(site.world, customer))


async def _some(status: int, *answers: list[ClientResult]) -> bool:
    """One of each kind at least has ended so."""
    return all(any(each.status == status and each.done == (status == 200) for each in kind) for kind in answers)


def _results_are_true(answers: list[ClientResult], holds: list[Hold]) -> None:
    by_id = {f"chatcmpl-{hold.id.replace('-', '')}": hold for hold in holds}
    for each in answers:
        assert not each.cut
        if each.status != 200:
            assert (each.status, bool(each.retry_after), each.charged) == (503, True, None)
            continue
        assert each.done != (each.error is not None)
        if each.charged is not None:
            assert by_id[each.call_id].charged == each.charged
    finished = {each.call_id for each in answers if each.charged is not None}
    unheard = [hold for call_id, hold in by_id.items() if call_id not in finished and hold.charged]
    assert {hold.closed_by for hold in unheard} <= {"sweeper"}
