"""Requests per minute are taken before any work is done, and by refused calls as well."""

import math
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from domain.errors import CallerUnknown, GatewayError, InsufficientCredits, RateLimited, ScopeMissing
from domain.ledger import State
from domain.limits import Limits
from domain.operations import Admit, Extend, Operation
from domain.results import Admitted, Closed, Reserved
from tests.support.ledger.cases import ANN, BOUND, DIGEST, KEY, TERMS, reserve, run, settle, state, used, void

ADMIT = Admit(DIGEST, "chat")


def limited(requests: int, balance: int = 1_000_000) -> State:
    known = state(balance)
    known.keys[KEY].limits = Limits(requests=requests)
    return known


def left(known: State, operation: Operation) -> int:
    """What is left of the requests after one operation more."""
    (result,), changes = run(known, operation)
    assert not (changes.transactions or changes.placed) or isinstance(result, Reserved)
    requests = result.left[0] if isinstance(result, GatewayError) and result.left else getattr(result, "requests", None)
    assert requests is not None
    return int(requests.remaining)


def test_an_admission_takes_a_request_and_holds_nothing() -> None:
    known = limited(60)
    (admitted,), changes = run(known, ADMIT)
    assert isinstance(admitted, Admitted)
    assert admitted.account_id == ANN
    assert (changes.placed, changes.transactions) == ({}, [])
    assert (list(changes.accounts), list(changes.keys)) == ([ANN], [KEY])
    assert admitted.requests is not None
    assert admitted.requests.remaining == 59


def test_who_is_signed_in_takes_requests_of_the_account() -> None:
    known = state()
    signed_in = Admit(ceiling=Limits(requests=60), account_id=ANN)
    assert [left(known, signed_in), left(known, signed_in)] == [59, 58]
    (unknown,), _ = run(known, Admit(account_id=UUID(int=77)))
    assert isinstance(unknown, CallerUnknown)


def test_who_was_admitted_pays_no_second_request() -> None:
    known = limited(60)
    assert [left(known, ADMIT), left(known, reserve(1, admitted=True)), left(known, reserve(2))] == [59, 59, 58]


def test_the_counters_are_never_behind_a_call_that_was_admitted_before() -> None:
    """A request costs less time than there is between the admission and the hold: the audit compares the two."""
    known = limited(600_000)
    run(known, ADMIT)
    known.now += timedelta(milliseconds=20)
    run(known, reserve(1, admitted=True))
    used = known.keys[KEY].used
    assert (used.requests_tat, used.tokens_tat) == (known.now, known.now)


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (reserve(1), InsufficientCredits),
        (reserve(1, max_credits=1), InsufficientCredits),
        (Admit(DIGEST, "media"), ScopeMissing),
    ],
)
def test_a_refused_call_takes_a_request(refused: Operation, error: type[GatewayError]) -> None:
    known = limited(60, balance=BOUND - 1)
    (first,), _ = run(known, refused)
    assert type(first) is error
    assert left(known, refused) == 58


def test_a_refused_call_that_was_admitted_takes_none() -> None:
    known = limited(60, balance=0)
    assert [left(known, ADMIT), left(known, reserve(1, admitted=True))] == [59, 59]


@pytest.mark.parametrize("operation", [ADMIT, reserve(1)])
def test_without_requests_left_nobody_is_admitted_and_waits_no_longer_for_asking(operation: Operation) -> None:
    known = limited(2, balance=0)
    results = [run(known, operation)[0][0] for _ in range(5)]
    assert [type(result) is RateLimited for result in results[2:]] == [operation is ADMIT] * 3
    (last,), _ = run(known, ADMIT)
    assert isinstance(last, RateLimited)
    assert last.retry_after is not None
    assert last.retry_after.total_seconds() <= 30
    assert "may have 2 requests per minute. " in last.message
    assert last.message.endswith(f"Try again in {math.ceil(last.retry_after.total_seconds())} s.")


def test_a_stranger_is_not_admitted() -> None:
    (result,), changes = run(limited(60), replace(ADMIT, digest=b"nobody's"))
    assert isinstance(result, CallerUnknown)
    assert not changes


