"""Which of the jobs that wait is started next."""

from collections.abc import Callable, Sequence
from uuid import UUID

import pytest

from domain.media import Job, Kind
from gateway.start_turns import StartTurns
from tests.support.queued_job import queued_job

FREE, PRO, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)


def job(account: UUID, share: int = 1, priority: int = 3, kind: Kind = Kind.IMAGE) -> Job:
    return queued_job(account, kind=kind).model_copy(update={"share": share, "priority": priority})


def anybody(_kind: Kind) -> Callable[[UUID], bool]:
    return lambda _account: True


def taken(turns: StartTurns, count: int = 1000) -> Sequence[UUID]:
    """The accounts of the next jobs."""
    accounts = list[UUID]()
    while len(accounts) < count and (next_job := turns.take(anybody)) is not None:
        accounts.append(next_job.account_id)
    return accounts


def waiting(*jobs: Job) -> StartTurns:
    turns = StartTurns()
    for each in jobs:
        turns.add(each)
    return turns


def test_accounts_take_turns_however_many_jobs_each_has() -> None:
    turns = waiting(*[job(FREE)] * 20, job(OTHER), job(OTHER))
    assert taken(turns)[:4] == [FREE, OTHER, FREE, OTHER]


def test_a_share_is_how_many_turns_an_account_has_for_one_of_others() -> None:
    turns = waiting(*[job(FREE)] * 40, *[job(PRO, share=4)] * 40)
    assert taken(turns, 25).count(PRO) == pytest.approx(20, abs=1)


def test_an_account_that_orders_one_job_after_another_wins_no_turn_by_it() -> None:
    turns = waiting(*[job(PRO, share=4)] * 100, job(FREE))
    accounts = list[UUID]()
    for _ in range(50):
        accounts += taken(turns, 1)
        if accounts[-1] == FREE:
            turns.add(job(FREE))
    assert accounts.count(FREE) == pytest.approx(10, abs=1)


def test_who_comes_later_has_no_turns_to_catch_up_with() -> None:
    turns = waiting(*[job(FREE)] * 40)
    assert taken(turns, 20) == [FREE] * 20
    for _ in range(10):
        turns.add(job(OTHER))
    assert taken(turns, 10).count(OTHER) == pytest.approx(5, abs=1)


def test_a_lower_priority_always_goes_first() -> None:
    turns = waiting(job(FREE), job(PRO, share=9), *[job(OTHER, priority=1)] * 3)
    assert taken(turns)[:3] == [OTHER] * 3


def test_a_kind_without_room_is_no_trouble_of_the_others() -> None:
    turns = waiting(job(FREE, kind=Kind.VIDEO), job(FREE), job(OTHER))
    images = list(iter(lambda: turns.take(lambda kind: anybody(kind) if kind is Kind.IMAGE else None), None))
    assert [image.account_id for image in images if image is not None] == [FREE, OTHER]
    assert (len(turns), [one.kind for one in turns], turns.of(FREE), turns.of(OTHER)) == (1, [Kind.VIDEO], 1, 0)


def test_an_account_without_room_lets_others_go_first() -> None:
    turns = waiting(job(FREE), job(OTHER))
    first = turns.take(lambda _kind: lambda account: account == OTHER)
    assert first is not None
    assert first.account_id == OTHER
