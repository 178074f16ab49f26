"""Holds that fit: what an unbounded call may use, when ten of them share a balance that does not cover their demand."""

import asyncio
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from bench.chaos.receipts import faults
from gateway.produced_output import RUNAWAY
from tests.clients.conftest import OpenAccount, OpenAccountClient
from tests.support.doubles.openai_server import WORD, OpenAIServer
from tests.support.stack import Stack

MESSAGES: Any = [{"role": "user", "content": "Write until you are cut."}]


async def balance(client: AsyncOpenAI, stack: Stack) -> tuple[int, int]:
    balances = await client.get(f"{stack.url}/api/chat/limit/", cast_to=dict[str, int])
    return balances["balance"], balances["held"]


async def call(client: AsyncOpenAI, model: str, *, stream: bool, choices: int = 1) -> tuple[str, int, int]:
    """How it ended, the credits it cost, and the tokens that came."""
    try:
        if not stream:
            answer = await client.chat.completions.create(model=model, messages=MESSAGES, n=choices)
            money = answer.to_dict()["yout"]
            assert isinstance(money, dict)
            words = sum((choice.message.content or "").count(WORD) for choice in answer.choices)
            return str(answer.choices[0].finish_reason), money["credits_charged"], words
        reason, charged, words = "", 0, 0
        chunks = client.chat.completions.create(model=model, messages=MESSAGES, stream=True, n=choices)
        async for chunk in await chunks:
            words += (chunk.choices[0].delta.content or "").count(WORD)
            reason = chunk.choices[0].finish_reason or reason
            money = chunk.to_dict().get("yout")
            charged = money["credits_charged"] if isinstance(money, dict) else charged
        return reason, charged, words
    except openai.APIStatusError as refused:
        return str(refused.status_code), 0, 0


@pytest.mark.parametrize("way", [(True, 1), (True, 3), (False, 1), (False, 3)])
@pytest.mark.parametrize("model", ["test-writes", "test-reasons", "test-writes-on", "test-reasons-on", "test-metered"])
async def test_ten_unbounded_calls_share_fifty_thousand_credits(
    stack: Stack, new_owner: OpenAccountClient, upstream: OpenAIServer, model: str, way: tuple[bool, int]
) -> None:
    """Each could use 60,000 credits (40,000 tokens at 1,500), some go on whatever they are told: far more than there
    is."""
    stream, choices = way
    before, owner = len(upstream.seen), await new_owner(50_000)
    async with AsyncOpenAI(api_key=owner.customer.token, base_url=f"{stack.url}/v1", max_retries=0) as client:
        ends = [await call(client, model, stream=stream, choices=choices) for _ in range(2)]
        ends += await asyncio.gather(*(call(client, model, stream=stream, choices=choices) for _ in range(10)))
        left, held = await balance(client, stack)
    receipts = [await owner.get(f"/charges/{charge['id']}/") for charge in (await owner.get("/charges/"))["data"]]
    assert [fault for receipt in receipts for fault in faults(receipt)] == []
    assert {end for end, _, _ in ends} <= {"length", "402"}
    assert held == 0
    assert left == 50_000 - sum(charged for _, charged, _ in ends)
    assert left >= 0
    sent = [seen.body["max_tokens"] for seen in upstream.seen[before:]]
    assert len(sent) == len(receipts) == sum(end == "length" for end, _, _ in ends) > 0
    if not (stream and model == "test-metered"):
        assert max(sent) <= 40_000 // 8  # what is held is the limit upstream
        assert sorted(sent) == sorted(receipt["bounds"]["output_limit"] for receipt in receipts)
    for end, charged, words in ends:
        if not model.endswith("-on"):
            assert end == "402" or charged >= words * 1500 // 1000  # nothing is given away
        elif stream:
            assert words <= choices * max(sent) * 3 // 2 + RUNAWAY  # one that runs away is cut


async def test_a_metered_stream_spends_the_last_credits_and_no_more(stack: Stack, account: OpenAccount) -> None:
    async with AsyncOpenAI(api_key=await account(20_000), base_url=f"{stack.url}/v1", max_retries=0) as client:
        end, charged, words = await call(client, "test-metered", stream=True)
        left, held = await balance(client, stack)
    assert end == "length"
    assert (left, held) == (20_000 - charged, 0)
    assert left < 1000  # it grew hold by hold, far above the eighth it began with
    assert words * 1.5 <= charged <= 20_000


async def test_an_explicit_limit_is_held_in_full_and_never_grows(
    stack: Stack, account: OpenAccount, upstream: OpenAIServer
) -> None:
    async with AsyncOpenAI(api_key=await account(20_000), base_url=f"{stack.url}/v1", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="test-metered", messages=MESSAGES, stream=True, max_tokens=300
        )
        words = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(words).count(WORD) == 300
    assert upstream.seen[-1].body["max_tokens"] == 300
