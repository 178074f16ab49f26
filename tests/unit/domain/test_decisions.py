"""The ledger's rules without a database: every sequence of operations keeps its invariants."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import (
    AccountSuspended,
    AmountTooLarge,
    BelowZero,
    CallerUnknown,
    GatewayError,
    HoldClosed,
    HoldVoided,
    InsufficientCredits,
    KeyReused,
    NotFound,
    ProRequired,
    RequestInvalid,
    ScopeMissing,
)
from domain.holds import HoldState
from domain.ledger import LedgerAccount, Secret, State
from domain.limits import Limits
from domain.meters import TokenPrices
from domain.money import MAX_AMOUNT
from domain.operations import Adjust, Extend, Grant, Operation, Refund, Renew, Reserve, Settle, Sweep
from domain.pricing import FlatTerms, TextTerms, Usage, UsageSource
from domain.results import Closed, Extended, Granted, Reserved
from tests.support.ledger.cases import ANN, BOB, BOUND, DIGEST, KEY, NOW, TERMS, reserve, run, settle, state, used, void


def test_a_call_is_held_then_charged_and_the_rest_comes_back() -> None:
    (held, charged), changes = run(state(), reserve(), settle())
    assert isinstance(held, Reserved)
    assert (held.amount, held.output_limit, held.available, held.held) == (BOUND, 100, 1000 - BOUND, BOUND)
    assert charged == Closed(HoldState.SETTLED, 10, 0, 990, 0)
    assert [entry.credits for entry in changes.usage] == [10]


@pytest.mark.parametrize(
    ("known", "operation", "error"),
    [
        (state(BOUND - 1), reserve(), InsufficientCredits),
        (state(), reserve(digest=b"nobody's"), CallerUnknown),
        (state(), reserve(digest=None), CallerUnknown),
        (state(), reserve(digest=None, account_id=UUID(int=77)), CallerUnknown),
        (state(), reserve(scope="media"), ScopeMissing),
        (state(), reserve(pro_only=True), ProRequired),
        (state(suspended=True), reserve(), AccountSuspended),
        (state(MAX_AMOUNT), reserve(terms=FlatTerms(MAX_AMOUNT + 1, "v")), AmountTooLarge),
    ],
)
def test_refusals_hold_nothing(known: State, operation: Reserve, error: type[GatewayError]) -> None:
    before = {id: (account.available, account.held, account.open_holds) for id, account in known.accounts.items()}
    (result,), changes = run(known, operation)
    assert type(result) is error
    assert not any((changes.placed, changes.changed, changes.transactions, changes.usage))
    assert {id: (row.available, row.held, row.open_holds) for id, row in known.accounts.items()} == before
    assert all(key.used.open_holds == key.used.day_credits == 0 for key in changes.keys.values())


def test_a_revoked_key_is_refused() -> None:
    known = state()
    known.keys[KEY].dead = True
    assert isinstance(run(known, reserve())[0][0], CallerUnknown)
    rotated = state()
    rotated.secrets[DIGEST] = Secret(KEY, dead=True)
    assert isinstance(run(rotated, reserve())[0][0], CallerUnknown)


def test_a_refusal_says_what_was_needed_and_what_there_is() -> None:
    result = run(state(BOUND), reserve(1), reserve(2))[0][1]
    assert isinstance(result, InsufficientCredits)
    assert (result.required, result.available, result.held) == (BOUND, 0, BOUND)


def test_asking_twice_changes_nothing() -> None:
    verdicts, changes = run(state(), reserve(), reserve(), settle(), settle(), void(), void())
    assert verdicts[0] == verdicts[1]
    assert [v.charged for v in verdicts[2:] if isinstance(v, Closed)] == [10, 10, 10, 10]
    assert [v.repeated for v in verdicts[2:] if isinstance(v, Closed)] == [False, True, True, True]
    assert len(changes.transactions) == 2


def test_an_id_that_met_another_request_is_refused() -> None:
    assert isinstance(run(state(), reserve(), reserve(model="other"))[0][1], KeyReused)
    assert isinstance(run(state(), reserve(), settle(), reserve())[0][2], HoldClosed)


def test_a_late_reserve_meets_the_tombstone_of_its_release() -> None:
    verdicts, changes = run(state(), void(), reserve())
    assert verdicts[0] == Closed(HoldState.VOID, 0, 0, 1000, 0)
    assert isinstance(verdicts[1], HoldVoided)
    assert not changes.transactions


def test_settling_what_was_released_is_refused() -> None:
    assert isinstance(run(state(), reserve(), void(), settle())[0][2], HoldVoided)


@pytest.mark.parametrize(
    "operation", [settle(5), Renew(UUID(int=5), 1), Sweep(UUID(int=5), ANN), Refund(UUID(int=5), ANN)]
)
def test_a_hold_that_never_was_cannot_be_ended(operation: Operation) -> None:
    assert isinstance(run(state(), operation)[0][0], NotFound)


def test_another_account_cannot_touch_a_hold() -> None:
    verdicts, _ = run(state(), reserve(), settle(account=BOB), void(account=BOB))
    assert isinstance(verdicts[1], NotFound)
    assert isinstance(verdicts[2], NotFound)


@pytest.mark.parametrize(
    ("balance", "usage", "minimum", "end"),
    [
        (1000, used(20, 100), True, (156, 0, 844)),  # all that the bound allows
        (1000, used(1000, 100), True, (450, 0, 550)),  # above the hold: taken from what is available
        (200, used(1000, 100), True, (200, 250, 0)),  # above the hold and the balance: the rest is written off
        (1000, used(1000, 100), False, (BOUND, 0, 1000 - BOUND)),  # broken off: never above the hold
        (1000, used(0, 0), False, (0, 0, 1000)),
        (1000, used(0, 0), True, (10, 0, 990)),  # zero is zero, and every successful call costs the minimum
    ],
)
def test_charges(balance: int, usage: Usage, minimum: bool, end: tuple[int, int, int]) -> None:
    charged, written_off, left = end
    (_, result), changes = run(state(balance), reserve(), settle(usage=usage, minimum=minimum))
    assert result == Closed(HoldState.SETTLED, charged, written_off, left, 0)
    revenue = sum(
        posting.amount for t in changes.transactions for posting in t.postings if posting.book is LedgerAccount.REVENUE
    )
    assert revenue == charged + written_off


@pytest.mark.parametrize("usage", [None, Usage(31, 20_000, UsageSource.PROVIDER, 0, 10)])
def test_a_flat_price_is_charged_as_held_whatever_was_counted(usage: Usage | None) -> None:
    operation = reserve(terms=FlatTerms(500, "v"), lease=None, scope="chat", kind="image")
    verdicts, changes = run(state(), operation, Settle(UUID(int=100), ANN, usage))
    assert verdicts[1] == Closed(HoldState.SETTLED, 500, 0, 500, 0)
    [entry] = changes.usage
    assert (entry.source, entry.input_tokens, entry.output_tokens, entry.meters) == (UsageSource.FLAT, 0, 0, {})


def test_the_sweeper_ends_what_has_expired_and_nothing_else() -> None:
    known = state()
    verdicts, _ = run(known, reserve(1), reserve(2), reserve(3, lease=None), Renew(UUID(int=1), 40))
    assert not any(isinstance(v, GatewayError) for v in verdicts)
    assert isinstance(run(known, Sweep(UUID(int=1), ANN))[0][0], HoldClosed)
    known.now = NOW + timedelta(seconds=31)
    verdicts, changes = run(known, *(Sweep(UUID(int=n), ANN) for n in (1, 2, 3)), Sweep(UUID(int=1), ANN))
    charged, released, job, again = verdicts
    assert isinstance(charged, Closed)
    assert (charged.state, charged.charged) == (HoldState.SETTLED, 65)  # 15 in, 40 relayed: 64.5
    assert isinstance(released, Closed)
    assert (released.state, released.charged) == (HoldState.VOID, 0)
    assert isinstance(job, HoldClosed)
    assert isinstance(again, Closed)
    assert again.repeated
    assert changes.usage[0].source is UsageSource.ESTIMATED


@pytest.mark.parametrize(("factor", "model", "charged"), [(10, None, 65), (0, "cheap", 0)])
def test_the_sweeper_charges_for_the_cheapest_model_that_may_have_answered(
    factor: int, model: str | None, charged: int
) -> None:
    other = TokenPrices({name: rate * factor for name, rate in TERMS.prices.rates.items()})
    prices = TokenPrices(TERMS.prices.rates, service_tiers={"model:cheap": other})
    known = state(10_000)
    run(known, reserve(terms=replace(TERMS, prices=prices)), Renew(UUID(int=100), 40))
    known.now = NOW + timedelta(seconds=31)
    [closed], changes = run(known, Sweep(UUID(int=100), ANN))
    assert isinstance(closed, Closed)
    assert closed.charged == charged
    [entry] = changes.usage
    assert (entry.model, entry.service_tier) == (model or "m", model and f"model:{model}")


def test_a_call_whose_hold_was_swept_learns_so_and_is_not_charged_twice() -> None:
    known = state()
    run(known, reserve())
    known.now = NOW + timedelta(seconds=31)
    verdicts, _ = run(known, Sweep(UUID(int=100), ANN), Renew(UUID(int=100), 5), settle())
    assert isinstance(verdicts[1], HoldClosed)
    assert isinstance(verdicts[2], HoldVoided)


def test_relayed_output_never_goes_back() -> None:
    known = state()
    run(known, reserve(), Renew(UUID(int=100), 7), Renew(UUID(int=100), 3))
    assert known.holds[UUID(int=100)].relayed_output == 7


def test_a_refund_undoes_a_charge_once_and_stays_visible() -> None:
    verdicts, changes = run(
        state(200), reserve(), settle(usage=used(1000, 100)), Refund(UUID(int=100), ANN), Refund(UUID(int=100), ANN)
    )
    assert isinstance(verdicts[2], Closed)
    assert verdicts[2].available == 200
    assert isinstance(verdicts[3], Closed)
    assert verdicts[3].repeated
    assert verdicts[3].available == 200
    assert [t.kind for t in changes.transactions] == ["hold", "charge", "refund"]


def test_refunding_what_is_still_open_releases_it() -> None:
    result = run(state(), reserve(), Refund(UUID(int=100), ANN))[0][1]
    assert result == Closed(HoldState.VOID, 0, 0, 1000, 0)


def test_a_grant_is_given_once_per_reference() -> None:
    verdicts, changes = run(state(), Grant(ANN, 5, "r"), Grant(ANN, 5, "r"), Grant(ANN, 6, "r"), Grant(BOB, 5, "r"))
    assert verdicts[:2] == [Granted(1005, repeated=False), Granted(1005, repeated=True)]
    assert isinstance(verdicts[2], KeyReused)
    assert isinstance(verdicts[3], KeyReused)
    assert len(changes.transactions) == 1


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT, 2**80])
def test_absurd_grants_are_refused(amount: int) -> None:
    assert isinstance(run(state(), Grant(ANN, amount, "r"))[0][0], AmountTooLarge)


def adjust(amount: int, ref: str = "r") -> Adjust:
    return Adjust(ANN, amount, ref, "a correction")


def test_an_adjustment_adds_or_takes_once_per_reference() -> None:
    operations = [adjust(-400), adjust(-400), adjust(25, "s"), adjust(-399)]
    (took, again, added, other), changes = run(state(), *operations)
    assert (took, again) == (Granted(600, repeated=False), Granted(600, repeated=True))
    assert added == Granted(625, repeated=False)
    assert isinstance(other, KeyReused)
    assert [(t.kind, t.note, t.postings[1].amount) for t in changes.transactions] == [
        ("adjust", "a correction", 400),
        ("adjust", "a correction", -25),
    ]


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (adjust(-1001), BelowZero),
        (adjust(MAX_AMOUNT), AmountTooLarge),
        (adjust(0), RequestInvalid),
        (Adjust(ANN, 5, "r", " "), RequestInvalid),
        (Adjust(UUID(int=77), 5, "r", "a correction"), NotFound),
    ],
)
def test_adjustments_that_are_refused(operation: Adjust, error: type[GatewayError]) -> None:
    (result,), changes = run(state(), operation)
    assert type(result) is error
    assert not changes


def test_what_is_held_cannot_be_adjusted_away() -> None:
    result = run(state(), reserve(), adjust(-(1000 - BOUND) - 1))[0][1]
    assert isinstance(result, BelowZero)


def test_a_refunds_reason_is_kept() -> None:
    _, changes = run(state(), reserve(), settle(), Refund(UUID(int=100), ANN, note="It was our fault."))
    assert [t.note for t in changes.transactions] == [None, None, "It was our fault."]


def test_a_call_that_may_cost_more_than_its_caller_allows_is_refused() -> None:
    (result, held), _ = run(state(), reserve(1, max_credits=BOUND - 1), reserve(2, max_credits=BOUND))
    assert isinstance(result, InsufficientCredits)
    assert (result.required, result.available, result.limit_source) == (BOUND, BOUND - 1, "max_credits")
    assert isinstance(held, Reserved)


def test_a_callers_bound_stands_even_when_the_call_costs_more() -> None:
    operations: list[Operation] = [reserve(max_credits=BOUND + 20), settle(usage=used(1000, 100))]
    (_, result), _ = run(state(), *operations)
    assert result == Closed(HoldState.SETTLED, BOUND + 20, 450 - BOUND - 20, 1000 - BOUND - 20, 0)


def test_a_hold_grows_up_to_its_callers_bound() -> None:
    more = Extend(UUID(int=100), ANN, 200)  # 150 credits
    (_, grown, refused), _ = run(state(), reserve(max_credits=BOUND + 150), more, Extend(UUID(int=100), ANN, 300))
    assert isinstance(grown, Extended)
    assert grown.amount == BOUND + 150
    assert isinstance(refused, InsufficientCredits)
    assert refused.limit_source == "max_credits"


def test_a_hold_grows_up_to_its_keys_budget() -> None:
    known = state()
    known.keys[KEY].limits = Limits(credits_day=BOUND + 149)
    refused = run(known, reserve(), Extend(UUID(int=100), ANN, 200))[0][1]
    assert isinstance(refused, InsufficientCredits)
    assert (refused.required, refused.available, refused.limit_source) == (150, 149, "key_budget")


@pytest.mark.parametrize(("day", "helps"), [(BOUND + 1, True), (BOUND - 1, False)])
def test_a_spent_budget_says_when_it_begins_anew_if_that_would_help(day: int, helps: bool) -> None:
    known = state(10_000)
    known.keys[KEY].limits = Limits(credits_day=day)
    refused = run(known, reserve(1), reserve(2))[0][1]
    assert isinstance(refused, InsufficientCredits)
    assert (refused.resets_at is not None) == helps
    assert ("begins anew at" in refused.message) == helps


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "after another call"])
def test_a_hold_that_grows_past_midnight_stays_within_the_budget_of_its_own_day(others: int) -> None:
    known = state(10_000)
    known.keys[KEY].limits = Limits(credits_day=BOUND + 200)
    run(known, reserve())
    known.now += timedelta(days=1)
    run(known, *[reserve(200 + n) for n in range(others)])
    verdicts, _ = run(known, *[Extend(UUID(int=100), ANN, more) for more in (200, 300, 400)])
    assert known.holds[UUID(int=100)].amount <= BOUND + 200
    assert isinstance(verdicts[-1], InsufficientCredits)
    assert verdicts[-1].limit_source == "key_budget"


NUMBERS = st.integers(min_value=1, max_value=6)
TOKENS = st.integers(min_value=0, max_value=3000)
OPERATIONS = st.one_of(
    st.builds(
        lambda n, limit, most: reserve(n, terms=TextTerms(TERMS.prices, "v", 20, 15, limit, 4096), max_credits=most),
        NUMBERS,
        TOKENS,
        st.none() | st.integers(min_value=1, max_value=3000),
    ),
    st.builds(lambda n, more: Extend(UUID(int=n), ANN, more), NUMBERS, TOKENS),
    st.builds(
        lambda a, r: adjust(a, f"adjust {r}"), st.integers(min_value=-500, max_value=500), st.sampled_from("xyz")
    ),
    st.builds(lambda n, i, o, m: settle(n, used(i, o), minimum=m), NUMBERS, TOKENS, TOKENS, st.booleans()),
    st.builds(void, NUMBERS),
    st.builds(lambda n, o: Renew(UUID(int=n), o), NUMBERS, TOKENS),
    st.builds(lambda n: Sweep(UUID(int=n), ANN), NUMBERS),
    st.builds(lambda n: Refund(UUID(int=n), ANN), NUMBERS),
    st.builds(lambda a, r: Grant(ANN, a, r), st.integers(min_value=-5, max_value=500), st.sampled_from("xyz")),
)


@settings(max_examples=300)
@given(st.integers(min_value=0, max_value=3000), st.lists(st.lists(OPERATIONS, max_size=8), max_size=6))
def test_no_sequence_of_batches_breaks_the_books(balance: int, batches: list[list[Operation]]) -> None:
    known = state(balance)
    booked = {LedgerAccount.AVAILABLE: balance, LedgerAccount.HELD: 0}
    for batch in batches:
        known.now += timedelta(seconds=12)
        _, changes = run(known, *batch)
        for transaction in changes.transactions:
            for posting in transaction.postings:
                booked[posting.book] = booked.get(posting.book, 0) + posting.amount
    account = known.accounts[ANN]
    assert (account.available, account.held) == (booked[LedgerAccount.AVAILABLE], booked[LedgerAccount.HELD])
    assert sum(booked.values()) == balance
    for hold in known.holds.values():
        assert hold.charged + hold.written_off >= hold.refunded
        assert hold.max_credits is None or max(hold.amount, hold.charged) <= hold.max_credits
