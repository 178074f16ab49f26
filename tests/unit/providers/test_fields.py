"""Which fields of a caller's body may be lost."""

import pytest

from domain.errors import RequestInvalid
from providers import fields


@pytest.mark.parametrize(
    ("name", "value"), [("service_tier", "flex"), ("service_tier", "priority"), ("web_search_options", {})]
)
def test_what_the_caller_pays_for_is_not_lost_where_it_has_no_effect(name: str, value: object) -> None:
    with pytest.raises(RequestInvalid) as refused:
        fields.split({"prompt": "x", name: value}, {"prompt"})
    assert (refused.value.param, refused.value.code) == (name, "unsupported_parameter")
    assert fields.split({name: value}, {name}) == ({name: value}, ())


@pytest.mark.parametrize("value", ["auto", "default"])
def test_the_standard_tier_needs_no_field(value: str) -> None:
    assert fields.split({"service_tier": value}, ()) == ({}, ("service_tier",))
