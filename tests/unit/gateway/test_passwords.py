"""Passwords: what may be one, how many hashes are computed at a time, and what it takes for nobody."""

import asyncio
import unicodedata

import pytest
from argon2 import PasswordHasher

from domain import passwords
from domain.errors import RateLimited, RequestInvalid, ServiceUnavailable
from gateway.passwords import AT_A_TIME, MAX_WAITING_OF_ONE, Passwords

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
EMAIL = "ann.long@example.test"
HOME = "192.0.2.1"


@pytest.mark.parametrize(
    "text", ["13 57 80", "x1y" * 66, "пароль на кухне", "🔑🗝️🔒🔓🔏🔐🚪🏠", "  spaces  ", "tab\tand\x00nul"]
)
def test_a_password(text: str) -> None:
    assert passwords.chosen(text, email=EMAIL) == unicodedata.normalize("NFKC", text)


LENGTHS = ["", "1234567", "x1y" * 67, "\ufdfa" * 12]
GUESSED = ["aaaaaaaaaaaa", "abababab", "abcdefgh", "87654321", "ABCDEFGHIJ", EMAIL.upper(), "Ann.Long"]
FREQUENT = ["sunshine", "Passw0rd", "12345678", "1qaz2wsx", "iloveyou", "LETMEIN1", "qwertyuiop", "\uff54rustno1"]


@pytest.mark.parametrize("text", [*LENGTHS, *GUESSED, *FREQUENT])
def test_no_password(text: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        passwords.chosen(text, email=EMAIL, param="new_password")
    assert refused.value.param == "new_password"
    assert not text or text not in refused.value.message


async def test_the_same_characters_from_another_keyboard_are_the_same_password() -> None:
    made = Passwords(QUICK)
    hashed = await made.hash(passwords.chosen("Ångström ﬁne", email=EMAIL), HOME)
    assert await made.verify(hashed, "A\u030angstro\u0308m fine", HOME)
    assert not await made.verify(hashed, "Angstrom fine", HOME)
    made.close()


@pytest.mark.parametrize("hashed", [None, "", "nonsense", "$argon2id$v=19$m=8,t=1,p=1$x$y"])
@pytest.mark.parametrize("presented", ["nobody has this password", "impossible", "", "x" * 5000])
async def test_nobody_signs_in_and_it_takes_one_hash(hashed: str | None, presented: str) -> None:
    made = Passwords(QUICK)
    assert not await made.verify(hashed, presented, HOME)
    assert made.runs == 1
    made.close()


async def test_more_than_can_wait_are_refused_and_the_others_served() -> None:
    made = Passwords(QUICK, max_waiting=3)
    tried = await asyncio.gather(*(made.hash("a password", n) for n in range(9)), return_exceptions=True)
    assert sum(isinstance(one, str) for one in tried) == AT_A_TIME + 3
    assert sum(isinstance(one, ServiceUnavailable) for one in tried) == 9 - AT_A_TIME - 3
    assert await made.hash("a password", HOME)  # there is room again
    made.close()


async def test_a_flood_from_one_network_keeps_nobody_else_from_signing_in() -> None:
    made, order = Passwords(QUICK), list[str]()

    async def tried(network: str) -> str:
        hashed = await made.hash("a password", network)
        order.append(network)
        return hashed

    flood = [asyncio.create_task(tried("198.51.100.1")) for _ in range(300)]
    await asyncio.sleep(0)
    assert await tried(HOME)
    assert order.index(HOME) < 5  # not behind all that were there before
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(one, str) for one in outcomes) == 1 + MAX_WAITING_OF_ONE
    assert sum(isinstance(one, RateLimited) for one in outcomes) == 299 - MAX_WAITING_OF_ONE
    made.close()


async def test_a_caller_who_leaves_frees_its_place_when_the_hash_is_done() -> None:
    made = Passwords(QUICK, max_waiting=0)
    for _ in range(AT_A_TIME * 5):
        left = asyncio.create_task(made.hash("a password", HOME))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await made.hash("a password", HOME)
                except ServiceUnavailable:
                    await asyncio.sleep(0.01)
                else:
                    break
    made.close()
