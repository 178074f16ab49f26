"""What a media job costs: exact to the last digit, rounded up once, and the most specific price."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.media_parameters import default_schema
from domain import media_orders
from domain.catalog import InputModality, Modality, Model, Prices
from domain.errors import RequestInvalid
from domain.media import Kind, MediaRequest
from domain.media_orders import InputCounts
from domain.media_prices import Unit, Variant, matching, megapixels
from domain.money import MINIMUM_CHARGE

PRICE = st.decimals(0, 10**9, places=6)
SECONDS = st.floats(0.1, 60) | st.integers(1, 60)
QUALITIES = ("low", "high")
SIZES = ("64x64", "1024x1024", "1025x1024", "4096x4096")


def model(prices: Prices, modality: Modality = Modality.IMAGE) -> Model:
    return Model(
        id="m",
        name="m",
        description="",
        modality=modality,
        input_modalities=(InputModality.TEXT,),
        context_window=None,
        max_output_tokens=None,
        prices=prices,
        media=default_schema(modality),
        tags=(),
        pro_only=False,
        supported_parameters=None,
        routes=(),
    )


def request(prompt: str = "x", n: int = 1, **parameters: Any) -> MediaRequest:
    return MediaRequest(kind=Kind.IMAGE, model="m", prompt=prompt, parameters=parameters, n=n)


@given(
    unit=st.sampled_from(list(Unit)),
    base=PRICE,
    dear=PRICE,
    image=PRICE,
    quality=st.sampled_from(QUALITIES),
    size=st.sampled_from(SIZES),
    seconds=SECONDS,
    n=st.integers(1, 10),
    text=st.text(min_size=1, max_size=50),
    images=st.integers(0, 16),
)
def test_a_price_is_that_of_exact_fractions(  # one argument for each of what a price depends on
    unit: Unit, base: Decimal, dear: Decimal, image: Decimal, **of: Any
) -> None:
    prices = Prices(unit=unit, per_unit=base, variants=(Variant({"quality": "high"}, dear),), per_input_image=image)
    width, height = map(int, of["size"].split("x"))
    units = {
        Unit.CALL: Fraction(1),
        Unit.IMAGE: Fraction(1),
        Unit.SECOND: Fraction(str(of["seconds"])),
        Unit.CHARACTERS: Fraction(len(of["text"]), 1000),
        Unit.MEGAPIXEL: Fraction(math.ceil(Fraction(width * height, 1024 * 1024))),
    }
    each = Fraction(dear if of["quality"] == "high" else base) * units[unit] + Fraction(image) * of["images"]
    exact = each * of["n"]
    wish = request(of["text"], of["n"], quality=of["quality"], size=of["size"], seconds=of["seconds"])
    inputs = InputCounts(images=of["images"])
    assert media_orders.price(model(prices), wish, inputs).amount == max(MINIMUM_CHARGE, math.ceil(exact))
    assert media_orders.cost(prices, wish, inputs) == math.ceil(exact * 10**9)


@pytest.mark.parametrize(
    ("parameters", "price"),
    [
        ({"quality": "high", "size": "1024x1024"}, 4),
        ({"quality": "high", "size": "64x64"}, 2),
        ({"quality": "low", "size": "1024x1024"}, 3),
        ({"quality": "low"}, 1),
        ({}, 1),
        ({"sound": True}, 5),
        ({"sound": 1}, 1),
        ({"sound": False}, 1),
    ],
)
def test_the_variant_with_the_most_parameters_applies(parameters: dict[str, Any], price: int) -> None:
    variants = (
        Variant({"quality": "high"}, Decimal(2)),
        Variant({"size": "1024x1024"}, Decimal(3)),
        Variant({"quality": "high", "size": "1024x1024"}, Decimal(4)),
        Variant({"sound": True}, Decimal(5)),
    )
    assert Prices(unit=Unit.IMAGE, per_unit=Decimal(1), variants=variants).per_unit_of(parameters) == price
    assert len(matching(variants, parameters)) <= 1


def test_a_request_without_a_price_is_refused_and_costs_what_nobody_knows() -> None:
    by_quality = Prices(unit=Unit.IMAGE, variants=(Variant({"quality": "high"}, Decimal(2)),))
    by_second = Prices(unit=Unit.SECOND, per_unit=Decimal(100))
    by_megapixel = Prices(unit=Unit.MEGAPIXEL, per_unit=Decimal(100))
    for prices in (by_quality, by_second, by_megapixel):
        with pytest.raises(RequestInvalid):
            media_orders.price(model(prices), request(size="auto"))
        assert media_orders.cost(prices, request(size="auto")) is None
    assert media_orders.cost(None, request()) is None


def test_a_transcription_costs_what_its_audio_is_long() -> None:
    prices = Prices(unit=Unit.SECOND, per_unit=Decimal("7.5"))
    wish = MediaRequest(kind=Kind.TRANSCRIPTION, model="m", prompt="")
    spoken = InputCounts(seconds=Decimal("61.5"))
    assert media_orders.price(model(prices, Modality.TRANSCRIPTION), wish, spoken).amount == 462


@pytest.mark.parametrize(
    ("size", "count"), [((16, 16), 1), ((1024, 1024), 1), ((1025, 1024), 2), ((2048, 2048), 4), ((4096, 4096), 16)]
)
def test_megapixels_are_rounded_up_for_each_image(size: tuple[int, int], count: int) -> None:
    assert megapixels(size) == count


def test_a_model_says_what_its_price_depends_on() -> None:
    assert model(Prices(unit=Unit.MEGAPIXEL, per_unit=Decimal(1))).priced_by == {"n", "size"}
    assert model(Prices(unit=Unit.SECOND, per_unit=Decimal(1)), Modality.VIDEO).priced_by == {"seconds"}
    assert model(Prices(unit=Unit.CHARACTERS, per_unit=Decimal(1)), Modality.SPEECH).priced_by == {"input"}
    by_voice = Prices(unit=Unit.CALL, per_unit=Decimal(1), variants=(Variant({"voice": "ash"}, Decimal(2)),))
    assert model(by_voice, Modality.SPEECH).priced_by == {"voice"}
