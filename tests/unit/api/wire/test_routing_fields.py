"""The fields that choose models and routes: read once for every wire, sent to nobody."""

from decimal import Decimal
from typing import Any

import pytest

from api.wire.routing_fields import split
from domain.errors import RequestInvalid
from gateway.preferences import Preferences, Sort

PROVIDER: dict[str, Any] = {
    "order": ["a", "b"],
    "only": ["a"],
    "ignore": ["c"],
    "allow_fallbacks": False,
    "sort": "latency",
    "max_price": {"prompt": 1, "completion": "2.5"},
    "require_parameters": True,
    "data_collection": "allow",
    "zdr": None,
    "quantizations": None,
}


def test_a_request_without_them_is_as_it_was() -> None:
    body = {"model": "m", "messages": []}
    assert split(body) == (body, None)


def test_what_they_say() -> None:
    rest, wanted = split({"model": "m", "models": ["m", "n", "n"], "provider": PROVIDER, "route": "fallback", "x": 1})
    assert rest == {"model": "m", "x": 1}
    assert wanted == Preferences(
        models=("n",),
        order=("a", "b"),
        only=("a",),
        ignore=("c",),
        allow_fallbacks=False,
        sort=Sort.LATENCY,
        max_prompt=Decimal(1),
        max_completion=Decimal("2.5"),
        require_parameters=True,
    )


def test_the_first_of_the_models_is_the_model() -> None:
    assert split({"models": ["a", "b"]}) == ({"model": "a"}, Preferences(models=("b",)))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"route": "random"}, "route"),
        ({"models": "a"}, "models"),
        ({"models": [1]}, "models"),
        ({"models": ["a"] * 9}, "models"),
        ({"models": [""]}, "models"),
        ({"provider": []}, "provider"),
        ({"provider": {"order": "a"}}, "provider.order"),
        ({"provider": {"allow_fallbacks": 1}}, "provider.allow_fallbacks"),
        ({"provider": {"sort": "fast"}}, "provider.sort"),
        ({"provider": {"sort": {"by": "price"}}}, "provider.sort"),
        ({"provider": {"max_price": 1}}, "provider.max_price"),
        ({"provider": {"max_price": {"image": 1}}}, "provider.max_price.image"),
        ({"provider": {"max_price": {"prompt": "much"}}}, "provider.max_price.prompt"),
        ({"provider": {"max_price": {"prompt": "NaN"}}}, "provider.max_price.prompt"),
        ({"provider": {"max_price": {"prompt": True}}}, "provider.max_price.prompt"),
        ({"provider": {"quantizations": ["fp8"]}}, "provider.quantizations"),
        ({"provider": {"preferred_max_latency": 1}}, "provider.preferred_max_latency"),
        ({"provider": {"experimental": {}}}, "provider.experimental"),
    ],
)
def test_what_is_wrong_or_not_supported_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        split({"model": "m"} | fields)
    assert caught.value.param == param
