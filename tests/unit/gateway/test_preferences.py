"""Which routes a request allows, in which order, and by which names it calls models."""

from decimal import Decimal

import pytest

from domain.catalog import Prices, Provider, Route
from domain.errors import ModelNotFound, RequestInvalid
from domain.meters import Tier, TokenPrices, per_thousand
from domain.pricing import TextTerms
from gateway import preferences
from gateway.preferences import Preferences, Sort, chosen
from gateway.route_states import RouteState
from gateway.routing import Router
from tests.support.doubles.chat_calls import CATALOG, model


def route(name: str, cost: int | None = None, *, weight: int = 1, priority: int = 0) -> Route:
    costs = None if cost is None else Prices(tokens=TokenPrices(per_thousand(input=Decimal(cost), output=Decimal(1))))
    provider = Provider(name=f"private-{name}", kind="openai", active=True, route_class=name)
    return Route(provider=provider, model="m", capabilities=frozenset(), costs=costs, weight=weight, priority=priority)


A, B, C = route("a", 30), route("b", 10), route("c")
STATES = {
    A.key: RouteState(first_output=0.9, speed=90.0),
    B.key: RouteState(duration=0.1),
    C.key: RouteState(first_output=0.5, speed=10.0),
}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Preferences(), "abc"),
        (Preferences(order=("c", "a")), "cab"),
        (Preferences(order=("c", "unknown"), allow_fallbacks=False), "c"),
        (Preferences(allow_fallbacks=False), "a"),
        (Preferences(only=("b", "c")), "bc"),
        (Preferences(ignore=("a",)), "bc"),
        (Preferences(sort=Sort.PRICE), "bac"),
        (Preferences(sort=Sort.LATENCY), "bca"),
        (Preferences(sort=Sort.THROUGHPUT), "acb"),
        (Preferences(sort=Sort.PRICE, order=("c",)), "cba"),
    ],
)
def test_the_routes_in_their_order(wanted: Preferences, names: str) -> None:
    routes = chosen((A, B, C), wanted, lambda route: STATES[route.key])
    assert "".join(route.provider.route_class for route in routes) == names


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        (Preferences(only=("x",)), "provider.only"),
        (Preferences(ignore=("a", "b", "c")), "provider.ignore"),
        (Preferences(order=("x",), allow_fallbacks=False), "provider.order"),
    ],
)
def test_what_leaves_no_route_names_the_field_and_the_classes_there_are(wanted: Preferences, param: str) -> None:
    with pytest.raises(RequestInvalid, match="It has: a, b, c") as caught:
        chosen((A, B, C), wanted, lambda _: RouteState())
    assert caught.value.param == param
    assert "private" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "sort"), [("demo-chat", None), ("demo-chat:floor", Sort.PRICE), ("demo-chat:nitro", Sort.THROUGHPUT)]
)
def test_the_end_of_a_name_asks_for_an_order(name: str, sort: Sort | None) -> None:
    model, wanted = preferences.named(CATALOG, name)
    assert (model.id, wanted) == ("demo-chat", sort)


@pytest.mark.parametrize("name", ["nothing", "nothing:floor", ":floor", "demo-chat:exacto"])
def test_another_name_is_none(name: str) -> None:
    with pytest.raises(ModelNotFound):
        preferences.named(CATALOG, name)


def terms(input_bound: int) -> TextTerms:
    """Of a call by a dearer service tier, whose price doubles above 100 tokens."""
    standard, fast, long = (per_thousand(input=Decimal(n), output=Decimal(n)) for n in (100, 200, 400))
    tiered = TokenPrices(standard, service_tiers={"priority": TokenPrices(fast, (Tier(100, long),))})
    return TextTerms(tiered.requested("priority"), "v", input_bound, input_bound, 10, 10)


@pytest.mark.parametrize(
    ("most", "input_bound", "refused"),
    [("0.001", 50, True), ("1", 50, True), ("2", 50, False), ("2", 101, True), ("4", 101, False)],
)
@pytest.mark.parametrize("name", ["prompt", "completion"])
def test_a_model_above_the_price_is_refused(most: str, input_bound: int, refused: bool, name: str) -> None:
    price, field = Decimal(most), None
    wanted = Preferences(max_prompt=price) if name == "prompt" else Preferences(max_completion=price)
    try:
        preferences.require_price(CATALOG, model(), terms(input_bound), wanted)
    except RequestInvalid as error:
        field = error.param
    assert field == (f"provider.max_price.{name}" if refused else None)


def test_routes_of_one_priority_share_the_calls_by_their_weights() -> None:
    steps = iter([number / 400 for number in range(400)] * 2)
    router = Router(chance=lambda: next(steps))
    shared = model().model_copy(update={"shared": True})
    heavy, light, last = route("h", weight=9), route("l", weight=1), route("z", priority=1)
    never = route("n", weight=0)
    firsts = [router.ordered(shared, (light, heavy, never, last)) for _ in range(200)]
    assert all(routes[2:] == (never, last) for routes in firsts)
    assert router.ordered(model(), (light, heavy)) == (light, heavy)


def test_the_share_of_a_weight_is_its_part_of_all() -> None:
    router, shared = Router(), model().model_copy(update={"shared": True})
    heavy, light = route("h", weight=3), route("l", weight=1)
    count = sum(router.ordered(shared, (light, heavy))[0] is heavy for _ in range(4000))
    assert 2800 < count < 3200
