"""Passwords: what may be one, how many hashes are computed at a time, and what it takes for nobody."""

import asyncio
import os
import threading
import unicodedata

import pytest
from argon2 import PasswordHasher

import gateway.passwords
from domain import passwords
from domain.errors import RateLimited, RequestInvalid, ServiceUnavailable
from gateway.passwords import NICENESS, Asker, Passwords
from tests.support.people import QUICK
from tests.support.stack import eventually

ANN = Asker("ann", known=True)
EMAIL = "ann.long@example.test"


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
    verifier = Passwords(QUICK)
    hashed = await verifier.hash(passwords.chosen("Ångström ﬁne", email=EMAIL), ANN)
    assert await verifier.verify(hashed, "A\u030angstro\u0308m fine", ANN)
    assert not await verifier.verify(hashed, "Angstrom fine", ANN)
    verifier.close()


@pytest.mark.parametrize("hashed", [None, "", "nonsense", "$argon2id$v=19$m=8,t=1,p=1$x$y"])
@pytest.mark.parametrize("presented", ["nobody has this password", "impossible", "", "x" * 5000])
async def test_nobody_signs_in_and_it_takes_one_hash(hashed: str | None, presented: str) -> None:
    verifier, before = Passwords(QUICK), QUICK.runs
    assert not await verifier.verify(hashed, presented, ANN)
    assert QUICK.runs == before + 1
    verifier.close()


class Gate(PasswordHasher):
    """Hashes when it is opened, and notes in which order."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.order, self._permits = list[str](), threading.Semaphore(0)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.order.append(str(password))
        assert self._permits.acquire(timeout=30)
        return "hashed"

    def open(self, hashes: int) -> None:
        self._permits.release(hashes)


def hashing(verifier: Passwords, asker: Asker, *names: str) -> list[asyncio.Task[str]]:
    return [asyncio.create_task(verifier.hash(name, asker)) for name in names]


async def begun(gate: Gate, *names: str) -> None:
    async def all_begun() -> bool:
        return set(names) <= set(gate.order)

    assert await eventually(all_begun)


async def test_more_of_one_network_than_can_wait_are_refused_and_its_neighbours_take_turns() -> None:
    gate = Gate()
    verifier = Passwords(gate, max_waiting=3)
    flood = hashing(verifier, Asker("10.0.0.1"), *"abcdefghi")
    await begun(gate, "a")
    neighbour = hashing(verifier, Asker("10.0.0.2"), "n")
    await asyncio.sleep(0)
    gate.open(5)
    tried = await asyncio.gather(*flood, *neighbour, return_exceptions=True)
    assert tried.count("hashed") == 5
    assert sum(isinstance(one, RateLimited) for one in tried) == 5
    assert gate.order[:3] == ["a", "b", "n"]
    gate.open(1)
    assert await verifier.hash("again", Asker("10.0.0.1")) == "hashed"  # there is room again
    verifier.close()


async def test_who_is_known_does_not_wait_for_strangers() -> None:
    gate = Gate()
    verifier = Passwords(gate)
    strangers = [task for n in range(50) for task in hashing(verifier, Asker(f"10.0.0.{n}"), f"s{n}")]
    await begun(gate, "s0")
    owner = hashing(verifier, Asker("ann", known=True), "ann")
    await begun(gate, "ann")
    assert gate.order == ["s0", "ann"]
    gate.open(51)
    assert await asyncio.gather(*owner, *strangers) == ["hashed"] * 51
    verifier.close()


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    verifier = Passwords(gate)
    (first,) = hashing(verifier, Asker("10.0.0.1"), "a")
    await begun(gate, "a")
    monkeypatch.setattr(gateway.passwords, "TIMEOUT_SECONDS", 0.01)
    with pytest.raises(ServiceUnavailable):
        await verifier.hash("b", Asker("10.0.0.2"))
    gate.open(1)
    assert await first == "hashed"
    verifier.close()


async def test_a_caller_who_leaves_has_its_turn_until_the_hash_is_done() -> None:
    gate = Gate()
    verifier = Passwords(gate)
    (left,) = hashing(verifier, Asker("10.0.0.1"), "a")
    await begun(gate, "a")
    left.cancel()
    (next_one,) = hashing(verifier, Asker("10.0.0.2"), "b")
    await asyncio.gather(left, return_exceptions=True)
    await asyncio.sleep(0.02)
    assert gate.order == ["a"]
    gate.open(2)
    assert await next_one == "hashed"
    verifier.close()


async def test_calls_go_before_hashes() -> None:
    seen = list[int]()

    class Noting(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return "hashed"

    verifier = Passwords(Noting())
    await verifier.hash("a password", ANN)
    assert seen == [min(19, os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) + NICENESS)]
    verifier.close()