def test_the_operators_ceiling_of_calls_holds_for_the_account() -> None:
    """Whatever number of keys it has."""
    known, ceiling = state(1_000_000), Limits(concurrent=2)
    other = replace_key(known, b"another key")
    results = [
        run(known, reserve(1, ceiling=ceiling))[0][0],
        run(known, reserve(2, ceiling=ceiling, digest=other))[0][0],
        run(known, reserve(3, ceiling=ceiling))[0][0],
        run(known, reserve(4, ceiling=ceiling, digest=other))[0][0],
    ]
    assert [type(result) for result in results] == [Reserved, Reserved, RateLimited, RateLimited]


def replace_key(known: State, digest: bytes) -> bytes:
    """One key more of the account."""
    key_id = UUID(int=10)
    known.keys[key_id] = replace(known.keys[KEY], id=key_id, used=type(known.keys[KEY].used)())
    known.secrets[digest] = replace(known.secrets[DIGEST], key_id=key_id)
    return digest


def keys_left(known: State, *operations: Operation) -> list[type]:
    return [type(run(known, operation)[0][0]) for operation in operations]


def test_the_operators_ceiling_of_requests_holds_for_the_account() -> None:
    known, ceiling = state(1_000_000), Limits(requests=3)
    other = replace_key(known, b"another key")
    results = keys_left(
        known,
        reserve(1, ceiling=ceiling),
        Admit(other, "chat", ceiling),
        reserve(2, ceiling=ceiling, digest=None, account_id=ANN),
        reserve(3, ceiling=ceiling),
        Admit(other, "chat", ceiling),
        reserve(4, ceiling=ceiling, digest=None, account_id=ANN),
    )
    assert results == [Reserved, Admitted, Reserved, RateLimited, RateLimited, RateLimited]


def test_the_operators_ceiling_of_tokens_holds_for_the_account_and_what_is_unused_goes_back() -> None:
    known, ceiling = state(1_000_000), Limits(tokens=300)
    other = replace_key(known, b"another key")
    calls = [
        reserve(number, ceiling=ceiling, digest=digest) for number, digest in ((1, DIGEST), (2, other), (3, other))
    ]
    assert keys_left(known, *calls) == [Reserved, Reserved, RateLimited]  # 120 tokens each
    assert keys_left(known, void(1), calls[2]) == [Closed, Reserved]
    (closed, late), _ = run(known, settle(2, used(15, 2)), reserve(4, ceiling=ceiling))
    assert isinstance(closed, Closed)
    assert isinstance(late, Reserved)
    assert late.tokens is not None
    assert late.tokens.remaining == 300 - 120 - 17 - 120


def test_a_call_that_one_limit_refuses_takes_nothing_from_the_other() -> None:
    known, ceiling = limited(1), Limits(requests=5)
    account = known.accounts[ANN]
    run(known, replace(ADMIT, ceiling=ceiling))
    taken = account.requests_tat
    (refused,), _ = run(known, replace(ADMIT, ceiling=ceiling))
    assert isinstance(refused, RateLimited)
    assert account.requests_tat == taken


@pytest.mark.parametrize(("own", "ceiling", "tighter"), [(5, 60, 5), (60, 5, 5), (5, 5, 5)])
def test_the_headers_tell_the_tighter_of_key_and_account(own: int, ceiling: int, tighter: int) -> None:
    (admitted,), _ = run(limited(own), replace(ADMIT, ceiling=Limits(requests=ceiling)))
    assert isinstance(admitted, Admitted)
    assert admitted.requests is not None
    assert (admitted.requests.limit, admitted.requests.remaining) == (tighter, tighter - 1)


def test_a_stream_that_grows_takes_its_tokens_from_the_account_too() -> None:
    known, ceiling = state(1_000_000), Limits(tokens=1000)
    run(known, reserve(1, ceiling=ceiling))
    run(known, Extend(UUID(int=1), ANN, 600))
    (refused,), _ = run(
        known, reserve(2, ceiling=ceiling, digest=None, account_id=ANN, terms=replace(TERMS, input_bound=400))
    )
    assert isinstance(refused, RateLimited)


def test_one_request_per_minute_is_no_plural() -> None:
    known = limited(1, balance=0)
    last = [run(known, ADMIT)[0][0] for _ in range(2)][-1]
    assert isinstance(last, RateLimited)
    assert "may have 1 request per minute. " in last.message
