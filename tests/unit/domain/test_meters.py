"""One vocabulary of meters: what is counted, priced, bounded and explained by it comes to the same credits."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from catalog.entries import CostedByTokens, PricedByTokens
from catalog.list_prices import KEYS
from domain import meters, pricing
from domain.books import usage_entry
from domain.holds import ClosedBy, Hold, HoldState
from domain.meters import BASE, MAX_PER_CALL, Meter, Tier, TokenPrices, per_thousand
from domain.operations import Settle
from domain.pricing import PARTS, TextTerms, Usage, UsageSource

PRICE = st.decimals(min_value=0, max_value=10**6, places=6)
COUNT = st.integers(min_value=0, max_value=10**6)
EVERY = st.fixed_dictionaries({meter.value: PRICE for meter in Meter})
SEARCHES = st.integers(min_value=0, max_value=MAX_PER_CALL[Meter.WEB_SEARCH])
FULL = TokenPrices(
    per_thousand(
        input=Decimal(300),
        output=Decimal(1500),
        cached_input=Decimal(30),
        cache_write=Decimal(375),
        cache_write_1h=Decimal(600),
        audio_input=Decimal(3200),
        audio_output=Decimal(6400),
        web_search=Decimal(1_000_000),
    )
)
FLEX = TokenPrices(per_thousand(input=Decimal(150), output=Decimal(750)))


def usage(whole: tuple[int, int], tier: str | None = None, **parts: Any) -> Usage:
    return replace(Usage(*whole, UsageSource.PROVIDER, service_tier=tier), **parts)


def test_every_meter_has_a_catalog_key_a_cost_a_list_price_and_a_count() -> None:
    assert {f"credits_per_1k_{meter}" for meter in Meter} <= set(PricedByTokens.model_fields)
    assert {f"cost_per_1k_{meter}" for meter in Meter} <= set(CostedByTokens.model_fields)
    assert set(KEYS) == set(Meter)
    assert {*PARTS, Meter.INPUT, Meter.OUTPUT} == set(Meter)
    assert all(hasattr(usage((0, 0)), name) for name in PARTS.values())


@given(EVERY, st.lists(COUNT, min_size=9, max_size=9), SEARCHES)
def test_the_cost_is_the_sum_over_all_meters_rounded_up_once(
    priced: dict[str, Decimal], counted: list[int], searches: int
) -> None:
    given_counts = dict(zip([meter for meter in Meter if meter not in MAX_PER_CALL], counted, strict=True))
    parts: dict[str, int] = {PARTS[meter]: count for meter, count in given_counts.items() if meter in PARTS}
    whole_in = sum(count for meter, count in given_counts.items() if meter in meters.INPUT_METERS)
    whole_out = sum(count for meter, count in given_counts.items() if meter in meters.OUTPUT_METERS)
    billed = usage((whole_in, whole_out), None, **parts, web_searches=searches)
    prices = TokenPrices(per_thousand(**priced))
    counts: dict[Meter, int] = given_counts | {Meter.WEB_SEARCH: searches, Meter.REQUEST: 1}
    assert pricing.counts(prices, billed) == {meter: count for meter, count in counts.items() if count}
    exact = sum((Fraction(priced[meter]) * count for meter, count in counts.items()), Fraction()) / 1000
    assert pricing.cost(prices, billed) == math.ceil(exact)
    assert Fraction(pricing.exact_cost(prices, billed)) == exact


@pytest.mark.parametrize(
    ("billed", "counts"),
    [
        (usage((10, 5)), {"input": 10, "output": 5}),
        (usage((0, 0)), {}),
        (
            usage((10, 5), cached_tokens=4, audio_input_tokens=3),
            {"input": 3, "cached_input": 4, "audio_input": 3, "output": 5},
        ),
        (
            usage((10, 5), cache_write_tokens=4, cache_write_1h_tokens=2),
            {"input": 4, "cache_write": 4, "cache_write_1h": 2, "output": 5},
        ),
        (usage((10, 5), reasoning_tokens=4), {"input": 10, "output": 5}),
        (usage((10, 5), image_input_tokens=7), {"input": 10, "output": 5}),  # no price of its own: its parent's
        (usage((10, 5), cached_tokens=8, audio_input_tokens=8), {"cached_input": 8, "audio_input": 2, "output": 5}),
        (usage((10, 5), audio_output_tokens=9), {"input": 10, "audio_output": 5}),
        (usage((10, 5), web_searches=99), {"input": 10, "output": 5, "web_search": 10}),
    ],
)
def test_counts_are_disjoint_and_never_more_than_their_whole(billed: Usage, counts: dict[str, int]) -> None:
    assert pricing.counts(FULL, billed) == counts


def test_a_fee_for_each_request_is_held_and_billed_once_whatever_is_asked_for() -> None:
    fee = TokenPrices(per_thousand(input=Decimal(100), output=Decimal(100), request=Decimal(500_000)))
    prices = fee.requested(None).limited_to(frozenset())
    assert pricing.counts(prices, usage((10, 5))) == {"input": 10, "output": 5, "request": 1}
    assert pricing.cost(prices, usage((0, 0))) == 500
    assert pricing.bound(TextTerms(prices, "v", 1000, 900, 100, 1000), 10**9).amount == 100 + 10 + 500
    assert pricing.counts(FULL, usage((10, 5))) == {"input": 10, "output": 5}


def test_what_has_no_price_is_counted_with_its_parent_or_not_at_all() -> None:
    plain = FULL.limited_to(frozenset())
    assert set(plain.rates) == set(BASE)
    everything = usage((10, 5), cache_write_1h_tokens=2, audio_input_tokens=3, audio_output_tokens=4, web_searches=2)
    assert pricing.counts(plain, everything) == {"input": 8, "cache_write": 2, "output": 5}


@given(
    EVERY,
    EVERY,
    st.lists(COUNT, min_size=3, max_size=3),
    st.lists(COUNT, min_size=2, max_size=2),
    st.sampled_from([None, "default", "flex", "priority"]),
)
def test_a_hold_covers_whatever_is_reported_within_its_bounds(
    first: dict[str, Decimal], other: dict[str, Decimal], given_in: list[int], given_out: list[int], tier: str | None
) -> None:
    rates, others = per_thousand(**first), per_thousand(**other)
    alternative = TokenPrices(others, (Tier(10, rates),))
    prices = TokenPrices(rates, (Tier(1000, others),), {"default": alternative})
    billed = usage(
        (sum(given_in), sum(given_out)),
        tier,
        cached_tokens=given_in[0],
        audio_input_tokens=given_in[1],
        audio_output_tokens=given_out[0],
        web_searches=10**6,
    )
    assert pricing.cost(prices, billed) <= pricing.at_most(prices, sum(given_in), sum(given_out))


def test_a_bound_holds_for_the_searches_and_the_audio_that_a_call_can_use() -> None:
    def bound(*used: Meter) -> int:
        prices = FULL.limited_to(frozenset(used))
        return pricing.bound(TextTerms(prices, "v", 1000, 900, 100, 1000), 10**9).amount

    assert bound() == 375 + 150
    assert bound(Meter.WEB_SEARCH) == 375 + 150 + 10_000
    assert bound(Meter.AUDIO_INPUT) == 3200 + 150
    assert bound(Meter.AUDIO_OUTPUT) == 375 + 640
    assert bound(Meter.CACHE_WRITE_1H) == 600 + 150


@pytest.mark.parametrize(
    ("requested", "served", "credits"),
    [
        (None, None, 450),
        (None, "flex", 450),  # was not allowed
        ("flex", None, 225),
        ("flex", "flex", 225),
        ("flex", "default", 450),
        ("flex", "priority", 225),  # was not allowed: as requested
    ],
)
def test_a_call_is_billed_by_the_tier_that_served_it_if_it_may_have(
    requested: str | None, served: str | None, credits: int
) -> None:
    base = TokenPrices(per_thousand(input=Decimal(300), output=Decimal(1500)), service_tiers={"flex": FLEX})
    prices = base.requested(requested)
    assert pricing.cost(prices, usage((1000, 100), served)) == credits
    assert pricing.at_most(prices, 1000, 100) == 450


def test_a_tier_without_a_price_cannot_be_requested() -> None:
    with pytest.raises(KeyError):
        FULL.requested("priority")


def hold(prices: TokenPrices) -> Hold:
    return Hold(UUID(int=1), UUID(int=2), None, "chat", "m", HoldState.SETTLED, 500, prices=prices)


def entry(prices: TokenPrices, billed: Usage) -> dict[str, Any]:
    settle = Settle(UUID(int=1), UUID(int=2), billed, True, ClosedBy.CALL)
    written = usage_entry(hold(prices), billed, settle, datetime(2026, 1, 1, tzinfo=UTC))
    return {
        "columns": (written.input_tokens, written.cached_tokens, written.cache_write_tokens, written.output_tokens),
        "meters": written.meters,
        "service_tier": written.service_tier,
    }


def test_a_usage_row_has_its_counts_as_they_were_billed() -> None:
    plain = entry(FULL, usage((10, 5), cached_tokens=4))
    assert plain == {"columns": (10, 4, 0, 5), "meters": {}, "service_tier": None}
    searched = entry(FULL, usage((10, 5), cached_tokens=4, web_searches=1))
    assert searched["meters"] == {"input": 6, "cached_input": 4, "output": 5, "web_search": 1}
    folded = entry(FULL.limited_to(frozenset()), usage((10, 5), cache_write_1h_tokens=4, web_searches=1))
    assert folded == {"columns": (10, 0, 4, 5), "meters": {}, "service_tier": None}
    flex = TokenPrices(FULL.rates, service_tiers={"flex": FLEX}).requested("flex")
    assert entry(flex, usage((1, 1), "default"))["service_tier"] == "default"
    assert entry(flex, usage((1, 1), "flex"))["service_tier"] is None
    assert entry(flex, usage((1, 1), "x"))["service_tier"] is None


def test_what_the_release_before_froze_onto_a_hold_is_read() -> None:
    rates = {"input": 300_000_000, "output": 1_500_000_000, "cached_input": 30_000_000, "cache_write": 375_000_000}
    frozen = orjson.dumps({"rates": rates, "tiers": [{"above": 1000, "rates": rates}]})
    prices = TypeAdapter(TokenPrices).validate_json(frozen)
    assert prices == TokenPrices(FULL.limited_to(frozenset()).rates, (Tier(1000, rates),))
    assert pricing.cost(prices, usage((1000, 100), cached_tokens=100)) == 270 + 3 + 150


@given(EVERY, EVERY)
def test_frozen_prices_come_back_as_they_were_and_the_release_before_finds_its_own_in_them(
    first: dict[str, Decimal], other: dict[str, Decimal]
) -> None:
    rates = per_thousand(**first)
    prices = TokenPrices(rates, (Tier(7, rates),), {"default": TokenPrices(per_thousand(**other))})
    frozen = orjson.dumps(prices)
    assert TypeAdapter(TokenPrices).validate_json(frozen) == prices
    written = orjson.loads(frozen)
    for rates_ in (written["rates"], written["tiers"][0]["rates"]):
        assert {meter: rates_[meter] for meter in ("input", "output", "cached_input", "cache_write")} == {
            meter.value: rates[meter] for meter in BASE
        }
