"""What providers bill: as the catalog says, else the list price without our markup, else unknown. Never rounded."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from domain import media_orders, pricing
from domain.catalog import Prices
from domain.margins import Margin, total
from domain.media import Kind, MediaRequest
from domain.meters import Meter, per_thousand
from domain.money import COST_PLACES, MICRO, plain
from domain.pricing import Usage, UsageSource
from tests.unit.catalog.test_files import all_keys, load, problems

ROUTE = '{{ provider = "lab", model = "x"{costs} }}'
MODEL = """
[providers.lab]
kind = "openai"
base_url = "http://localhost:8000/v1"

[models.lab-x]
credits_per_1k_input = 3
credits_per_1k_output = 12
routes = [ {route} ]
"""
PICTURE = """
[models.demo-image]
credits_per_image = 1000
routes = [ {{ provider = "demo", model = "image"{costs} }} ]
modality = "image"
"""


def model(costs: str = "") -> str:
    return MODEL.format(route=ROUTE.format(costs=costs))


def costs_of(tmp_path: Path, text: str, name: str) -> Prices | None:
    return load(tmp_path, text).find(name).routes[0].costs


def test_a_cost_that_is_given(tmp_path: Path) -> None:
    given = ", cost_per_1k_input = 0.5, cost_per_1k_output = 2.000001, cost_per_1k_cached_input = 0.1"
    costs = costs_of(tmp_path, model(given), "lab-x")
    assert costs is not None
    assert costs.tokens is not None
    assert costs.tokens.rates == per_thousand(
        input=Decimal("0.5"), output=Decimal("2.000001"), cached_input=Decimal("0.1"), cache_write=Decimal("0.5")
    )
    used = Usage(1001, 7, UsageSource.PROVIDER, cached_tokens=1)
    assert plain(pricing.billionths(costs.tokens, used), COST_PLACES) == "0.514100007"


BASE = ", cost_per_1k_input = 1, cost_per_1k_output = 4"
FLEX = ", service_tiers = { flex = { cost_per_1k_input = 0.5, cost_per_1k_output = 2 } }"


def test_a_service_tier_has_costs_of_its_own(tmp_path: Path) -> None:
    costs = costs_of(tmp_path, model(BASE + ", cost_per_1k_cached_input = 0.1" + FLEX), "lab-x")
    assert costs is not None
    assert costs.tokens is not None
    flex = costs.tokens.requested("flex")
    used = Usage(2000, 1000, UsageSource.PROVIDER)
    assert [plain(pricing.billionths(prices, used), COST_PLACES) for prices in (costs.tokens, flex)] == ["6", "3"]
    assert plain(pricing.billionths(flex, replace(used, service_tier="default")), COST_PLACES) == "6"
    assert flex.rates[Meter.CACHED_INPUT] >= costs.tokens.rates[Meter.CACHED_INPUT]


@pytest.mark.parametrize(
    ("costs", "problem"),
    [
        (FLEX, "service_tiers: needs cost_per_1k_input and cost_per_1k_output of the standard tier beside it"),
        (BASE + FLEX.replace("flex", "auto"), "service_tiers: has auto, which is what the route's own costs are for"),
    ],
)
def test_service_tiers_that_say_nothing(tmp_path: Path, costs: str, problem: str) -> None:
    assert problems(tmp_path, model(costs)) == [f"my.toml:9: models.lab-x.routes.0.{problem}"]


def test_what_is_not_known(tmp_path: Path) -> None:
    assert costs_of(tmp_path, model(), "lab-x") is None
    assert costs_of(tmp_path, PICTURE.format(costs=""), "demo-image") is None


def test_the_list_price_of_the_route_without_our_markup(tmp_path: Path) -> None:
    """Whatever the model costs its callers."""
    exchange = "[exchange]\nmarkup = 2\n[models.openai-gpt-54]\ncredits_per_1k_input = 1\ncredits_per_1k_output = 1\n"
    (tmp_path / "my.toml").write_text(exchange)
    model_ = load(tmp_path, exchange, all_keys).find("openai-gpt-54")
    costs = model_.routes[0].costs
    assert costs is not None
    assert costs.tokens is not None
    assert costs.tokens.rates[Meter.INPUT] == 250 * MICRO
    assert costs.tokens.tiers
    assert model_.prices.tokens is not None
    assert model_.prices.tokens.rates[Meter.INPUT] == 1 * MICRO


@pytest.mark.parametrize(
    ("cost", "request_", "billionths"),
    [
        ("cost_per_call = 0.5", MediaRequest(kind=Kind.IMAGE, model="image", prompt="x", n=3), 500_000_000 * 3),
        ("cost_per_image = 700", MediaRequest(kind=Kind.IMAGE, model="image", prompt="x", n=3), 2100 * 10**9),
        (
            "cost_per_second = 10",
            MediaRequest(kind=Kind.IMAGE, model="image", prompt="x", parameters={"seconds": 2.5}),
            25 * 10**9,
        ),
    ],
)
def test_a_job(tmp_path: Path, cost: str, request_: MediaRequest, billionths: int) -> None:
    costs = costs_of(tmp_path, PICTURE.format(costs=f", {cost}"), "demo-image")
    assert media_orders.cost(costs, request_) == billionths
    assert media_orders.cost(None, request_) is None


def test_what_cannot_be_meant_is_named_with_its_line(tmp_path: Path) -> None:
    assert problems(tmp_path, model(", cost_per_1k_input = 1")) == [
        "my.toml:9: models.lab-x.routes.0.cost_per_1k_output: is missing: a cost by tokens needs it (0 is allowed)"
    ]
    assert problems(tmp_path, model(", cost_per_call = 1")) == [
        "my.toml:9: models.lab-x.routes.0.cost_per_call: is not how a model of modality text is billed"
    ]
    exact = problems(tmp_path, model(", cost_per_1k_input = 0.1234567, cost_per_1k_output = 1"))
    problem = "my.toml:9: models.lab-x.routes.0.cost_per_1k_input: must be a decimal number ≥ 0 with at most 6 places"
    assert problem in exact
    twice = PICTURE.format(costs=", cost_per_call = 1, cost_per_image = 2")
    assert problems(tmp_path, twice) == [
        "my.toml:4: models.demo-image.routes.0.cost_per_call: stands beside another: a route has one cost"
    ]
    tokens = PICTURE.format(costs=", cost_per_1k_input = 1")
    assert problems(tmp_path, tokens) == [
        "my.toml:4: models.demo-image.routes.0.cost_per_1k_input: is not how a model of modality image is billed"
    ]


def test_a_margin_is_what_is_left_and_unknown_where_nothing_is_known() -> None:
    known = Margin("a", calls=3, costed=2, charged=100, refunded=10, written_off=5, cost=Decimal("40.5"))
    unknown = Margin("b", calls=1, charged=20)
    assert known.margin == Decimal("49.5")
    assert unknown.margin is None
    both = total([known, unknown])
    assert (both.calls, both.costed, both.charged, both.cost) == (4, 2, 120, Decimal("40.5"))
    assert both.margin == Decimal("69.5")
    assert Margin("c", refunded=10).margin == -10
