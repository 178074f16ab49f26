"""What a prompt and input images cost beside the outputs."""

from decimal import Decimal

import pytest

from domain.catalog import Prices
from domain.media_prices import Counts, Unit


@pytest.mark.parametrize(("once", "cost"), [(True, 4 * 100 + 2 * 30 + 2), (False, 4 * (100 + 2 * 30 + 2))])
def test_they_are_read_once_or_for_each_output(once: bool, cost: int) -> None:
    prices = Prices(
        unit=Unit.IMAGE,
        per_unit=Decimal(100),
        per_input_image=Decimal(30),
        per_1k_prompt_characters=Decimal(4),
        reads_inputs_once=once,
    )
    assert prices.exact({}, Counts(outputs=4, characters=500, input_images=2)) == cost
