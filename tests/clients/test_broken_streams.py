"""A stream that fails after its first output, as the SDKs of OpenAI and Anthropic raise it on each of their endpoints.

What was delivered arrives first, and is charged. The error has the code of the table, and the answer the request id.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx2
import openai
import psycopg
import pytest
from psycopg import sql

from api.error_codes import IN_STREAMS, TABLE, openai_type
from api.wire.anthropic_messages_answer import ERROR_TYPES
from dev.postgres import EmbeddedPostgres
from domain import errors
from domain.errors import GatewayError
from tests.support import provoked
from tests.support.account_client import AccountClient
from tests.support.bank import balance
from tests.support.doubles.paced import FIRST, SCRIPTS, Paced
from tests.support.provoked import World
from tests.support.sdk_errors import WIRES, SdkWire
from tests.support.stack import eventually

STREAMS = [wire for wire in WIRES if wire.streams]


@dataclass(frozen=True, slots=True)
class Broken:
    """How a stream breaks off, and what its client is told."""

    kind: type[GatewayError]
    code: str
    script: str
    """What the provider does."""
    meanwhile: Callable[[World, AccountClient], Awaitable[None]] | None = None
    """What happens to the account once the first words are there."""

    def __str__(self) -> str:
        return f"{self.script}-{self.meanwhile.__name__ if self.meanwhile else self.code}"


async def _revoked(world: World, owner: AccountClient) -> None:
    await world.sql("UPDATE api_keys SET revoked_at = now() WHERE account_id = %s", owner.customer.account_id)


async def _suspended(world: World, owner: AccountClient) -> None:
    await world.sql("UPDATE accounts SET suspended_at = now() WHERE id = %s", owner.customer.account_id)


async def _purged(_: World, owner: AccountClient) -> None:
    answer = await owner.http.post("/api/chat/purge/", json={"confirm": "erase"})
    assert answer.status_code == 202, answer.text


async def _swept(world: World, owner: AccountClient) -> None:
    await provoked.sweep(world, owner)


CASES = (
    Broken(errors.UpstreamError, "upstream_error", "breaks"),
    Broken(errors.UpstreamError, "upstream_error", "cut"),
    Broken(errors.UpstreamTimeout, "upstream_timeout", "hangs"),
    Broken(errors.UpstreamTimeout, "upstream_timeout", "endless"),
    Broken(GatewayError, "internal_error", "faults"),
    Broken(errors.CallerUnknown, "invalid_api_key", "ends", _revoked),
    Broken(errors.CallerUnknown, "invalid_api_key", "ends", _suspended),
    Broken(errors.EndedByPurge, "purge_in_progress", "ends", _purged),
    Broken(errors.HoldClosed, "internal_error", "ends", _swept),
)


class Streams:
    """One stream on each endpoint at a time, of one account."""

    def __init__(self, world: World, owner: AccountClient) -> None:
        self._world, self._owner = world, owner
        self.texts: dict[str, list[str]] = {wire.name: [] for wire in STREAMS}

    async def began(self) -> bool:
        return all("".join(words) == FIRST for words in self.texts.values())

    async def errors(self, script: str, meanwhile: Callable[[], Awaitable[None]]) -> dict[str, Any]:
        async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(verify=False), timeout=60) as http:
            reading = {wire: asyncio.create_task(self._error(wire, http, script)) for wire in STREAMS}
            assert await eventually(self.began), self.texts
            await meanwhile()
            return {wire.name: await asyncio.wait_for(task, 60) for wire, task in reading.items()}

    async def _error(self, wire: SdkWire, http: httpx2.AsyncClient, script: str) -> Any:
        client = wire.client(self._world.stack.url, self._owner.customer.token, http)
        body = wire.body(script) | ({"max_tokens": 500} if wire.name == "completions" else {})
        stream = await wire.call(client, {"model": body["model"], "extra_body": body, "stream": True})
        assert stream.response.headers["request-id" if wire.of_anthropic else "x-request-id"]
        try:
            async for event in stream:
                if text := wire.text_of(event):
                    self.texts[wire.name].append(text)
        except (openai.APIError, anthropic.APIError) as raised:
            return raised
        return None


def check(wire: SdkWire, raised: Any, code: str, status: int) -> None:
    if not wire.of_anthropic:
        assert type(raised) is openai.APIError, (wire.name, raised)
        assert (raised.code, raised.type, raised.param) == (code, openai_type(status), None)
        return
    assert isinstance(raised, anthropic.APIStatusError), raised
    assert raised.request_id == raised.response.headers["request-id"]
    error = raised.body["error"]  # type: ignore[index]  # it is an object
    usual = "api_error" if status >= 500 else "invalid_request_error"
    assert (error["type"], error["code"]) == (ERROR_TYPES.get(status, usual), code)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_stream_that_breaks_off(world: World, paced: Paced, case: Broken) -> None:
    owner = await world.open_account(provoked.CREDITS)

    async def meanwhile() -> None:
        if case.meanwhile is None:
            paced.release.set()
        else:
            await case.meanwhile(world, owner)

    raised = await Streams(world, owner).errors(case.script, meanwhile)
    for wire in STREAMS:
        check(wire, raised[wire.name], case.code, TABLE[case.kind].status)
        assert "SECRET" not in str(raised[wire.name])
    charged = await spent(world, owner)
    assert charged > 0 or case.meanwhile is _swept  # before anybody knows what was delivered


async def spent(world: World, owner: AccountClient) -> int:
    """What was charged, once nothing is held."""

    async def settled() -> int | None:
        left, held, _ = await balance(world.stack.owner_url, owner.customer)
        return left if held == 0 else None

    available = await eventually(settled)
    assert available is not None
    return provoked.CREDITS - int(available)


async def test_the_ledger_is_away_when_a_stream_ends(world: World, paced: Paced, postgres: EmbeddedPostgres) -> None:
    owner = await world.open_account(provoked.CREDITS)
    name = sql.Identifier(world.stack.database_url.rpartition("/")[2])
    with psycopg.connect(postgres.url, autocommit=True) as connection:

        async def meanwhile() -> None:
            provoked.cut_off(connection, world.stack)
            paced.release.set()

        try:
            raised = await Streams(world, owner).errors("finishing", meanwhile)
        finally:
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
    assert raised.keys() == {wire.name for wire in STREAMS}
    for wire in STREAMS:
        check(wire, raised[wire.name], "service_unavailable", 503)


async def test_credits_that_run_out_are_no_error(world: World, paced: Paced) -> None:
    """The answer ends as if its limit had been reached."""
    ends = {"chat": '"finish_reason":"length"', "responses": '"type":"response.incomplete"'}
    paced.release.set()
    for wire in STREAMS:
        if wire.name in ends:  # the others have a limit of their own, which is held
            owner = await world.open_account(600)
            answer = await owner.http.post(wire.path, json=wire.body("growing") | {"stream": True})
            text = answer.text.replace(" ", "")
            assert ends[wire.name] in text, text[-500:]
            assert '"error":{' not in text


def test_each_error_of_streams_is_provoked() -> None:
    assert {case.kind for case in CASES} | {errors.ServiceUnavailable} == IN_STREAMS
    assert {case.script for case in CASES} <= SCRIPTS.keys()
