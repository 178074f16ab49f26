"""Rendering of shared pages: in a program of its own, once for all readers, bounded in number, time and memory."""

import asyncio
import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from starlette.responses import Response

from db.data_keys import ContentKey
from domain.errors import ServiceUnavailable
from gateway.fair_turns import FairTurns
from gateway.shares import PageContent, Published, Shares
from web import rendering, shares
from web.rendering import Renderings, render
from web.shares import SharedPages

KEY = ContentKey(uuid.UUID(int=1), 1, bytes(32))


class SomeShares(Shares):
    """Pages by their slugs, of one account."""

    def __init__(self, **pages: str) -> None:
        self.pages = pages

    async def published(self, slug: str) -> Published | None:
        return Published(slug.encode(), datetime.now(UTC), KEY) if slug in self.pages else None

    async def content(self, page: Published) -> PageContent | None:
        text = self.pages.get(page.digest.decode())
        if text is None:
            return None
        message: dict[str, object] = {"role": "assistant", "text": text, "model": None, "images": [], "omitted": 0}
        return PageContent(orjson.dumps({"title": None}), orjson.dumps([message]))


class UnavailableShares(Shares):
    def __init__(self) -> None:
        pass

    async def published(self, slug: str) -> Published | None:
        raise ServiceUnavailable


class Gate:
    """Renders pages when it is opened, and counts them."""

    def __init__(self) -> None:
        self.opened, self.begun, self.running, self.most = asyncio.Event(), asyncio.Queue[bytes](), 0, 0

    async def render(self, page: bytes) -> bytes:
        self.begun.put_nowait(page)
        self.running += 1
        self.most = max(self.most, self.running)
        await self.opened.wait()
        self.running -= 1
        return b"shown"


async def text_of(answer: Response) -> str:
    pieces = getattr(answer, "body_iterator", None)
    content = bytes(answer.body) if pieces is None else b"".join([piece async for piece in pieces])
    assert int(answer.headers["content-length"]) == len(content)
    return content.decode()


async def test_readers_who_come_together_and_later_share_one_rendering() -> None:
    gate, some = Gate(), SomeShares(a="x", b="y")
    pages = SharedPages(some, None, gate.render)
    readers = [asyncio.create_task(pages.answer("a", gzip=True)) for _ in range(20)]
    await gate.begun.get()
    readers.pop().cancel()
    gate.opened.set()
    assert {(await reader).status_code for reader in readers} == {200}
    assert (await pages.answer("a", gzip=True)).body == b"shown"
    assert gate.begun.empty()
    del some.pages["a"]  # it is taken back: nothing that is remembered shows it
    assert (await pages.answer("a", gzip=True)).status_code == 404
    assert (await pages.answer("b", gzip=True)).status_code == 200
    assert gate.begun.qsize() == 1


async def test_more_pages_than_may_wait_are_answered_with_a_page_that_says_so() -> None:
    gate = Gate()
    pages = SharedPages(SomeShares(**{name: name for name in "abcd"}), None, gate.render, FairTurns(1, 2))
    readers = [asyncio.create_task(pages.answer(name, gzip=True)) for name in "abcd"]
    refused = await readers[3]
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert b"cannot be shown at the moment" in bytes(refused.body)
    gate.opened.set()
    assert {(await reader).status_code for reader in readers[:3]} == {200}
    assert gate.most == 1


async def test_a_page_that_waits_too_long_ends_its_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "TIMEOUT_SECONDS", 0.01)
    gate = Gate()
    pages = SharedPages(SomeShares(a="x"), None, gate.render)
    assert (await pages.answer("a", gzip=True)).status_code == 503
    gate.opened.set()
    monkeypatch.undo()
    assert (await pages.answer("a", gzip=True)).status_code == 200


async def test_the_document_comes_from_another_process_which_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    tell = "import os, sys; sys.stdin.read(); print(os.getpid(), 'YOUT_SECRET_KEY' in os.environ, sys.argv[1:])"
    monkeypatch.setenv("YOUT_SECRET_KEY", "secret")
    pid, *others = (await render(b"{}", (sys.executable, "-c", tell))).split()
    assert int(pid) != os.getpid()
    assert others == [b"False", b"[]"]


async def test_a_page_that_takes_too_much_computing_is_shown_plain() -> None:
    tell = "import os, sys; sys.stdin.read(); sys.argv[1:] or os.kill(os.getpid(), 9); print(sys.argv[1:])"
    assert (await render(b"{}", (sys.executable, "-c", tell))).strip() == b"['plain']"
    with pytest.raises(ServiceUnavailable):
        await render(b"{}", (sys.executable, "-c", "raise SystemExit(1)"))


async def test_a_rendering_that_nobody_awaits_ends(tmp_path: Path) -> None:
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)
    tell = f"import os; open({str(fifo)!r}, 'w').write(str(os.getpid()))\nwhile True: pass"
    task = asyncio.create_task(render(b"{}", (sys.executable, "-c", tell)))
    pid = int(await asyncio.to_thread(fifo.read_text))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("plain", [(), ("plain",)])
async def test_the_program_has_a_limit_of_computing_and_writes_a_page(plain: tuple[str, ...]) -> None:
    text = "**bold**" + " word \N{GREEK SMALL LETTER OMEGA}" * 10_000
    pages = SharedPages(SomeShares(a=text), None, lambda page: render(page, (*rendering.PROGRAM, *plain)))
    shown = await text_of(await pages.answer("a", gzip=False))
    assert ("<strong>bold</strong>" in shown) is (not plain)
    assert shown.count("word") == 10_000
    assert shown.endswith("</html>")
    packed = await pages.answer("a", gzip=True)
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(shown) / 10


def test_what_is_remembered_is_bounded_and_what_is_read_stays() -> None:
    remembered = Renderings(max_bytes=10)
    for name in (b"a", b"b", b"b"):
        remembered.put(name, name * 4)
    assert remembered.get(b"a") == b"aaaa"
    remembered.put(b"c", b"cccc")
    assert [remembered.get(name) for name in (b"a", b"b", b"c")] == [b"aaaa", None, b"cccc"]
    remembered.put(b"d", b"d" * 11)
    assert not any(remembered.get(name) for name in (b"a", b"c", b"d"))


async def test_what_is_remembered_is_sealed() -> None:
    async def in_clear(page: bytes) -> bytes:
        return b"in clear"

    pages = SharedPages(SomeShares(a="x"), None, in_clear)
    assert (await pages.answer("a", gzip=True)).body == b"in clear"
    sealed = pages.renderings.get(b"a")
    assert sealed is not None
    assert b"in clear" not in sealed


async def test_a_page_says_when_the_database_is_away() -> None:
    answer = await SharedPages(UnavailableShares(), None).answer("a", gzip=True)
    assert (answer.status_code, answer.media_type) == (503, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "private, no-store"


async def test_the_operator_is_named_where_there_is_a_page() -> None:
    for contact, address in (("ops@e.test", "mailto:ops@e.test"), ("https://e.test/abuse", "https://e.test/abuse")):
        pages = SharedPages(SomeShares(a="x"), contact)
        assert f'href="{address}"' in await text_of(await pages.answer("a", gzip=False))
        assert contact not in await text_of(await pages.answer("b", gzip=False))
