"""What a key may give to another, or change: nothing beyond its own scopes, limits and lifetime."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.authority import Authority
from domain.errors import AuthorityExceeded, ScopeMissing
from domain.limits import Limits
from domain.privacy import Privacy

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = [field.name for field in fields(Limits)]


def authority(*scopes: str, **limits: int | None) -> Authority:
    return Authority(frozenset(scopes), Limits(**limits))


def test_a_scope_beyond_its_own_is_missing() -> None:
    with pytest.raises(ScopeMissing, match="'media'"):
        authority("chat", "media").require_within(authority("chat", "keys"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wanted", [None, 11])
def test_a_limit_is_neither_widened_nor_taken_away(name: str, wanted: int | None) -> None:
    with pytest.raises(AuthorityExceeded) as raised:
        authority("chat", **{name: wanted}).require_within(authority("chat", **{name: 10}))
    assert raised.value.param == f"limits.{name}"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wanted", [1, 10])
def test_what_is_within_its_own_limit_is_given(name: str, wanted: int) -> None:
    own = authority("chat", "keys", **{name: 10})
    assert own.covers(authority("chat", **{name: wanted}))


def test_a_key_without_limits_gives_any() -> None:
    assert authority("chat").covers(authority("chat", requests=5, credits_month=2**53))


@pytest.mark.parametrize("expires_at", [None, NOW + timedelta(seconds=1)])
def test_nothing_outlives_the_key_that_gave_it(expires_at: datetime | None) -> None:
    own = replace(authority("chat"), expires_at=NOW)
    assert not own.covers(replace(own, expires_at=expires_at))
    assert own.covers(own)


def test_a_key_that_is_strict_in_privacy_gives_nothing_less() -> None:
    strict = replace(authority("chat"), privacy=Privacy.STRICT)
    assert strict.covers(strict)
    assert authority("chat").covers(strict)
    with pytest.raises(AuthorityExceeded) as raised:
        authority("chat").require_within(strict)
    assert raised.value.param == "privacy"


@pytest.mark.parametrize("name", NAMES)
def test_any_limit_makes_it_limited(name: str) -> None:
    assert authority("keys", **{name: 1}).limited
    assert not authority("keys").limited
