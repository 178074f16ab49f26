"""Prices are exact, and a catalog finds what is active."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from domain.catalog import (
    Catalog,
    ExchangeRate,
    Modality,
    Model,
    Prices,
    Provider,
    Route,
)
from domain.errors import ModelNotFound
from domain.media_prices import Unit, Variant
from domain.meters import Meter, Rates, Tier, TokenPrices, per_thousand
from domain.money import MICRO, micros


def rates(plain: str, output: str = "0") -> Rates:
    return per_thousand(input=Decimal(plain), output=Decimal(output))


def priced(plain: str, output: str = "0", *tiers: Tier) -> Prices:
    return Prices(tokens=TokenPrices(rates(plain, output), tiers))


def model(model_id: str, *routes: Route, prices: Prices | None = None) -> Model:
    return Model(
        id=model_id,
        name=model_id,
        description="",
        modality=Modality.TEXT,
        input_modalities=(),
        context_window=1000,
        max_output_tokens=100,
        prices=prices or priced("1", "2"),
        tags=(),
        pro_only=False,
        supported_parameters=None,
        routes=routes,
    )


ROUTE = Route(
    provider=Provider(name="demo", kind="demo", active=True),
    model="chat",
    weight=1,
    capabilities=frozenset(),
)


@pytest.mark.parametrize(
    ("usd", "rate", "markup", "credits"),
    [
        ("3", "100000", "1", "300000"),
        ("0.003", "100000", "1", "300"),
        ("0.000000075", "100000", "1", "0.0075"),
        ("0.0000000000001", "100000", "1", "0.000001"),  # up, never to nothing
        ("0.00000000012", "100000", "1.1", "0.000014"),
        ("0", "100000", "7", "0"),
        ("0.15", "100000", "1.005", "15075"),
        ("1", "3", "0.333333333333", "1"),
    ],
)
def test_list_prices_become_credits_rounded_up_to_six_places(usd: str, rate: str, markup: str, credits: str) -> None:
    exchange = ExchangeRate(credits_per_usd=Decimal(rate), markup=Decimal(markup))
    assert exchange.credits(Decimal(usd)) == Decimal(credits)


@given(
    usd=st.decimals(min_value=0, max_value=10_000, places=9),
    rate=st.decimals(min_value="0.000001", max_value=1_000_000_000, places=6),
    markup=st.decimals(min_value="0.000001", max_value=1_000, places=12),
)
def test_the_exchange_is_exact(usd: Decimal, rate: Decimal, markup: Decimal) -> None:
    exact = Fraction(usd) * Fraction(rate) * Fraction(markup)
    credits = ExchangeRate(credits_per_usd=rate, markup=markup).credits(usd)
    assert Fraction(credits) == Fraction(math.ceil(exact * 10**6), 10**6)


@given(usd=st.decimals(min_value=0, max_value=1_000, places=9))
def test_every_list_price_is_whole_millionths_of_a_credit(usd: Decimal) -> None:
    assert micros(ExchangeRate().credits(usd)) == math.ceil(Fraction(usd) * 100_000 * 10**6)


@pytest.mark.parametrize(
    ("input_tokens", "input_rate"), [(0, "1"), (200, "1"), (201, "2"), (500, "2"), (501, "4"), (10_000, "4")]
)
def test_the_highest_tier_that_was_passed_prices_the_whole_call(input_tokens: int, input_rate: str) -> None:
    prices = TokenPrices(rates("1"), (Tier(200, rates("2")), Tier(500, rates("4"))))
    assert prices.rates_at(input_tokens)[Meter.INPUT] == Decimal(input_rate) * MICRO
    shuffled = TokenPrices(prices.rates, prices.tiers[::-1])
    assert shuffled.rates_at(input_tokens) == prices.rates_at(input_tokens)


def test_media_prices_are_per_unit_and_variant() -> None:
    large = Variant({"size": "1920x1080"}, Decimal(250))
    prices = Prices(unit=Unit.SECOND, per_unit=Decimal(100), variants=(large,))
    sizes: tuple[dict[str, str], ...] = ({}, {"size": "640x480"}, {"size": "1920x1080"})
    assert [prices.per_unit_of(parameters) for parameters in sizes] == [100, 100, 250]
    assert prices.version == "4440660c3bb7"  # receipts of earlier releases name it


def test_prices_of_one_kind_are_not_those_of_the_other() -> None:
    assert Prices(unit=Unit.CALL, per_unit=Decimal(1)).tokens is None
    assert priced("1").per_unit_of({}) is None


def test_a_version_names_prices_and_not_how_they_are_written() -> None:
    written = [priced(price, "2") for price in ("300", "300.000", "3E+2")]
    assert len({prices.version for prices in written}) == 1
    assert priced("300.000001", "2").version != written[0].version
    assert written[0].version == "5475d9a02f9d"  # receipts of earlier releases name it


def test_any_change_of_price_changes_the_version() -> None:
    base = priced("1", "2")
    others = [
        priced("2", "1"),
        priced("1", "2", Tier(9, rates("1", "2"))),
        priced("1", "2", Tier(8, rates("1", "2"))),
        Prices(tokens=TokenPrices(rates("1", "2"), service_tiers={"flex": TokenPrices(rates("1", "1"))})),
        Prices(tokens=TokenPrices({**rates("1", "2"), Meter.WEB_SEARCH: 1})),
        Prices(unit=Unit.CALL, per_unit=Decimal(1)),
        Prices(unit=Unit.IMAGE, per_unit=Decimal(1)),
        Prices(unit=Unit.IMAGE, per_unit=Decimal(1), per_input_image=Decimal(1)),
        Prices(unit=Unit.IMAGE, per_unit=Decimal(1), variants=(Variant({"size": "1x1"}, Decimal(2)),)),
        Prices(unit=Unit.IMAGE, per_unit=Decimal(1), variants=(Variant({"quality": "1x1"}, Decimal(2)),)),
        Prices(unit=Unit.IMAGE, variants=(Variant({"quality": "1x1"}, Decimal(2)),)),
    ]
    assert len({prices.version for prices in (base, *others)}) == 1 + len(others)


def test_only_active_models_are_found() -> None:
    catalog = Catalog(
        exchange=ExchangeRate(),
        providers={},
        models={"b": model("b", ROUTE), "idle": model("idle"), "a": model("a", ROUTE)},
    )
    assert [entry.id for entry in catalog.active_models()] == ["b", "a"]
    assert catalog.find("a").id == "a"
    for missing in ("idle", "nothing", ""):
        with pytest.raises(ModelNotFound):
            catalog.find(missing)


def test_nothing_of_a_catalog_can_be_changed_or_shows_a_key() -> None:
    provider = Provider(
        name="p",
        kind="openai",
        active=True,
        api_key=SecretStr("sk-secret"),
        headers={"X-Key": SecretStr("sk-secret")},
    )
    with pytest.raises(ValidationError):
        provider.active = False  # type: ignore[misc]
    assert "sk-secret" not in repr(provider) + str(provider.model_dump()) + provider.model_dump_json()
