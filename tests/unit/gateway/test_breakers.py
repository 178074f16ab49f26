"""When a route rests for one account, when for all, and how it comes back. Time is a number here."""

import pytest

from gateway import breakers
from gateway.breakers import MAX_ACCOUNTS, REST_SECONDS, Breaker


def failing(breaker: Breaker, *accounts: str, at: float = 0.0, timeout: bool = False, connected: bool = True) -> None:
    for step, account in enumerate(accounts):
        breaker.failed(account, at + step, timeout=timeout, connected=connected)


def test_one_account_closes_the_route_for_itself_alone() -> None:
    breaker = Breaker()
    failing(breaker, *["a"] * 20)
    assert not breaker.admits("a", 20)
    assert breaker.admits("b", 20)


@pytest.mark.parametrize(("gap", "failures"), [(1, 2), (70, 2), (500, 2)])
def test_two_hangs_of_one_account_are_enough_however_long_they_took(gap: float, failures: int) -> None:
    breaker = Breaker()
    for number in range(failures):
        assert breaker.admits("a", number * gap)
        breaker.failed("a", number * gap, timeout=True)
    assert not breaker.admits("a", (failures - 1) * gap + 1)


def test_failures_of_several_accounts_open_it_for_all() -> None:
    breaker = Breaker()
    failing(breaker, "a", "b", "c")
    assert breaker.admits("d", 3)
    failing(breaker, "d")
    assert not breaker.admits("e", 4)


def test_a_few_failing_accounts_among_many_open_it_for_nobody_else() -> None:
    breaker = Breaker()
    for account in range(20):
        breaker.succeeded(account, 0, 0)
    failing(breaker, *["a", "b", "c", "d"] * 3)
    assert breaker.admits(1, 12)
    assert not breaker.admits("a", 12)


def test_no_connection_is_nobodys_fault() -> None:
    breaker = Breaker()
    failing(breaker, *["a"] * breakers.LOST_CONNECTIONS, connected=False)
    assert not breaker.admits("b", 3)


@pytest.mark.parametrize(("pattern", "opens"), [("FS" * 10, True), ("FSS" * 10, False), ("FFS" * 3, True)])
def test_more_than_half_of_the_calls_open_it_though_some_succeed(pattern: str, opens: bool) -> None:
    breaker = Breaker()
    opened = False
    for now, outcome in enumerate(pattern):
        if outcome == "F":
            breaker.failed("a", now)
        else:
            breaker.succeeded("a", now, now)
        opened = opened or not breaker.admits("a", now + 0.1)
        if opened:
            break
    assert opened is opens


def test_after_its_rest_one_call_probes() -> None:
    breaker = Breaker()
    failing(breaker, "a", "b", "c", "d")
    later = 3 + REST_SECONDS
    assert breaker.admits("x", later)
    breaker.begin("x", later)
    assert not breaker.admits("y", later)
    breaker.succeeded("x", later, later + 1)
    assert breaker.admits("y", later + 1)


def failed_probe(breaker: Breaker, account: str, at: float, *, connected: bool = True) -> None:
    assert breaker.admits(account, at)
    breaker.begin(account, at)
    breaker.failed(account, at + 1, connected=connected)


@pytest.mark.parametrize(("probers", "connected"), [("xy", True), ("x", False)])
def test_failed_probes_of_two_accounts_or_no_connection_double_the_rest(probers: str, connected: bool) -> None:
    breaker = Breaker()
    failing(breaker, "a", "b", "c", "d")
    later = 3 + REST_SECONDS
    for account in probers:
        failed_probe(breaker, account, later, connected=connected)
    assert not breaker.admits("z", later + 1 + REST_SECONDS)
    assert breaker.admits("z", later + 1 + 2 * REST_SECONDS)


def test_one_account_cannot_hold_the_route_open_by_its_probes() -> None:
    breaker = Breaker()
    failing(breaker, "a", "b", "c", "d")
    now = 3 + REST_SECONDS
    for rest in (REST_SECONDS, 2 * REST_SECONDS, 4 * REST_SECONDS):
        failed_probe(breaker, "x", now)
        assert not breaker.admits("x", now + rest)
        assert breaker.admits("y", now + 1)
        now += 1 + rest
    breaker.begin("y", now)
    breaker.failed("x", now)  # of a call from before
    breaker.let_go("x")
    assert not breaker.admits("z", now)  # the probe of y is still under way
    breaker.succeeded("y", now, now + 1)
    assert breaker.admits("z", now + 1)


def test_a_probe_that_shows_nothing_or_is_lost_leaves_its_place() -> None:
    breaker = Breaker()
    failing(breaker, "a", "b", "c", "d")
    later = 3 + REST_SECONDS
    breaker.begin("x", later)
    breaker.let_go("x")
    assert breaker.admits("y", later)
    breaker.begin("y", later)
    assert not breaker.admits("z", later + 1)
    assert breaker.admits("z", later + 1 + breakers.PROBE_SECONDS)


def test_a_success_from_before_the_failures_closes_nothing() -> None:
    breaker = Breaker()
    failing(breaker, "a", "b", "c", "d", at=10)
    breaker.succeeded("x", 5, 14)
    assert not breaker.admits("x", 14)


def test_what_it_remembers_is_bounded_and_passes() -> None:
    breaker = Breaker()
    failing(breaker, *[str(number) for number in range(3 * MAX_ACCOUNTS)])
    assert len(breaker._records) == MAX_ACCOUNTS
    assert breaker._voters == MAX_ACCOUNTS
    breaker.succeeded("z", 10_000, 10_000)
    assert (len(breaker._records), breaker._voters) == (1, 0)
