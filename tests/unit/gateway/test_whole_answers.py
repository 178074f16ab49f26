"""A whole answer: the first route that gives one, read within bounds, charged once, or not at all."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from domain.catalog import Route
from domain.errors import GatewayError, RateLimited, RequestInvalid, ServiceUnavailable, UpstreamBusy, UpstreamError
from domain.limits import NO_LIMITS
from domain.pricing import Usage, UsageSource
from domain.tokens import InputTokens
from gateway import embeddings, whole_answers
from gateway.adapter_calls import RouteCall
from gateway.body_budget import BodyBudget
from gateway.calls import Calls
from gateway.wire import Bill, CompletedAnswer, EmbeddingRequest
from providers.base import Embeddings, Paused, WholeAnswer
from tests.support.doubles.chat_calls import CATALOG, Books, FakeUpstream, call, count, route, upstreams

CHOICES = [{"index": 0, "message": {"role": "assistant", "content": "a b"}, "finish_reason": "stop"}]
WHOLE = WholeAnswer({"choices": CHOICES, "account": "SECRET", "system_fingerprint": "fp"}, "a b", None)


class Scene:
    def __init__(self, *routes: Route) -> None:
        self.books, self.one, self.two = Books(), FakeUpstream(whole=WHOLE), FakeUpstream(whole=WHOLE)
        self.calls = Calls(self.books, lambda: CATALOG, upstreams(one=self.one, two=self.two), count, NO_LIMITS)
        self.call = call(*routes, output_limit=5, paid=5)
        self.calls.live[self.call.hold_id] = self.call
        self.answering = asyncio.create_task(whole_answers.answer(self.calls, self.call))

    async def answered(self, upstream: FakeUpstream, body: bytes = b"{}", status: int = 200) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        upstream.sink.head(status, {})
        upstream.sink.data(body)
        upstream.sink.end()

    async def result(self) -> tuple[CompletedAnswer, Bill]:
        return await asyncio.wait_for(self.answering, 10)

    async def fails(self, kind: type[GatewayError]) -> GatewayError:
        with pytest.raises(kind) as caught:
            await self.result()
        assert not self.books.settled
        assert len(self.books.voided) == 1
        assert not self.calls.live
        return caught.value


async def test_an_answer_is_ours_and_charged_once() -> None:
    scene = Scene()
    await scene.answered(scene.one)
    answer, bill = await scene.result()
    assert set(answer.body) == {"id", "object", "created", "model", "choices", "usage", "system_fingerprint"}
    assert (bill.charged, bill.usage) == (10, Usage(3, 2, UsageSource.COUNTED))
    assert [settled.minimum for settled in scene.books.settled] == [True]
    assert scene.one.exchanges[0].closed


@pytest.mark.parametrize(("base64", "size"), [(True, 100 * 1536 * 6), (False, 100 * 1536 * 20)])
async def test_many_vectors_wait_for_memory(base64: bool, size: int) -> None:
    budget = BodyBudget(2 * size, timedelta(0))
    many = EmbeddingRequest(("x",) * 100, base64=base64)
    with budget.claim() as claim, budget.claim() as other:
        scene = Scene()
        scene.call.request = replace(scene.call.request, embedding=many, claim=claim)
        await other.take(scene.call.reserved.account_id, 1)
        await scene.fails(RateLimited)
        assert scene.one.exchanges == []
    with budget.claim() as claim:
        scene = Scene()
        scene.call.request = replace(scene.call.request, embedding=many, claim=claim)
        await asyncio.wait([scene.answering])
        assert claim.size == size
    assert budget.used == 0
    for one in (EmbeddingRequest(("x",)), EmbeddingRequest(("x",) * 2048, dimensions=10**9)):
        assert embeddings.expected_answer_bytes(one) <= embeddings.MAX_ANSWER_BYTES


@pytest.mark.parametrize(("dimensions", "known"), [(None, {"demo-chat": 7}), (7, {})])
async def test_the_size_of_a_models_vectors_is_learned(dimensions: int | None, known: dict[str, int]) -> None:
    scene = Scene()
    scene.answering.cancel()
    embedding = EmbeddingRequest(("x",), dimensions=dimensions)
    scene.call.request = replace(scene.call.request, embedding=embedding)
    routed = cast(RouteCall, SimpleNamespace(answer=lambda _body: Embeddings([[0.5] * 7], None)))
    whole_answers._read(scene.calls, scene.call, routed, b"{}")
    assert scene.calls.dimensions == known
    assert embeddings.expected_answer_bytes(embedding, 7) == 7 * embeddings.TEXT_BYTES


@pytest.mark.parametrize("reported", [900, 64_000])
async def test_what_a_provider_reports_above_the_limit_is_not_billed(reported: int) -> None:
    scene = Scene()
    scene.one.whole = WholeAnswer(WHOLE.body, "a b", Usage(3, reported, UsageSource.PROVIDER, reasoning_tokens=800))
    await scene.answered(scene.one)
    _, bill = await scene.result()
    assert (bill.usage.output_tokens, bill.usage.reasoning_tokens) == (5, 5)
    assert scene.calls.unbilled_output == reported - 5


@pytest.mark.parametrize("left", [False, True])
async def test_a_paused_answer_goes_on_while_somebody_waits_for_it(left: bool) -> None:
    scene = Scene()
    scene.call.input = InputTokens(3, 600)
    scene.call.model = scene.call.model.model_copy(update={"context_window": 100})
    used = Usage(30, 1, UsageSource.PROVIDER, web_searches=1)
    scene.one.whole = replace(WHOLE, usage=used, paused=Paused(()))
    if left:
        scene.call.attempts.no_more()
    await scene.answered(scene.one)
    if not left:
        for _ in range(10):  # until it has been read
            await asyncio.sleep(0)
        scene.one.whole = replace(WHOLE, usage=used)
        await scene.answered(scene.one)
    _, bill = await scene.result()
    parts = 1 if left else 2
    assert len(scene.one.exchanges) == parts
    assert bill.usage == Usage(30 * parts, parts, UsageSource.PROVIDER, web_searches=parts)


@pytest.mark.parametrize("fault", [UpstreamError(), UpstreamBusy(), ZeroDivisionError("SECRET")])
async def test_the_next_route_answers_when_one_fails_or_we_do(fault: Exception) -> None:
    scene = Scene(route("one"), route("two"))
    scene.one.whole = fault
    await scene.answered(scene.one)
    await scene.answered(scene.two)
    answer, _ = await scene.result()
    assert answer.body["choices"] == CHOICES
    assert scene.books.settled[0].provider == "two"
    assert scene.calls.faults.by_provider == ({"one": 1} if isinstance(fault, ZeroDivisionError) else {})


async def test_a_fault_of_ours_in_the_last_route_is_the_providers_failure() -> None:
    scene = Scene()
    scene.one.whole = KeyError("SECRET")
    await scene.answered(scene.one)
    assert "SECRET" not in str(await scene.fails(UpstreamError))


async def test_a_refused_request_is_not_asked_of_the_next_route() -> None:
    scene = Scene(route("one"), route("two"))
    scene.one.request_fault = RequestInvalid("no", param="x")
    assert str(await scene.fails(RequestInvalid)) == "no"
    assert not scene.two.calls


async def test_a_status_other_than_200_is_what_the_adapter_says_it_is() -> None:
    scene = Scene()
    await scene.answered(scene.one, b"tea", 418)
    assert str(await scene.fails(GatewayError)) == "418 tea"


async def test_a_body_of_endless_nesting_is_not_read() -> None:
    scene = Scene()
    await scene.answered(scene.one, b"[" * (whole_answers.MAX_NODES + 1))
    assert isinstance(await scene.fails(UpstreamError), UpstreamError)


async def test_a_large_answer_is_read_off_the_loop() -> None:
    scene = Scene()
    await scene.answered(scene.one, b" " * (whole_answers.LARGE_ANSWER_BYTES + 1))
    answer, _ = await scene.result()
    assert answer.body["choices"] == CHOICES


async def test_a_body_above_the_bound_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_answers, "MAX_ANSWER_BYTES", 10)
    scene = Scene()
    await scene.answered(scene.one, b"x" * 11)
    assert isinstance(await scene.fails(UpstreamError), UpstreamError)


async def test_what_cannot_be_written_is_no_answer() -> None:
    deep: object = "x"
    for _ in range(400):
        deep = [deep]
    scene = Scene()
    scene.one.whole = WholeAnswer({"choices": [{"index": 0, "message": {"content": deep}}]}, "", None)
    await scene.answered(scene.one)
    assert isinstance(await scene.fails(UpstreamError), UpstreamError)


async def test_a_server_that_stops_charges_nothing() -> None:
    scene = Scene()
    for _ in range(5):
        await asyncio.sleep(0)
    scene.answering.cancel()
    await scene.fails(ServiceUnavailable)
    assert scene.one.exchanges[0].closed


async def test_a_ledger_that_is_away_is_no_answer() -> None:
    scene = Scene()
    scene.books.error = ServiceUnavailable()
    await scene.answered(scene.one)
    with pytest.raises(ServiceUnavailable):
        await scene.result()
    assert not scene.calls.live


@pytest.mark.parametrize("status", [200, 500])
async def test_a_call_has_ended_once_also_without_its_client(status: int) -> None:
    scene, ends = Scene(), list[bool]()
    scene.call.ended = lambda: ends.append(True)
    scene.call.attempts.no_more()
    await scene.answered(scene.one, status=status)
    await asyncio.wait([scene.answering], timeout=10)
    assert ends == [True]
