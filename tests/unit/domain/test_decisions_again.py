"""Asking again, growing, and giving back: what a retry may find."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from domain.errors import AlreadyRunning, EndedByPurge, GatewayError, InsufficientCredits, NotFound
from domain.holds import LEASE
from domain.ledger import State, Transaction
from domain.limits import Limits
from domain.operations import Extend, Grant, IdempotencyClaim, Operation, Refund, Renew, Reserve
from domain.rates import Counters
from domain.results import Closed, Extended, Renewed, Replay, Reserved
from tests.support.ledger.cases import ANN, BOB, BOUND, KEY, NOW, reserve, run, settle, state, used


def test_growing_twice_to_the_same_limit_is_growing_once() -> None:
    more = Extend(UUID(int=100), ANN, 200)
    verdicts, changes = run(state(), reserve(), more, more)
    assert verdicts[1] == verdicts[2] == Extended(200, BOUND + 150, 1000 - BOUND - 150)
    assert [t.kind for t in changes.transactions] == ["hold", "extend"]


def test_movements_have_positions_in_order_and_times_after_those_before() -> None:
    later = NOW + timedelta(hours=1)  # another process's clock was ahead
    known = state(movements=7, moved_at=later)
    _, changes = run(known, reserve(), settle(), Grant(BOB, 5, "r"))
    first, second, other = changes.transactions
    at = later + timedelta(microseconds=1)
    assert [(t.position, t.created_at) for t in (first, second)] == [(8, at), (9, at)]
    assert (other.position, other.created_at) == (1, NOW)
    assert (known.accounts[ANN].movements, known.accounts[ANN].moved_at) == (9, at)
    assert [entry.created_at for entry in changes.usage] == [at]


def test_the_next_batch_of_an_account_moves_later() -> None:
    known = state()
    (first,) = movements_of(known, reserve())
    (second,) = movements_of(known, settle())
    assert (first.position, second.position) == (1, 2)
    assert second.created_at > first.created_at == NOW


def movements_of(known: State, operation: Operation) -> list[Transaction]:
    _, changes = run(known, operation)
    return changes.transactions


def minutes_ahead(known: State, counters: Counters | None = None) -> float:
    tat = (counters or known.keys[KEY].used).tokens_tat
    assert tat is not None
    return (tat - known.now) / timedelta(minutes=1)


def test_what_a_stream_grew_by_counts_in_its_keys_tokens() -> None:
    known = state(10_000)
    known.keys[KEY].limits = Limits(tokens=1200)
    run(known, reserve(), Extend(UUID(int=100), ANN, 1100), settle(usage=used(20, 1100)))
    assert minutes_ahead(known) == pytest.approx(1120 / 1200)


def test_tokens_go_back_at_the_limit_they_were_taken_from() -> None:
    known = state()
    run(known, reserve(ceiling=Limits(tokens=1200)), settle(usage=used(10, 2)))
    assert minutes_ahead(known) == 0  # the key has no limit of its own: its account has
    assert minutes_ahead(known, known.accounts[ANN]) == pytest.approx(12 / 1200)
    known = state()
    known.keys[KEY].limits = Limits(tokens=1200)
    run(known, reserve())
    known.keys[KEY].limits = Limits(tokens=1)  # its owner narrows it while the call runs
    run(known, settle(usage=used(10, 2)))
    assert minutes_ahead(known) == pytest.approx(12 / 1200)


def claimed(number: int) -> Reserve:
    return reserve(number, claim=IdempotencyClaim(b"scope", b"fingerprint"))


def test_a_claim_is_free_again_once_its_charge_was_given_back() -> None:
    replayed, _ = run(state(), claimed(1), settle(1), claimed(2))
    assert isinstance(replayed[2], Replay)
    anew, _ = run(state(), claimed(1), settle(1), Refund(UUID(int=1), ANN), claimed(2))
    assert isinstance(anew[3], Reserved)


def test_a_call_that_cannot_be_made_is_only_answered_by_its_claims_earlier_one() -> None:
    gone = NotFound("gone")
    impossible = replace(claimed(2), terms=gone)
    replayed, _ = run(state(), claimed(1), settle(1), impossible)
    assert isinstance(replayed[2], Replay)
    running, _ = run(state(), claimed(1), impossible)
    assert isinstance(running[1], AlreadyRunning)
    known = state()
    alone, changes = run(known, impossible)
    assert alone == [gone]
    assert (changes.placed, changes.transactions, changes.claims) == ({}, [], {})
    assert gone.left is not None


def test_asking_again_under_a_claim_says_that_it_is_recorded() -> None:
    verdicts, _ = run(state(), claimed(1), claimed(1))
    assert isinstance(verdicts[1], Reserved)
    assert verdicts[1].claimed


@pytest.mark.parametrize("what", ["key", "account"])
def test_no_more_is_held_for_whom_nothing_would_be_held_now(what: str) -> None:
    known = state()
    run(known, reserve())
    known.keys[KEY].dead = what == "key"
    known.accounts[ANN].suspended = what == "account"
    verdicts, _ = run(known, Extend(UUID(int=100), ANN, 200))
    assert isinstance(verdicts[0], GatewayError)


def test_a_retry_in_the_same_batch_is_replayed() -> None:
    claim = IdempotencyClaim(b"scope", b"fingerprint")
    settled = replace(settle(1), sealed=b"sealed")
    verdicts, _ = run(state(), reserve(1, claim=claim), settled, reserve(2, claim=claim))
    assert isinstance(verdicts[2], Replay)
    assert (verdicts[2].hold_id, verdicts[2].sealed) == (UUID(int=1), b"sealed")


def test_a_charge_above_its_hold_stays_within_its_keys_budget() -> None:
    known = state(10_000)
    known.keys[KEY].limits = Limits(credits_day=BOUND + 20)
    verdicts, _ = run(known, reserve(), settle(usage=used(15, 2000)))
    closed = verdicts[1]
    assert isinstance(closed, Closed)
    assert closed.charged == BOUND + 20
    assert closed.written_off > 0
    assert known.keys[KEY].used.day_credits == BOUND + 20


def test_a_clock_that_is_set_back_over_midnight_begins_no_budget_anew() -> None:
    known = state(10_000)
    known.keys[KEY].limits = Limits(credits_day=BOUND + 15, credits_month=BOUND + 15)
    assert NOW.day == NOW.month == 1
    run(known, reserve(1))
    known.now -= timedelta(seconds=1)
    verdicts, _ = run(known, reserve(2), settle(1), reserve(3), settle(3), reserve(4))
    assert [type(one) for one in verdicts] == [InsufficientCredits, Closed, Reserved, Closed, InsufficientCredits]
    spent = known.keys[KEY].used
    assert (spent.day, spent.day_credits, spent.month_credits) == (NOW.date(), 20, 20)
    assert known.holds[UUID(int=3)].created_at == NOW


def test_a_clock_that_was_wrong_by_hours_is_believed_once_it_is_right() -> None:
    known = state(10_000)
    known.keys[KEY].limits = Limits(credits_day=BOUND)
    run(known, reserve(1))
    known.now -= timedelta(hours=1)
    assert isinstance(run(known, reserve(2))[0][0], Reserved)
    assert known.holds[UUID(int=2)].created_at == known.now
    assert known.keys[KEY].used.day == known.now.date()


def test_a_renewal_says_that_its_key_is_gone_and_keeps_the_hold() -> None:
    known = state()
    run(known, reserve())
    known.cut.add(UUID(int=100))
    verdicts, _ = run(known, Renew(UUID(int=100), 5))
    assert isinstance(verdicts[0], Renewed)
    assert verdicts[0].cut
    assert verdicts[0].lease_until == known.now + LEASE


def test_a_first_attempt_that_asks_again_is_still_told_that_its_claim_is_recorded() -> None:
    """Its commit's reply was lost. Were it not told, its answer would not be sealed, and its client's retry refused.

    The ledger does not look such a claim up: it cannot adopt what was there before.
    """
    known = state(recognise_retries=True)
    first = reserve(1, claim=IdempotencyClaim(b"scope", b"fingerprint", adopts=False, implicit=True))
    run(known, first)
    known.claims.clear()
    (again,), _ = run(known, first)
    assert isinstance(again, Reserved)
    assert again.claimed


def test_a_purge_ends_the_calls_of_the_epoch_before_and_no_other() -> None:
    claim = IdempotencyClaim(b"scope", b"fingerprint")
    known = state()
    run(known, reserve(1, claim=claim), reserve(2), settle(2))
    known.accounts[ANN].epoch = 2
    known.erased.add(UUID(int=1))
    verdicts, changes = run(
        known, Renew(UUID(int=1), 5), Extend(UUID(int=1), ANN, 200), reserve(1), Refund(UUID(int=2), ANN),
        replace(settle(1), sealed=b"sealed"), reserve(3, claim=claim),
    )  # fmt: skip
    assert isinstance(verdicts[0], Renewed)
    assert verdicts[0].erased
    assert [type(verdict) for verdict in verdicts[1:4]] == [EndedByPurge, EndedByPurge, EndedByPurge]
    assert isinstance(verdicts[4], Closed), "what was delivered is charged"
    assert not changes.sealed, "nothing of an old epoch is kept for a replay"
    assert isinstance(verdicts[5], Reserved), "what was claimed before is claimed anew"
    assert verdicts[5].epoch == known.holds[UUID(int=3)].epoch == 2
    assert [entry.epoch for entry in changes.usage] == [1]
