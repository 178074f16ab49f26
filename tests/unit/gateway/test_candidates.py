"""What a call may cost that several models may answer, and what it costs when one of them has."""

from decimal import Decimal

import pytest

from domain import pricing
from domain.meters import Tier, TokenPrices, per_thousand
from domain.pricing import TextTerms, Usage, UsageSource
from gateway.candidates import Candidate, billed, together
from gateway.wire import ModelCall
from tests.support.doubles.chat_calls import model


def candidate(name: str, prices: TokenPrices, limit: int | None = 100, input_bound: int = 50) -> Candidate:
    terms = TextTerms(prices, f"v-{name}", input_bound, input_bound // 2, limit, 1000)
    named = model().model_copy(update={"id": name})
    return Candidate(ModelCall(name, {}), named, terms, named.routes)


def rates(**prices: int) -> TokenPrices:
    return TokenPrices(per_thousand(**{name: Decimal(price) for name, price in prices.items()}))


CHEAP = candidate("cheap", rates(input=100, output=200), limit=500)
DEAR = candidate("dear", rates(input=1000, output=5000, cached_input=10), limit=100)
TIERED = candidate(
    "tiered",
    TokenPrices(
        rates(input=300, output=300).rates,
        (Tier(20, rates(input=600, output=600).rates),),
        {"default": rates(input=30, output=30)},
    ),
)


def test_one_model_alone_is_priced_as_ever() -> None:
    assert together([CHEAP]) is CHEAP.terms


@pytest.mark.parametrize("order", [[CHEAP, DEAR, TIERED], [DEAR, TIERED, CHEAP], [TIERED, CHEAP, DEAR]])
def test_the_hold_covers_the_dearest_whichever_is_first(order: list[Candidate]) -> None:
    terms = together(order)
    held = pricing.bound(terms, 10**9).amount
    for one in order:
        assert held >= pricing.bound(one.terms, 10**9).amount
    assert terms.output_limit == 500
    assert terms.input_count == order[0].terms.input_count
    assert terms.version != order[0].terms.version


@pytest.mark.parametrize("order", [[CHEAP, DEAR, TIERED], [DEAR, TIERED, CHEAP], [TIERED, CHEAP, DEAR]])
@pytest.mark.parametrize("answering", [CHEAP, DEAR, TIERED])
@pytest.mark.parametrize("tier", [None, "default", "other"])
@pytest.mark.parametrize("cached", [0, 30])
def test_the_charge_is_that_of_the_model_that_answered(
    order: list[Candidate], answering: Candidate, tier: str | None, cached: int
) -> None:
    used = Usage(40, 80, UsageSource.PROVIDER, cached_tokens=cached, service_tier=tier)
    own = pricing.exact_cost(answering.terms.prices, used)
    named = billed(used, answering, first=answering is order[0])
    assert pricing.exact_cost(together(order).prices, named) == own


def test_a_provider_cannot_name_the_prices_of_another_model() -> None:
    used = Usage(40, 80, UsageSource.PROVIDER, service_tier="model:cheap")
    assert billed(used, DEAR, first=True).service_tier is None
