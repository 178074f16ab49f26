"""Which routes may answer: by the class of their privacy. None of a weaker class, whatever happens in between."""

from typing import Any

import pytest

from domain.catalog import Catalog, Route
from domain.errors import RequestInvalid, UpstreamError
from domain.key_rules import NO_RULES, KeyRules
from domain.limits import NO_LIMITS
from domain.privacy import Privacy, PrivacyClass
from gateway import route_rules
from gateway.calls import Calls
from gateway.wire import ModelCall
from tests.support.doubles.chat_calls import CATALOG, Books, FakeUpstream, call, count, model, route, upstreams

ZERO, TRAINS_NOT, UNKNOWN = PrivacyClass.ZERO_RETENTION, PrivacyClass.NO_TRAINING, PrivacyClass.UNKNOWN
STRICT = KeyRules(privacy=Privacy.STRICT)


def routed(name: str, privacy: PrivacyClass) -> Route:
    return route(name).model_copy(update={"privacy": privacy})


ROUTES = (routed("one", UNKNOWN), routed("two", ZERO), routed("three", TRAINS_NOT))


@pytest.mark.parametrize(
    ("required", "names"), [(UNKNOWN, ["one", "two", "three"]), (TRAINS_NOT, ["two", "three"]), (ZERO, ["two"])]
)
def test_routes_of_the_class_or_a_stronger_one(required: PrivacyClass, names: list[str]) -> None:
    assert [each.provider.name for each in route_rules.of_class(ROUTES, required, "m")] == names


def test_without_one_the_call_is_refused() -> None:
    with pytest.raises(RequestInvalid, match="'m' has no route") as refused:
        route_rules.of_class(ROUTES[:1], ZERO, "m")
    assert (refused.value.param, refused.value.code) == ("privacy", "unsupported_parameter")


def test_a_model_promises_the_weakest_class_of_its_routes() -> None:
    assert (model(*ROUTES).privacy, model(*ROUTES).zero_retention) == (UNKNOWN, True)
    assert (model(ROUTES[2]).privacy, model(ROUTES[2]).zero_retention) == (TRAINS_NOT, False)
    assert model().model_copy(update={"routes": ()}).privacy is UNKNOWN


@pytest.mark.parametrize("wish", list(PrivacyClass))
def test_a_keys_rules_tighten_a_call_and_never_loosen_it(wish: PrivacyClass) -> None:
    request = ModelCall("m", {}, privacy=wish, strict=True)
    assert request.under(NO_RULES) is request
    assert request.under(STRICT).privacy is ZERO
    assert request.under(STRICT).strict
    assert ModelCall("m", {}).under(KeyRules(strict=True)) == ModelCall("m", {}, strict=True)


def reloaded(**changes: Any) -> Catalog:
    """A catalog whose provider `one` is the same as the route's, but for the changes."""
    provider = routed("one", ZERO).provider.model_copy(update=changes)
    return CATALOG.model_copy(update={"providers": {"one": provider}})


@pytest.mark.parametrize(
    ("changes", "answers"),
    [({}, True), ({"privacy": TRAINS_NOT}, False), ({"base_url": "https://other.invalid"}, False)],
)
def test_a_reload_in_between_gives_a_call_to_no_other_provider(changes: dict[str, Any], answers: bool) -> None:
    one, catalog = FakeUpstream(), reloaded(**changes)
    calls = Calls(Books(), lambda: catalog, upstreams(one=one), count, NO_LIMITS)
    chosen = routed("one", ZERO)
    running = call(chosen)
    assert calls.upstream_of(running, chosen).adapter is one
    running.request = running.request.under(STRICT)
    if answers:
        assert calls.upstream_of(running, chosen).adapter is one
        return
    with pytest.raises(UpstreamError):
        calls.upstream_of(running, chosen)
