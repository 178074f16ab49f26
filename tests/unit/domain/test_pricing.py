import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import pricing
from domain.meters import Tier, TokenPrices, per_thousand
from domain.money import micros, plain, round_up
from domain.pricing import FlatTerms, Share, TextTerms, Usage, UsageSource

PRICE = st.decimals(min_value=0, max_value=10**9, places=6)
TOKENS = st.integers(min_value=0, max_value=pricing.MAX_TOKENS)


def prices(
    per_in: Decimal, per_out: Decimal, cached: Decimal | None = None, write: Decimal | None = None
) -> TokenPrices:
    cached, write = per_in if cached is None else cached, per_in if write is None else write
    return TokenPrices(per_thousand(input=per_in, output=per_out, cached_input=cached, cache_write=write))


SONNET = prices(Decimal(300), Decimal(1500))
FREE = prices(Decimal(0), Decimal(0))
LONG = TokenPrices(SONNET.rates, (Tier(200_000, prices(Decimal(600), Decimal(2250)).rates),))


def usage(given_in: int, given_out: int) -> Usage:
    return Usage(given_in, given_out, UsageSource.PROVIDER)


@given(PRICE, PRICE, TOKENS, TOKENS)
def test_the_cost_is_the_exact_sum_rounded_up_once(
    per_in: Decimal, per_out: Decimal, tokens_in: int, tokens_out: int
) -> None:
    exact = (Fraction(per_in) * tokens_in + Fraction(per_out) * tokens_out) / 1000
    assert pricing.cost(prices(per_in, per_out), usage(tokens_in, tokens_out)) == math.ceil(exact)


@given(PRICE, PRICE, TOKENS, TOKENS, st.integers(min_value=0, max_value=1000))
def test_more_tokens_never_cost_less(
    per_in: Decimal, per_out: Decimal, tokens_in: int, tokens_out: int, more: int
) -> None:
    known = prices(per_in, per_out)
    cost = pricing.cost(known, usage(tokens_in, tokens_out))
    assert cost <= pricing.cost(known, usage(tokens_in + more, tokens_out))
    assert cost <= pricing.cost(known, usage(tokens_in, tokens_out + more))


@given(st.tuples(PRICE, PRICE, PRICE, PRICE), st.tuples(TOKENS, TOKENS, TOKENS), TOKENS)
def test_cached_input_and_cache_writes_have_prices_of_their_own(
    known: tuple[Decimal, Decimal, Decimal, Decimal], parts: tuple[int, int, int], out: int
) -> None:
    per_in, per_out, cached, write = known
    plain, hit, written = parts
    billed = Usage(sum(parts), out, UsageSource.PROVIDER, cached_tokens=hit, cache_write_tokens=written)
    sides = [(per_in, plain), (cached, hit), (write, written), (per_out, out)]
    exact = sum((Fraction(price) * count for price, count in sides), Fraction()) / 1000
    assert pricing.cost(prices(per_in, per_out, cached, write), billed) == math.ceil(exact)


@given(st.tuples(PRICE, PRICE, PRICE, PRICE), st.tuples(TOKENS, TOKENS, TOKENS), TOKENS)
def test_the_exact_cost_is_told_to_its_last_digit(
    known: tuple[Decimal, Decimal, Decimal, Decimal], parts: tuple[int, int, int], out: int
) -> None:
    per_in, per_out, cached, write = known
    billed = Usage(sum(parts), out, UsageSource.PROVIDER, cached_tokens=parts[1], cache_write_tokens=parts[2])
    sides = zip((per_in, cached, write, per_out), (*parts, out), strict=True)
    exact = sum((Fraction(price) * count for price, count in sides), Fraction()) / 1000
    text = pricing.exact_cost(prices(per_in, per_out, cached, write), billed)
    assert Fraction(text) == exact
    assert text == f"{Decimal(text):f}"


@pytest.mark.parametrize(
    ("scaled", "places", "text"),
    [(612_500, 3, "612.5"), (600_000, 3, "600"), (0, 9, "0"), (1, 9, "0.000000001"), (70, 0, "70"), (1000, 2, "10")],
)
def test_plain_decimals(scaled: int, places: int, text: str) -> None:
    assert plain(scaled, places) == text


@pytest.mark.parametrize(("tokens_in", "credits"), [(200_000, 60_002), (200_001, 120_003)])
def test_a_long_prompt_pays_its_tier_for_all_of_its_tokens(tokens_in: int, credits: int) -> None:
    assert pricing.cost(LONG, usage(tokens_in, 1)) == credits


def test_a_bound_covers_every_tier_that_the_input_can_reach() -> None:
    call = TextTerms(LONG, "v", input_bound=250_000, input_count=190_000, output_limit=100, model_limit=1000)
    assert pricing.bound(call, 10**9).amount == 150_225


