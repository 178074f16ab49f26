"""Sessions of people who have signed in: how many there are, when they end, and when they were seen."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from db.engine import Database
from domain.errors import CallerUnknown
from gateway import sign_in, sign_up
from gateway.people import People
from tests.support.people import HOME, PASSWORD, caller, network, opened, outcomes

ANN = "ann@example.test"


@pytest.fixture
async def people(database: Database) -> AsyncIterator[People]:
    async with opened(database) as service:
        yield service


async def test_a_user_has_a_bounded_number_of_sessions(people: People) -> None:
    first = await sign_up.sign_up(people, ANN, PASSWORD, HOME)
    for begin in range(0, 60, 10):
        await outcomes(*(sign_in.sign_in(people, ANN, PASSWORD, network(n)) for n in range(begin, begin + 10)))
    newest = await caller(people, await sign_in.sign_in(people, ANN, PASSWORD, HOME))
    assert len(await people.sessions.listed(newest)) == 50
    with pytest.raises(CallerUnknown):
        await caller(people, first)


async def test_a_session_ends_by_itself(people: People, database_url: str) -> None:
    for column, age in (("last_seen_at", "15 days"), ("expires_at", "91 days")):
        begun = await sign_up.sign_up(people, f"{column}@example.test", PASSWORD, HOME)
        await caller(people, begun)
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await connection.execute(f"UPDATE sessions SET {column} = {column} - interval '{age}'".encode())
        with pytest.raises(CallerUnknown):
            await caller(people, begun)


async def test_a_session_that_is_used_is_seen(people: People, database_url: str) -> None:
    begun = await sign_up.sign_up(people, ANN, PASSWORD, HOME)
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("UPDATE sessions SET last_seen_at = last_seen_at - interval '1 day'")
    who = await caller(people, begun)
    (listed,) = await people.sessions.listed(who)
    assert listed.last_seen_at >= listed.created_at
