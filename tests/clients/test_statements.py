"""What began before a statement's first page and commits after it is in the next statement, and on no page."""

from typing import Any
from uuid import uuid4

import psycopg

from db import ledger
from domain.operations import Grant
from tests.support.account_client import CREDITS, AccountClient
from tests.support.stack import Stack


async def pages(owner: AccountClient, first: dict[str, Any]) -> list[dict[str, Any]]:
    """What all pages have, the first one included."""
    entries, page = list(first["data"]), first
    while page["has_more"]:
        page = await owner.get("/statement/", cursor=page["next"], limit=1)
        entries += page["data"]
    return entries


async def test_what_commits_between_two_pages_is_in_the_next_statement(stack: Stack, owner: AccountClient) -> None:
    account_id = owner.customer.account_id
    for number in range(3):
        await owner.ledger.ask(Grant(account_id, 10 + number, f"early:{uuid4()}"))
    async with await psycopg.AsyncConnection.connect(stack.database_url) as connection:
        await ledger.execute(connection, [Grant(account_id, 500, f"slow:{uuid4()}")])
        first = await owner.get("/statement/", limit=1)
        await connection.commit()
    await owner.ledger.ask(Grant(account_id, 7, f"late:{uuid4()}"))
    entries = await pages(owner, first)
    assert first["opening"]["balance"] + sum(entry["balance"] for entry in entries) == first["closing"]["balance"]
    assert first["closing"]["balance"] == CREDITS + 33
    following = await owner.get("/statement/", since=first["to"], limit=100)
    assert following["opening"] == first["closing"]
    assert [entry["balance"] for entry in following["data"]] == [500, 7]
    whole = await owner.get("/statement/", limit=100)
    assert whole["closing"]["balance"] == CREDITS + 540
    assert whole["data"] == entries + following["data"]
    again = await owner.get("/statement/", since=first["from"], to=first["to"], limit=100)
    assert (again["data"], again["closing"]) == (entries, first["closing"])


async def test_a_period_that_has_not_begun_is_refused(owner: AccountClient) -> None:
    answer = await owner.http.get("/api/billing/statement/", params={"from": "2999-01-01", "to": "2999-02-01"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "from")
