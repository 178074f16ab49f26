"""One account sends the worst that it can, and another one's calls go on: same routes, same keys, same parameters."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from dev.postgres import EmbeddedPostgres
from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import AccountClient
from tests.support.doubles.misbehaving_server import POISONS, MisbehavingServer
from tests.support.own_stack import own_stack
from tests.support.stack import Stack

TIMES = 4
"""More than it takes to close a route."""
PROMPTS = [*POISONS, "slow"]
CATALOG = """
[providers.spare]
kind = "openai"
base_url = "{url}"
route_class = "second"
"""
EACH = """
[providers.lab-{number}]
kind = "openai"
base_url = "{url}"
route_class = "first"
api_key_env = ["KEY_ONE", "KEY_TWO"]
capabilities = ["abort_stops_billing"]
timeouts = {{ connect = 1, first_byte = 0.4, idle = 0.4 }}
max_concurrent = 4
max_wait = 0.3

[models.shared-{number}]
context_window = 100000
max_output_tokens = 30
credits_per_1k_input = 300
credits_per_1k_output = 1500
routes = [{{ provider = "lab-{number}", model = "content" }}, {{ provider = "spare", model = "plain" }}]
"""
"""A provider and a model for each test: what two attackers have seen of one key counts for all."""


@pytest.fixture(scope="module")
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture(scope="module")
def stack(
    postgres: EmbeddedPostgres, server: MisbehavingServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    each = [EACH.format(number=number, url=server.url) for number in range(len(PROMPTS) + 1)]
    started = own_stack(postgres, tmp_path_factory, "two", CATALOG.format(url=server.url) + "".join(each))
    started.extra = {"KEY_ONE": "one", "KEY_TWO": "two"}
    with started.running("api"):
        yield started


@dataclass(frozen=True, slots=True)
class Scene:
    model: str
    server: MisbehavingServer
    attacker: AccountClient
    other: AccountClient

    async def attack(self, prompt: str, *, times: int = TIMES) -> None:
        fields = {"messages": [{"role": "user", "content": prompt}], "temperature": 0.5}
        for number in range(times):
            answer = await self.attacker.chat(self.model, **fields, stream=bool(number % 2))
            assert "SECRET" not in answer.text

    async def served(self) -> list[tuple[int, str | None, float]]:
        """Whole and streamed, what the other account gets, by which route, and the temperature that was sent."""
        self.server.keys.clear()
        answers = []
        for stream in (False, True):
            answer = await self.other.chat(self.model, temperature=0.5, stream=stream)
            sent = self.server.bodies[-1]["temperature"]
            answers.append((answer.status_code, answer.headers.get("x-yout-route"), sent))
        return answers


SERVED = [(200, "first", 0.5)] * 2
KEYS = {"one", "two"}


@pytest.mark.parametrize("number", range(len(PROMPTS)), ids=PROMPTS)
async def test_what_one_account_sends_closes_nothing_for_another(
    new_owner: OpenAccountClient, server: MisbehavingServer, number: int
) -> None:
    scene = Scene(f"shared-{number}", server, await new_owner(), await new_owner())
    await scene.attack(PROMPTS[number])
    assert await scene.served() == SERVED
    assert set(server.keys) >= KEYS


async def test_long_calls_of_one_account_do_not_fill_a_provider(
    new_owner: OpenAccountClient, server: MisbehavingServer
) -> None:
    scene = Scene(f"shared-{len(PROMPTS)}", server, await new_owner(), await new_owner())
    assert await scene.served() == SERVED
    assert set(server.keys) >= KEYS
    attacks = [asyncio.create_task(scene.attack("slow", times=1)) for _ in range(12)]
    await asyncio.sleep(0.15)
    assert await scene.served() == SERVED
    assert set(server.keys) >= KEYS
    await asyncio.gather(*attacks)
