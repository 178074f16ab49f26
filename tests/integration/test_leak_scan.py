"""The search for what leaked finds a word wherever and however it may lie: else finding nothing would prove nothing."""

import base64
import gzip
import json
import os
import py_compile
import sqlite3
import string
from pathlib import Path
from random import SystemRandom

import httpx2
import openai
import psycopg
import pytest

from dev.postgres import EmbeddedPostgres
from tests.support import leak_scan
from tests.support.canaries import word
from tests.support.sent import ROOT, recording

CHOICE = SystemRandom()


def prose(length: int) -> str:
    """Something that compresses, so that a database compresses the row."""
    return " ".join("".join(CHOICE.choices(string.ascii_lowercase[:4], k=3)) for _ in range(length))


@pytest.mark.parametrize(
    "written",
    [
        lambda canary: canary.encode(),
        lambda canary: json.dumps({"content": f'"{canary}"\n'}).encode(),
        lambda canary: canary.encode("utf-16-le"),
        lambda canary: canary.encode("utf-16-be"),
        lambda canary: canary.encode().hex().encode(),
        lambda canary: canary.encode().hex().upper().encode(),
        *(lambda canary, before=before: base64.b64encode(b"x" * before + canary.encode()) for before in range(3)),
        *(
            lambda canary, before=before: base64.urlsafe_b64encode(b"x" * before + canary.encode())
            for before in range(3)
        ),
        lambda canary: b"before" + gzip.compress(prose(99).encode() + canary.encode()) + b"after",
    ],
)
def test_a_word_in_a_file(tmp_path: Path, written: object) -> None:
    canary = word()
    assert callable(written)
    (tmp_path / "file").write_bytes(os.urandom(5000) + written(canary) + os.urandom(5000))
    assert leak_scan.of(tmp_path, leak_scan.spellings(canary))
    assert not leak_scan.of(tmp_path, leak_scan.spellings(word(), os.urandom(24)))


def test_bytes_of_a_picture(tmp_path: Path) -> None:
    raw = os.urandom(24)
    (tmp_path / "raw").write_bytes(b"\x89PNG" + raw + b"IEND")
    (tmp_path / "base64").write_bytes(b"data:image/png;base64," + base64.b64encode(b"\x89PNG" + raw + b"IEND"))
    finds = leak_scan.of(tmp_path, leak_scan.spellings(raw))
    assert {Path(find.partition(":")[0]).name for find in finds} == {"raw", "base64"}


def test_a_word_in_a_file_name(tmp_path: Path) -> None:
    canary = word()
    (tmp_path / f"{canary}.png").touch()
    assert leak_scan.of(tmp_path, leak_scan.spellings(canary))


def test_a_row_of_sqlite_that_was_deleted(tmp_path: Path) -> None:
    """As in the database of Temporal's development server."""
    canary = word()
    with sqlite3.connect(tmp_path / "temporal.db") as database:
        database.execute("PRAGMA journal_mode = wal")
        database.execute("CREATE TABLE t (content BLOB)")
        database.execute("INSERT INTO t VALUES (?)", [f"before {canary} after".encode()])
        database.commit()
        assert leak_scan.of(tmp_path, leak_scan.spellings(canary))
    database.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedPostgres:
    return EmbeddedPostgres(tmp_path_factory.mktemp("leaks") / "postgres")


def test_postgresql(server: EmbeddedPostgres) -> None:
    """In a row, in one that was deleted, in an index, in a value that is compressed, and in its log of writes."""
    canary = {name: word() for name in ("row", "deleted", "index", "compressed", "json")}
    with server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE t (name text, content text, body jsonb)")
            connection.execute("CREATE INDEX ON t (content)")
            for name in ("row", "deleted", "index"):
                connection.execute("INSERT INTO t (name, content) VALUES (%s, %s)", [name, f"look: {canary[name]}"])
            connection.execute("DELETE FROM t WHERE name = 'deleted'")
            connection.execute("CREATE TABLE c (body text)")
            connection.execute("INSERT INTO c VALUES (%s)", [prose(3000) + canary["compressed"] + prose(30)])
            body = json.dumps({"text": prose(3000), "content": canary["json"]})
            connection.execute("INSERT INTO t (name, body) VALUES ('json', %s)", [body])
            compressed = connection.execute("SELECT pg_column_compression(body) FROM c").fetchone()
            connection.execute("CHECKPOINT")
        data = server.folder / "data"
        wal = leak_scan.of(data / "pg_wal", leak_scan.spellings(canary["deleted"]))
    assert compressed == ("pglz",)
    assert wal
    for name, each in canary.items():
        finds = leak_scan.of(data / "base", leak_scan.spellings(each))
        assert finds, name
        assert any(" plain in " in find for find in finds) is (name not in ("compressed", "json")), name


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text.encode(),
        lambda text: json.dumps({"event": f"the text {text}"}).encode(),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode().hex().encode(),
        *(lambda text, before=before: base64.b64encode(b"x" * before + text.encode()) for before in range(3)),
    ],
)
async def test_what_tests_sent_is_found_at_their_end(tmp_path: Path, written: object) -> None:
    """A leak that is planted in the log of a stack, as the session's fixture looks for it."""
    sentence = f"an owl called {word()} sings"
    assert callable(written)
    log = tmp_path / "state" / "api.log"
    log.parent.mkdir()
    with recording() as sent:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(200))) as http:
            body = {"model": "test", "name": "a name of a key", "messages": [{"content": [{"text": sentence}]}]}
            await http.post("http://stack.test/", json=body)
    assert sent.texts == {sentence}
    log.write_bytes(os.urandom(5000) + b"a name of a key")
    assert sent.left_in(tmp_path) == []
    log.write_bytes(os.urandom(5000) + written(sentence) + os.urandom(5000))
    assert sent.left_in(tmp_path) == [str(log)]
    log.unlink()  # the session's own search would find it


@pytest.mark.parametrize("name", ["templates/model.html", "schemas.py"])
def test_a_copy_of_the_projects_own_file_is_no_leak(tmp_path: Path, name: str) -> None:
    """Tests send the examples of pages. A file that only has one of them is looked at as any other."""
    original, copy, example = ROOT / "web" / name, tmp_path / "image" / "web" / name, "A lake at dawn"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(original.read_bytes())
    if copy.suffix == ".py":
        py_compile.compile(str(copy))
    with recording() as sent:
        sent.note(json.dumps({"input": example}).encode())
    assert sent.left_in(tmp_path) == []
    (stray := copy.with_suffix(".log")).write_text(example)
    assert sent.left_in(tmp_path) == [str(stray)]
    stray.unlink()


def test_what_the_sdk_sent_is_looked_for_too() -> None:
    with recording() as sent:
        transport = httpx2.MockTransport(lambda _: httpx2.Response(400))
        client = openai.OpenAI(
            base_url="http://stack.test", api_key="x", http_client=httpx2.Client(transport=transport)
        )
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="x", messages=[{"role": "user", "content": "an owl sings here"}])
    assert sent.texts == {"an owl sings here"}
