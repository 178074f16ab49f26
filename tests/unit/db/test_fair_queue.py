"""Operations that wait for the ledger: each account's in order, the accounts in turn; what is locked waits apart."""

import asyncio
import uuid
from uuid import UUID

from db.fair_queue import FairQueue, ParkedAccounts, Pending
from domain.operations import Void
from tests.support.ledger.cases import ANN, BOB

CAT = UUID(int=3)


def pending(account: UUID) -> Pending:
    return Pending(Void(uuid.uuid4(), account, "chat", "m"), account, asyncio.get_running_loop().create_future())


async def test_a_flood_of_one_account_leaves_a_place_for_its_neighbours() -> None:
    queue, flood = FairQueue(), [pending(ANN) for _ in range(1000)]
    for operation in flood:
        queue.push(operation)
    late = pending(BOB)
    queue.push(late)
    batch = queue.take(10)
    assert batch[1] is late
    assert [operation for operation in batch if operation is not late] == flood[:9]


async def test_each_account_comes_in_its_order_and_nothing_is_lost() -> None:
    queue, waiting = FairQueue(), [pending(account) for account in (ANN, BOB, ANN, CAT, ANN, BOB)]
    for operation in waiting:
        queue.push(operation)
    first = queue.take(4)
    queue.push_front(first)
    rest: list[Pending] = []
    while batch := queue.take(4):
        rest.extend(batch)
    assert sorted(map(id, rest)) == sorted(map(id, waiting))
    for account in (ANN, BOB, CAT):
        assert [p for p in rest if p.key == account] == [p for p in waiting if p.key == account]


async def test_what_comes_back_is_taken_again_in_its_order_across_accounts() -> None:
    queue, waiting = FairQueue(), [pending(account) for account in (ANN, BOB, CAT)]
    queue.push(pending(CAT))
    queue.push_front(waiting)
    assert queue.take(3) == waiting


async def test_what_nobody_waits_for_is_not_taken() -> None:
    queue, left, tried = FairQueue(), pending(ANN), pending(ANN)
    queue.push(left)
    queue.push(tried)
    tried.commits = 1
    left.result.cancel()
    tried.result.cancel()
    assert queue.take(10) == [tried]
    assert not queue


async def test_an_account_that_was_waited_for_in_vain_is_behind_those_that_have_just_come() -> None:
    parked, stuck, fresh = ParkedAccounts(), [pending(ANN) for _ in range(3)], pending(BOB)
    parked.park(stuck)
    assert parked.take_next(now=1.0, limit=10) == stuck
    parked.put_back(stuck)
    parked.wait_after(ANN, 5.0)
    parked.park([fresh])
    assert parked.take_next(now=1.0, limit=10) == [fresh]
    parked.release(BOB)
    assert parked.take_next(now=1.0, limit=10) == []
    assert parked.take_sharing(10) == stuck[:1]
    parked.put_back(stuck[:1])
    assert parked.take_next(now=5.0, limit=10) == stuck


async def test_what_comes_for_a_parked_account_waits_with_it_and_is_released_with_it() -> None:
    parked, first, second = ParkedAccounts(), pending(ANN), pending(ANN)
    parked.park([first])
    assert parked.take_sharing(10) == [first]
    assert ANN in parked
    parked.park([second])
    assert list(parked.release(ANN)) == [second]
    assert not parked


async def test_an_account_that_shares_no_batch_is_looked_at_alone() -> None:
    parked, alone, other = ParkedAccounts(), pending(ANN), pending(BOB)
    parked.park([alone], alone=True)
    parked.park([other])
    assert parked.take_sharing(10) == [other]
    parked.put_back([other])
    assert parked.take_next(now=0.0, limit=10) == [alone]
