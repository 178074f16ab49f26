"""Rendering of shared pages: off the event loop, once for all who come at the same moment, and bounded."""

import asyncio
import threading
import uuid
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any

import pytest

from domain.errors import ServiceUnavailable
from domain.shares import SharedMessage
from gateway.fair_turns import FairTurns
from gateway.shares import Published, Shares
from web import shares
from web.shares import SharedPages


class SomeShares(Shares):
    """Pages by their slugs, of one account."""

    def __init__(self, **pages: str) -> None:
        self.pages = {
            slug: Published(
                slug.encode(), uuid.UUID(int=1), None, datetime.now(UTC), [SharedMessage("assistant", text)]
            )
            for slug, text in pages.items()
        }

    async def published(self, slug: str) -> Published | None:
        return self.pages.get(slug)


class Away(Shares):
    def __init__(self) -> None:
        pass

    async def published(self, slug: str) -> Published | None:
        raise ServiceUnavailable


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets renderings end, and counts them."""
    opened, begun = threading.Event(), SimpleQueue[str]()
    document = shares.document

    def slow(page: Published, operator: str | None) -> str:
        begun.put(threading.current_thread().name)
        opened.wait()
        return document(page, operator)

    monkeypatch.setattr(shares, "document", slow)
    yield opened, begun
    opened.set()


async def test_readers_who_come_together_share_one_rendering(gate: Any) -> None:
    opened, begun = gate
    pages = SharedPages(SomeShares(a="x"), None)
    readers = [asyncio.create_task(pages.answer("a")) for _ in range(20)]
    worker = await asyncio.to_thread(begun.get)
    readers.pop().cancel()
    opened.set()
    assert {(await reader).status_code for reader in readers} == {200}
    assert begun.empty()
    assert worker != threading.main_thread().name
    assert (await pages.answer("a")).status_code == 200
    assert not begun.empty()  # nothing is saved


async def test_more_pages_than_may_wait_are_answered_with_a_page_that_says_so(gate: Any) -> None:
    opened, _ = gate
    pages = SharedPages(SomeShares(**{name: name for name in "abcd"}), None, FairTurns(1, 2))
    readers = [asyncio.create_task(pages.answer(name)) for name in "abcd"]
    refused = await readers[3]
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert b"cannot be shown at the moment" in bytes(refused.body)
    opened.set()
    assert {(await reader).status_code for reader in readers[:3]} == {200}


async def test_a_page_says_when_the_database_is_away() -> None:
    answer = await SharedPages(Away(), None).answer("a")
    assert (answer.status_code, answer.media_type) == (503, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "private, no-store"


async def test_the_operator_is_named_where_there_is_a_page() -> None:
    for contact, address in (("ops@e.test", "mailto:ops@e.test"), ("https://e.test/abuse", "https://e.test/abuse")):
        pages = SharedPages(SomeShares(a="x"), contact)
        assert f'href="{address}"' in bytes((await pages.answer("a")).body).decode()
        assert contact not in bytes((await pages.answer("b")).body).decode()
