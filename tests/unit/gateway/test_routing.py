"""Which attempt follows which, over a clock and chance of the test."""

import asyncio
import gc
import weakref
from datetime import timedelta

import pytest
from pydantic import SecretStr

from domain.catalog import Provider, Route
from domain.errors import (
    AdapterFault,
    GatewayError,
    RequestInvalid,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway import breakers, routing
from gateway.route_states import Failure
from gateway.routing import Attempt, Attempts, Router
from tests.support.doubles.chat_calls import route

ONE, TWO, THREE = route("one"), route("two"), route("three")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def router() -> tuple[Router, Clock]:
    clock = Clock()
    return Router(clock, lambda: 0.0), clock


def attempts_on(machine: Router, routes: list[Route], account: str | None = None) -> Attempts:
    return machine.attempts(routes, lambda _route, _error: False, account)


def keyed(name: str, keys: int) -> Route:
    more = tuple(SecretStr(f"k{number}") for number in range(1, keys))
    provider = Provider(name=name, kind="openai", active=True, api_key=SecretStr("k0"), more_keys=more)
    return Route(provider=provider, model="m", capabilities=frozenset())


def of_status(error: UpstreamError, status: int) -> UpstreamError:
    error.status = status
    return error


def places(attempt: Attempt | None) -> str | None:
    return None if attempt is None else attempt.route.provider.name


BUSY = of_status(UpstreamBusy(retry_after=timedelta(seconds=30)), 429)
SOON = of_status(UpstreamBusy(retry_after=timedelta(seconds=2)), 429)
BROKEN = of_status(UpstreamError(), 500)
EMPTY = of_status(UpstreamError(), 503)
GARBAGE = of_status(UpstreamError(), 200)


@pytest.mark.parametrize(
    ("error", "alone", "paused"),
    [
        (UpstreamError(), "one", 0.3),
        (BROKEN, "one", 0.3),
        (EMPTY, "one", 0.3),
        (of_status(UpstreamError(retry_after=timedelta(seconds=1)), 503), "one", 1.0),
        (of_status(UpstreamError(), 408), "one", 0.3),
        (of_status(UpstreamError(), 409), "one", 0.3),
        (SOON, "one", 2.0),
        (BUSY, None, None),
        (UpstreamTimeout(), None, None),
        (GARBAGE, None, None),
        (AdapterFault(), None, None),
        (UpstreamBusy(), None, None),
        (of_status(UpstreamError(), 401), None, None),
    ],
)
def test_a_failure_before_the_first_output(error: UpstreamError, alone: str | None, paused: float | None) -> None:
    machine, _ = router()
    attempts = attempts_on(machine, [ONE, TWO])
    assert places(attempts.next()) == "one"
    assert attempts.after(error) == Attempt(TWO)
    single = attempts_on(machine, [THREE])
    single.next()
    again = single.after(error)
    assert places(again) == (alone and "three")
    assert (again and again.pause) == paused
    if again is not None:
        assert single.after(error) is None  # once


@pytest.mark.parametrize("error", [UpstreamRefused(), RequestInvalid("no", param="x"), GatewayError()])
def test_a_request_that_is_refused_is_not_sent_again(error: GatewayError) -> None:
    machine, _ = router()
    attempts = attempts_on(machine, [ONE, TWO])
    attempts.next()
    assert attempts.after(error) is None
    assert machine.states.of(ONE).errors == {Failure.REFUSED: 1}


def test_after_output_there_is_no_attempt_and_the_failure_counts() -> None:
    machine, _ = router()
    attempts = attempts_on(machine, [ONE, TWO])
    attempts.next()
    attempts.output_began()
    assert attempts.after(GARBAGE, produced=True) is None
    assert machine.states.of(ONE).errors == {Failure.INVALID: 1}


def test_when_all_routes_failed_the_first_of_them_is_tried_once_more() -> None:
    machine, _ = router()
    attempts = attempts_on(machine, [ONE, TWO])
    assert [places(attempts.next()), *[places(attempts.after(BROKEN)) for _ in range(3)]] == ["one", "two", "one", None]


def test_no_attempt_begins_after_the_deadline() -> None:
    machine, clock = router()
    attempts = attempts_on(machine, [ONE, TWO, THREE])
    attempts.next()
    clock.now += 60
    assert places(attempts.after(UpstreamTimeout())) == "two"
    clock.now += 60
    assert attempts.after(UpstreamTimeout()) is None


def opened(machine: Router, *routes: Route, account: str = "a") -> None:
    for one in routes:
        for _ in range(3):
            machine.states.of(one).breaker.failed(account, machine.clock())


def test_an_open_breaker_is_skipped_and_if_all_are_open_the_least_bad_is_tried() -> None:
    machine, clock = router()
    opened(machine, ONE)
    assert places(attempts_on(machine, [ONE, TWO], "a").next()) == "two"
    assert places(attempts_on(machine, [ONE, TWO], "b").next()) == "one"
    clock.now += 1
    opened(machine, TWO)
    assert places(attempts_on(machine, [TWO, ONE], "a").next()) == "one"


def test_an_open_route_is_no_fallback_when_something_was_tried() -> None:
    machine, _ = router()
    opened(machine, TWO)
    attempts = attempts_on(machine, [ONE, TWO], "a")
    attempts.next()
    assert places(attempts.after(BROKEN)) == "one"


def forbidden(*, blames_key: bool) -> UpstreamError:
    error = of_status(UpstreamError(), 403)
    error.blames_key = blames_key
    return error


@pytest.mark.parametrize(
    ("error", "rest"),
    [
        (of_status(UpstreamError(), 401), 600),
        (of_status(UpstreamError(), 402), 600),
        (of_status(UpstreamError(), 429), 600),
        (forbidden(blames_key=True), 60),
    ],
)
def test_a_key_that_is_not_accepted_rests_for_all_models_and_the_next_one_answers(
    error: UpstreamError, rest: float
) -> None:
    machine, clock = router()
    two_keys = keyed("two-keys", 2)
    attempts = attempts_on(machine, [two_keys])
    assert attempts.next() == Attempt(two_keys, 0)
    assert attempts.after(error) == Attempt(two_keys, 1)
    attempts.succeeded(5)
    other_model = two_keys.model_copy(update={"model": "other"})
    for _ in range(3):
        assert attempts_on(machine, [other_model]).next() == Attempt(other_model, 1)
    clock.now += rest + 1
    assert attempts_on(machine, [two_keys]).next() == Attempt(two_keys, 0)
    assert machine.states.of(two_keys).breaker.admits(None, clock.now)


def key_of(machine: Router, account: str) -> int:
    attempt = attempts_on(machine, [keyed("two-keys", 2)], account).next()
    assert attempt is not None
    return attempt.key


@pytest.mark.parametrize(
    ("error", "own", "others"),
    [
        (of_status(UpstreamError(), 401), True, True),
        (of_status(UpstreamError(), 402), True, False),
        (of_status(UpstreamError(), 429), True, False),
        (BUSY, True, False),
        (forbidden(blames_key=True), True, False),
        (forbidden(blames_key=False), False, False),
    ],
)
def test_a_key_rests_for_others_when_two_accounts_have_seen_why(error: UpstreamError, own: bool, others: bool) -> None:
    machine, _ = router()
    two_keys = keyed("two-keys", 2)

    def fails(account: str) -> None:
        attempts = attempts_on(machine, [two_keys], account)
        while (attempt := attempts.next()) is None or attempt.key:
            attempts = attempts_on(machine, [two_keys], account)
        attempts.after(error)

    def rests(account: str) -> bool:
        return 0 not in {key_of(machine, account) for _ in range(2)}

    fails("a")
    assert (rests("a"), rests("b")) == (own, others)
    if not others:
        fails("b")
        assert rests("c") is own


def test_a_403_that_does_not_blame_the_key_counts_for_its_account() -> None:
    machine, clock = router()
    for _ in range(3):
        attempts = attempts_on(machine, [ONE, TWO], "a")
        attempts.next()
        assert places(attempts.after(forbidden(blames_key=False))) == "two"
        attempts.succeeded(1)
    assert [machine.states.admits(ONE, who, clock.now) for who in ("a", "b")] == [False, True]
    assert machine.states.of(ONE).errors == {Failure.FORBIDDEN: 3}


def test_a_limited_key_rests_as_long_as_the_provider_says() -> None:
    machine, clock = router()
    keys = keyed("keys", 3)
    attempts = attempts_on(machine, [keys])
    assert [attempts.next(), attempts.after(BUSY), attempts.after(BUSY), attempts.after(BUSY)] == [
        *[Attempt(keys, number) for number in range(3)],
        None,
    ]
    assert places(attempts_on(machine, [keys, TWO]).next()) == "two"
    clock.now += 31
    assert places(attempts_on(machine, [keys, TWO]).next()) == "keys"


def test_keys_take_turns() -> None:
    machine, _ = router()
    keys = keyed("keys", 3)
    numbers = []
    for _ in range(6):
        attempts = attempts_on(machine, [keys])
        attempt = attempts.next()
        assert attempt is not None
        numbers.append(attempt.key)
        attempts.succeeded(1)
    assert numbers == [0, 1, 2, 0, 1, 2]


def measured(machine: Router, clock: Clock, first: float, rest: float, tokens: int) -> None:
    attempts = attempts_on(machine, [ONE])
    attempts.next()
    clock.now += first
    attempts.output_began()
    clock.now += rest
    attempts.succeeded(tokens)


def test_what_an_answer_shows_of_its_route() -> None:
    machine, clock = router()
    measured(machine, clock, 0.5, 2.0, 100)
    state = machine.states.of(ONE)
    assert (state.first_output, state.duration, state.speed) == (0.5, 2.5, 50.0)
    measured(machine, clock, 1.5, 1.0, 100)
    assert state.first_output == pytest.approx(0.7)
    assert state.speed == pytest.approx(60.0)
    assert (state.requests, state.output_tokens) == (2, 200)


@pytest.mark.parametrize(("waited", "counts"), [(5, 0), (routing.SLOW_SECONDS + 1, 1)])
def test_a_client_that_leaves_a_silent_route_counts_if_it_has_waited(waited: float, counts: int) -> None:
    machine, clock = router()
    attempts = attempts_on(machine, [ONE])
    attempts.next()
    clock.now += waited
    attempts.abandoned()
    assert machine.states.of(ONE).errors[Failure.TIMEOUT] == counts


def test_a_call_without_a_route_has_no_attempt() -> None:
    attempts: Attempts = attempts_on(router()[0], [])
    assert attempts.next() is None
    assert attempts.after(UpstreamError()) is None


@pytest.mark.parametrize("unreached", [False, True])
def test_a_request_on_which_a_provider_hangs_up_closes_the_route_for_its_account_alone(unreached: bool) -> None:
    machine, clock = router()
    for _ in range(breakers.LOST_CONNECTIONS):
        attempts, error = attempts_on(machine, [ONE], "a"), UpstreamError()
        error.unreached = unreached
        attempts.next()
        attempts.after(error)
    assert [machine.states.admits(ONE, who, clock.now) for who in ("a", "b")] == [False, not unreached]


async def test_no_attempt_begins_when_nobody_waits() -> None:
    machine, _ = router()
    attempts = attempts_on(machine, [ONE, TWO])
    attempts.next()
    attempts.no_more()
    assert attempts.after(BROKEN) is None


async def test_who_leaves_in_a_pause_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "MAX_PAUSE_SECONDS", 600.0)
    machine, _ = router()
    attempts, begun = attempts_on(machine, [ONE]), list[Attempt]()

    async def ask(attempt: Attempt) -> str:
        begun.append(attempt)
        raise of_status(UpstreamBusy(retry_after=timedelta(seconds=600)), 429)

    answering = asyncio.create_task(routing.first_answer(attempts, routing.RouteFaults(), ask))
    await asyncio.sleep(0)
    attempts.no_more()
    with pytest.raises(UpstreamBusy):
        await asyncio.wait_for(answering, 30)
    assert len(begun) == 1


