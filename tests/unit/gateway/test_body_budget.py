"""The bytes of large bodies in a process: a part for each owner, a whole for all, and every way to give them back."""

import asyncio
from datetime import timedelta

import pytest

from domain.errors import RateLimited, ServiceUnavailable
from gateway.body_budget import BodyBudget, BodyClaim

AT_ONCE = timedelta(0)


async def taken(budget: BodyBudget, owner: str, size: int) -> BodyClaim:
    claim = budget.claim()
    await claim.take(owner, size)
    return claim


async def in_the_queue(taking: "asyncio.Task[BodyClaim]") -> "asyncio.Task[BodyClaim]":
    for _ in range(3):
        await asyncio.sleep(0)
    assert not taking.done()
    return taking


async def test_an_owner_has_half_and_leaves_room_to_others() -> None:
    budget = BodyBudget(100, AT_ONCE)
    await taken(budget, "ann", 30)
    await taken(budget, "ann", 20)
    with pytest.raises(RateLimited, match="50 bytes") as raised:
        await taken(budget, "ann", 1)
    assert raised.value.retry_after > AT_ONCE
    await taken(budget, "bob", 50)
    with pytest.raises(ServiceUnavailable):
        await taken(budget, "cy", 1)
    assert budget.used == 100


async def test_a_claim_takes_more_and_gives_all_of_it_back() -> None:
    budget = BodyBudget(100, AT_ONCE)
    with await taken(budget, "ann", 20) as claim:
        await claim.take("ann", 30)
        assert (claim.size, budget.used) == (50, 50)
        claim.shrink(40)
        with pytest.raises(RateLimited), budget.claim() as another:
            await another.take("ann", 11)
        assert budget.used == 40
    assert budget.used == 0


async def test_what_no_part_can_hold_is_let_in_alone() -> None:
    budget = BodyBudget(100, AT_ONCE)
    with await taken(budget, "ann", 40) as claim:
        await claim.take("ann", 30)
        with await taken(budget, "bob", 30), pytest.raises(ServiceUnavailable):
            await claim.take("ann", 50)
        await claim.take("ann", 50)
        assert budget.used == 120
        with pytest.raises(ServiceUnavailable):
            await taken(budget, "bob", 1)
    with await taken(budget, "ann", 1), pytest.raises(RateLimited):
        await taken(budget, "ann", 60)


async def test_whoever_waits_too_long_leaves_nothing() -> None:
    budget = BodyBudget(100, AT_ONCE)
    first = await taken(budget, "ann", 50)
    with pytest.raises(RateLimited), budget.claim() as claim:
        await claim.take("ann", 50)
    with first:
        assert budget.used == 50
    assert budget.used == 0
    await taken(budget, "ann", 50)


async def test_bytes_go_to_whoever_has_least() -> None:
    budget = BodyBudget(100)
    ann, bob = await taken(budget, "ann", 40), await taken(budget, "bob", 50)
    again = await in_the_queue(asyncio.create_task(taken(budget, "bob", 11)))
    cy = await in_the_queue(asyncio.create_task(taken(budget, "cy", 40)))
    with ann:
        pass
    await cy
    await in_the_queue(again)
    with bob:
        pass
    await again
    assert budget.used == 51


async def test_one_that_does_not_fit_keeps_no_other_owner_waiting() -> None:
    budget = BodyBudget(100)
    await taken(budget, "ann", 50)
    await taken(budget, "bob", 30)
    await in_the_queue(asyncio.create_task(taken(budget, "cy", 30)))
    await taken(budget, "dan", 10)
    assert budget.used == 90


async def test_one_that_leaves_the_queue_lets_the_next_of_its_owner_in() -> None:
    budget = BodyBudget(100)
    await taken(budget, "ann", 30)
    large = await in_the_queue(asyncio.create_task(taken(budget, "ann", 30)))
    small = await in_the_queue(asyncio.create_task(taken(budget, "ann", 20)))
    large.cancel()
    await small
    assert budget.used == 50


async def test_one_that_is_cancelled_when_it_was_just_let_in_gives_all_back() -> None:
    budget = BodyBudget(100)
    first = await taken(budget, "ann", 50)

    async def request() -> None:
        with budget.claim() as claim:
            await claim.take("ann", 50)
            raise AssertionError

    waiting = asyncio.create_task(request())
    await asyncio.sleep(0)
    with first:
        pass
    assert budget.used == 50  # it has them, and has not run yet
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.used == 0


async def test_all_is_given_back_when_all_who_share_it_have_left() -> None:
    budget = BodyBudget(100)
    with budget.claim() as claim:
        await claim.take("ann", 50)
        leave = claim.shared()
    assert budget.used == 50
    leave()
    assert budget.used == 0
    with budget.claim() as claim:
        await claim.take("ann", 50)
        claim.shared()()
        assert budget.used == 50
    assert budget.used == 0


async def test_a_claim_of_nothing_has_nothing_to_give_back() -> None:
    budget = BodyBudget(100)
    with budget.claim() as claim:
        claim.shrink(10)
    assert budget.used == 0
