"""Saved content at rest: nothing of it can be read in the tables, and it opens only where it was written."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from db.conversations import ADDED_AT_ONCE, MAX_PAGE_BYTES
from db.data_keys import ContentKey, Sealing
from db.engine import Database
from db.writer import LedgerWriter
from domain.conversations import MAX_MESSAGES, Conversation, SavedMessage
from domain.errors import NotFound
from domain.sealing import SealBroken
from gateway.body_budget import BodyBudget
from gateway.conversations import SEALED_AT_ONCE, Conversations, NewConversation, Search
from gateway.fair_turns import FairTurns
from tests.support.bank import WRAPPING, Customer, open_account

CANARY = "canary-7f3a"
MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": f"{CANARY} first"},
    {"role": "assistant", "content": f"{CANARY} second"},
]


@pytest.fixture
def conversations(database: Database) -> Conversations:
    return Conversations(database, Sealing(WRAPPING), FairTurns())


@pytest.fixture
async def customer(database: Database, ledger: LedgerWriter) -> Customer:
    return await open_account(database, ledger, 0)


async def made(conversations: Conversations, customer: Customer) -> Conversation:
    return (await conversations.create(customer.account_id, NewConversation(messages=MESSAGES)))[0]


async def read_whole(
    conversations: Conversations, account_id: UUID, conversation_id: UUID
) -> tuple[Conversation, list[SavedMessage]]:
    with BodyBudget(2**24).claim() as claim:
        return await conversations.read(account_id, conversation_id, claim)


async def run(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(statement.encode(), values)
        return await cursor.fetchall() if cursor.description else []


async def test_nothing_of_it_is_in_the_tables(
    conversations: Conversations, customer: Customer, database_url: str
) -> None:
    one = await made(conversations, customer)
    assert CANARY in one.title
    for table in ("conversations", "messages"):
        rows = await run(database_url, f"SELECT t::text, t::text::bytea FROM {table} t")
        assert rows
        for text, raw in rows:
            assert CANARY not in text
            assert CANARY.encode() not in raw
            assert CANARY.encode().hex() not in text


@pytest.mark.parametrize(
    "swap",
    [
        "UPDATE messages SET position = 3 WHERE position = 1",
        "UPDATE messages m SET sealed = o.sealed FROM messages o WHERE m.position = 1 AND o.position = 2"
        " AND o.conversation_id = m.conversation_id",
        "UPDATE messages m SET sealed = o.sealed FROM messages o WHERE m.position = o.position"
        " AND o.conversation_id <> m.conversation_id",
        "UPDATE messages SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1)",
    ],
)
async def test_a_message_opens_only_at_its_own_place(
    conversations: Conversations, customer: Customer, database_url: str, swap: str
) -> None:
    one, _ = [await made(conversations, customer) for _ in range(2)]
    assert [m.message["content"] for m in (await read_whole(conversations, customer.account_id, one.id))[1]] == [
        message["content"] for message in MESSAGES
    ]
    await run(database_url, swap)
    with pytest.raises(SealBroken):
        await read_whole(conversations, customer.account_id, one.id)


async def test_a_title_opens_only_for_its_own_conversation(
    conversations: Conversations, customer: Customer, database_url: str
) -> None:
    one, other = [await made(conversations, customer) for _ in range(2)]
    await run(
        database_url, "UPDATE conversations SET title = (SELECT title FROM conversations WHERE id = %s)", other.id
    )
    with pytest.raises(SealBroken):
        await conversations.find(customer.account_id, one.id)


async def test_another_accounts_row_never_opens(
    conversations: Conversations, customer: Customer, database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    other = await open_account(database, ledger, 0)
    one = await made(conversations, customer)
    await run(database_url, "UPDATE conversations SET account_id = %s WHERE id = %s", other.account_id, one.id)
    with pytest.raises(SealBroken):
        await read_whole(conversations, other.account_id, one.id)
    with pytest.raises(NotFound):
        await read_whole(conversations, customer.account_id, one.id)


async def test_what_lies_in_an_earlier_epoch_is_not_found(
    conversations: Conversations, customer: Customer, database: Database, database_url: str
) -> None:
    one = await made(conversations, customer)
    await run(database_url, "UPDATE conversations SET epoch = 0 WHERE id = %s", one.id)
    with pytest.raises(NotFound):
        await read_whole(conversations, customer.account_id, one.id)
    assert (await conversations.listed(customer.account_id, Search(10))).data == []
    assert await conversations.delete_all(customer.account_id) == 0


async def test_others_have_the_event_loop_while_many_messages_are_saved(
    conversations: Conversations, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not more of them are sealed, or handed to the database, than a few at once."""
    turns, sealed, written = 0, Counter[int](), list[int]()
    seal, execute = ContentKey.seal, AsyncConnection.execute

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def noted_seal(key: ContentKey, plain: bytes, *, aad: str) -> bytes:
        sealed[turns] += 1
        return seal(key, plain, aad=aad)

    async def noted_execute(connection: AsyncConnection, statement: Any, values: Any = None, **more: Any) -> Any:
        written.append(len(values) if isinstance(values, list) else 1)
        return await execute(connection, statement, values, **more)

    monkeypatch.setattr(ContentKey, "seal", noted_seal)
    monkeypatch.setattr(AsyncConnection, "execute", noted_execute)
    spinning = asyncio.create_task(others())
    many = [{"role": "user", "content": str(number)} for number in range(MAX_MESSAGES)]
    one, _ = await conversations.create(customer.account_id, NewConversation("A", many))
    spinning.cancel()
    monkeypatch.undo()
    assert sealed.total() == MAX_MESSAGES + 1
    assert max(sealed.values()) <= SEALED_AT_ONCE + 1
    assert max(written) == ADDED_AT_ONCE
    read = (await read_whole(conversations, customer.account_id, one.id))[1]
    assert [message.message for message in read] == many
    page = await conversations.page(customer.account_id, one.id, MAX_MESSAGES - 1, 100)
    assert ([message.position for message in page.messages], page.next) == ([MAX_MESSAGES], None)


async def test_a_page_of_large_messages_is_short(conversations: Conversations, customer: Customer) -> None:
    sizes = (MAX_PAGE_BYTES // 2 - 1000, MAX_PAGE_BYTES // 2 - 1000, 1, MAX_PAGE_BYTES * 2, 1)
    many = [{"role": "user", "content": "x" * size} for size in sizes]
    one, _ = await conversations.create(customer.account_id, NewConversation("A", many))
    pages, after = list[int](), 0
    while True:
        page = await conversations.page(customer.account_id, one.id, after, 100)
        pages.append(len(page.messages))
        if page.next is None:
            break
        after = page.next
    assert pages == [3, 1, 1]