def test_what_is_left_out_counts_as_an_attempt_and_takes_none_of_other_routes() -> None:
    """A provider that names another field each time is not asked for ever."""
    machine, _ = router()
    names = (frozenset({str(number)}) for number in range(100))
    attempts = machine.attempts([ONE, TWO], lambda _route, _error: True)
    begun = [places(attempts.next())]
    error = of_status(UpstreamRefused(), 400)
    for name in names:
        error = of_status(UpstreamRefused(), 400)
        error.unsupported = name
        if (attempt := attempts.after(error)) is None:
            break
        begun.append(places(attempt))
    assert begun == ["one"] * routing.MAX_ATTEMPTS
    attempts = machine.attempts([ONE, TWO], lambda _route, _error: True)
    attempts.next()
    attempts.after(error)
    assert places(attempts.after(BROKEN)) == "two"


def test_keys_and_routes_together_are_no_more_than_the_most_attempts() -> None:
    machine, _ = router()
    routes = [keyed(f"p{number}", 2) for number in range(routing.MAX_ATTEMPTS)]
    attempts, count = attempts_on(machine, routes), 1
    attempts.next()
    while attempts.after(of_status(UpstreamError(), 401)) is not None:
        count += 1
    assert count == routing.MAX_ATTEMPTS


class Body:
    """Large, as that of a request is."""


def failure_that_has(body: weakref.WeakSet[Body]) -> UpstreamError:
    try:
        mine = Body()
        body.add(mine)
        try:
            raise TimeoutError
        except TimeoutError:
            raise UpstreamTimeout from None
    except UpstreamTimeout as error:
        return error


def test_an_attempt_that_failed_leaves_nothing_in_memory() -> None:
    machine, _ = router()
    attempts, bodies = attempts_on(machine, [ONE, TWO]), weakref.WeakSet[Body]()
    attempts.next()
    assert attempts.after(failure_that_has(bodies)) is not None
    gc.collect()
    assert not bodies
