import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import keys

ENTROPY = bytes(range(32))


def test_a_key_has_the_published_form() -> None:
    assert re.fullmatch(r"yout-[0-9A-Za-z]{49}", keys.mint(ENTROPY))


@given(st.binary(min_size=32, max_size=32))
def test_every_minted_key_is_well_formed(entropy: bytes) -> None:
    assert keys.well_formed(keys.mint(entropy))


@given(st.integers(min_value=5, max_value=53), st.sampled_from(keys.ALPHABET))
def test_a_changed_character_is_noticed(position: int, character: str) -> None:
    token = keys.mint(ENTROPY)
    changed = token[:position] + character + token[position + 1 :]
    assert keys.well_formed(changed) == (changed == token)


@pytest.mark.parametrize(
    "token",
    ["", "yout-", "sk-abc", keys.mint(ENTROPY)[:-1], keys.mint(ENTROPY) + "a", keys.mint(ENTROPY) + "\n", "é" * 54],
)
def test_malformed_keys_are_refused(token: str) -> None:
    assert not keys.well_formed(token)


def test_different_entropy_gives_different_keys_and_digests() -> None:
    one, other = keys.mint(ENTROPY), keys.mint(bytes(32))
    assert one != other
    assert keys.digest(one) != keys.digest(other)
    assert len(keys.digest(one)) == 32


def test_the_mask_shows_the_ends_alone() -> None:
    token = keys.mint(ENTROPY)
    assert keys.masked(token) == f"{token[:9]}…{token[-4:]}"


def test_entropy_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        keys.mint(b"short")