@pytest.mark.parametrize(
    ("tokens_in", "tokens_out", "minimum", "credits"),
    [
        (15, 2, True, 10),  # 7.5 credits: the minimum
        (15, 2, False, 8),  # broken off: rounded up, no minimum
        (0, 0, True, 10),
        (0, 0, False, 0),
        (1000, 0, True, 300),
        (1000, 1000, True, 1800),
        (1001, 1, True, 302),  # 300.3 + 1.5
        (999, 1, False, 302),  # 299.7 + 1.5 = 301.2: one rounding, not two
    ],
)
def test_charges(tokens_in: int, tokens_out: int, minimum: bool, credits: int) -> None:
    assert pricing.charge(SONNET, usage(tokens_in, tokens_out), minimum=minimum) == credits


def terms(*, limit: int | None = None, choices: int = 1, known: TokenPrices = SONNET) -> TextTerms:
    return TextTerms(
        known, "v", input_bound=1000, input_count=900, output_limit=limit, model_limit=64_000, choices=choices
    )


@pytest.mark.parametrize(
    ("call", "available", "limit", "amount"),
    [
        (terms(limit=100), 10**9, 100, 300 + 150),
        (terms(limit=100, choices=3), 10**9, 100, 300 + 450),
        (terms(limit=64_000), 10, 64_000, 300 + 96_000),  # held in full, whatever there is
        (terms(), 10**9, 64_000, 300 + 96_000),  # the model's maximum
        (terms(), 10, 256, 300 + 384),  # the floor
        (terms(), 80_000, 6_466, 300 + 9_699),  # an eighth: 10,000 credits
        (terms(choices=2), 80_000, 3_233, 300 + 9_699),
        (FlatTerms(1_200_000, "v"), 10, None, 1_200_000),
    ],
)
def test_the_bound_of_a_call(call: TextTerms | FlatTerms, available: int, limit: int | None, amount: int) -> None:
    held = pricing.bound(call, available)
    assert (held.output_limit, held.amount) == (limit, amount)


@given(st.integers(min_value=0, max_value=10**9), st.integers(min_value=1, max_value=8))
def test_an_unbounded_call_takes_at_most_an_eighth_above_its_floor(available: int, choices: int) -> None:
    held = pricing.bound(terms(choices=choices), available)
    floor = pricing.bound(terms(limit=pricing.OUTPUT_FLOOR, choices=choices), available)
    assert held.amount <= max(floor.amount, available // 8 + 1)
    assert held.amount >= floor.amount


@pytest.mark.parametrize(
    ("call", "available", "most", "limit", "amount"),
    [
        (terms(), 10**9, 10_000, 6_466, 300 + 9_699),  # all of it, not an eighth
        (terms(), 8_000, 10_000, 466, 300 + 699),  # an eighth of the balance is less
        (terms(), 10**9, 500, 256, 300 + 384),  # the floor, above it: the ledger refuses
        (terms(limit=100), 10**9, 50, 100, 300 + 150),  # an explicit limit stays
        (FlatTerms(500, "v"), 10**9, 50, None, 500),
    ],
)
def test_a_callers_own_bound(
    call: TextTerms | FlatTerms, available: int, most: int, limit: int | None, amount: int
) -> None:
    held = pricing.bound(call, available, most)
    assert (held.output_limit, held.amount) == (limit, amount)


@given(
    st.integers(min_value=0, max_value=10**6),
    st.integers(min_value=1, max_value=4),
    st.tuples(PRICE, PRICE),
    st.tuples(PRICE, PRICE),
)
def test_an_unset_limit_fits_into_a_callers_own_bound_in_every_tier(
    most: int, choices: int, first: tuple[Decimal, Decimal], above: tuple[Decimal, Decimal]
) -> None:
    known = TokenPrices(prices(*first).rates, (Tier(500, prices(*above).rates),))
    call = terms(known=known, choices=choices)
    floor = pricing.bound(terms(known=known, choices=choices, limit=pricing.OUTPUT_FLOOR), 0).amount
    assert pricing.bound(call, 10**18, most).amount <= max(floor, most)


def test_free_prices_are_held_at_the_minimum() -> None:
    assert pricing.bound(terms(known=FREE), 10).amount == 10
    assert pricing.bound(terms(known=FREE), 10).output_limit == 64_000


@given(PRICE)
def test_micros_are_exact(price: Decimal) -> None:
    assert Fraction(micros(price), 10**6) == Fraction(price)


def test_more_than_six_places_are_no_price() -> None:
    with pytest.raises(ValueError, match="decimal places"):
        micros(Decimal("0.0000001"))


@given(st.integers(min_value=0, max_value=10**18), st.integers(min_value=1, max_value=10**12))
def test_rounding_is_up(numerator: int, denominator: int) -> None:
    assert round_up(numerator, denominator) == math.ceil(Fraction(numerator, denominator))


@given(st.integers(min_value=1, max_value=10**15), st.integers(1, 16), st.integers(1, 16))
def test_a_share_is_its_part_rounded_up(amount: int, made: int, ordered: int) -> None:
    part = Share(made, ordered).of(amount)
    assert part == min(amount, math.ceil(Fraction(amount * made, ordered)))
    assert 1 <= part <= amount
    assert Share(made + 1, ordered).of(amount) >= part
