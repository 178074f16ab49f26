"""No shipped route costs more than its model, and a price from list prices covers every route."""

from pathlib import Path

import pytest

from domain.catalog import CatalogInvalid
from tests.unit.catalog.test_media_models import load

HEAD = '[models.lab-x]\nmodality = "image"\nparameters = { quality = ["low", "high"], n = { maximum = 4 } }\n'
INPUTS = "inputs = { image = { max = 2 } }\n"


def routes(*each: str, kind: str = "fal") -> str:
    listed = ", ".join(f'{{ provider = "{kind}", model = "m{index}", {prices} }}' for index, prices in enumerate(each))
    return f"{HEAD}{INPUTS}routes = [{listed}]"


CHEAP = "usd_per_image = 0.01"
DEAR = 'usd_per_image = 0.01, variants = [{ quality = "high", usd_per_image = 0.2 }]'


@pytest.mark.parametrize("listed", [(CHEAP, DEAR), (DEAR, CHEAP)])
def test_the_price_is_that_of_the_route_which_covers_all(tmp_path: Path, listed: tuple[str, str]) -> None:
    prices = load(tmp_path, routes(*listed)).models["lab-x"].prices
    assert [prices.per_unit_of({"quality": quality}) for quality in ("low", "high")] == [1000, 20_000]


def test_routes_of_which_each_is_dearer_somewhere_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogInvalid) as invalid:
        load(tmp_path, routes("usd_per_image = 0.02", DEAR))
    (problem,) = invalid.value.problems
    assert "covers what all of them cost" in problem
    assert "for quality high" in problem


def test_the_prompt_and_pictures_count_in_what_is_covered(tmp_path: Path) -> None:
    more = "usd_per_image = 0.01, usd_per_input_image = 0.1"
    prices = load(tmp_path, routes(CHEAP, more)).models["lab-x"].prices
    assert prices.per_input_image == 10_000
