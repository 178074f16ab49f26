"""Published clients of other people, unchanged, each in an environment of its lock file, against a real API process.

A program of `tests/clients/programs` uses one client as its users do and prints what it received. The provider behind
the API behaves like a small model (`tests/support/doubles/scripted_model.py`).
"""

import base64
import json
import os
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pytest

from dev.postgres import EmbeddedPostgres
from tests.support.client_environments import PROGRAMS, environment
from tests.support.doubles.scripted_model import ANSWER, PERSON
from tests.support.scripted_stack import MODEL, scripted_stack
from tests.support.stack import Stack, eventually

PROGRAM_SECONDS = 180

PROGRAM_OF: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "openai-python-3": ("openai3", "openai_chat.py", ()),
    "openai-python-2": ("openai2", "openai_chat.py", ()),
    "openai-node": ("node", "openai_chat.mjs", ()),
    "langchain-python": ("openai3", "langchain_chat.py", ()),
    "langchain-node": ("node", "langchain_chat.mjs", ()),
    "llama-index": ("openai2", "llama_index_chat.py", ()),
    "litellm": ("openai2", "litellm_chat.py", ()),
    "instructor": ("openai2", "instructor_chat.py", ()),
    "pydantic-ai": ("openai3", "pydantic_ai_chat.py", ()),
    "openai-agents": ("openai3", "agents_sdk.py", ()),
    "anthropic-python": ("openai3", "anthropic_messages.py", ()),
    "anthropic-node": ("node", "anthropic_messages.mjs", ()),
    "vercel-ai": ("node", "vercel_ai.mjs", ("compatible", "responses")),
}
"""Each client: its environment, its program, and the program's arguments."""


def png() -> str:
    """A picture of one black pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    header = chunk(b"IHDR", (1).to_bytes(4) + (1).to_bytes(4) + bytes([8, 0, 0, 0, 0]))
    picture = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    return base64.b64encode(picture).decode()


PNG = png()
EXPECTED: dict[str, Any] = {
    "chat": ANSWER,
    "text": ANSWER,
    "stream": ANSWER,
    "structured": PERSON,
    "structured_json": PERSON,
    "structured_stream": PERSON,
    "tool": {"arguments": {"city": "Paris"}, "final": "The tool says: 21 degrees in Paris"},
    "image": f"I see image/png of {len(base64.b64decode(PNG))} bytes.",
    "cancel": 4,
}
"""What every client receives, by what it tried."""

WITHOUT_STATUS = {"instructor"}
"""Clients whose exceptions have no status: they are judged by their class alone."""
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LANGCHAIN_TRACING_V2": "false", "NODE_NO_WARNINGS": "1"}
"""They would call home."""


@pytest.fixture(scope="module")
def stack(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with scripted_stack(postgres, tmp_path_factory, "real_clients") as started:
        yield started


@pytest.fixture(scope="module")
def node_programs() -> Iterator[Path]:
    """The programs where Node.js finds their packages: it looks for `node_modules` beside the file.

    Not among the stacks' files: those are searched for what the programs send.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        for path in PROGRAMS.glob("*.mjs"):
            (folder / path.name).write_text(path.read_text())
        (folder / "node_modules").symlink_to(environment("node").folder / "node_modules")
        yield folder


@dataclass(frozen=True)
class Received:
    """What a client received, by what it tried, and the key that it used."""

    client: str
    key: str
    facts: dict[str, Any]

    def of(self, kind: str) -> list[Any]:
        """The facts of this kind: a client that was tried over two wires has two."""
        return [fact for name, fact in self.facts.items() if name == kind or name.endswith(f"_{kind}")]


@pytest.fixture(scope="module", params=PROGRAM_OF)
def received(request: pytest.FixtureRequest, stack: Stack, node_programs: Path) -> Received:
    name, program, arguments = PROGRAM_OF[request.param]
    key = stack.account(credits=1_000_000)
    installed = environment(name)
    by_node = program.endswith(".mjs")
    command = (
        [str(installed.node), str(node_programs / program)]
        if by_node
        else [str(installed.python), str(PROGRAMS / program)]
    )
    done = subprocess.run(
        [*command, *arguments],
        env={**os.environ, "BASE_URL": f"{stack.url}/v1", "KEY": key, "MODEL": MODEL, "PNG": PNG, **QUIET},
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Received(request.param, key, json.loads(done.stdout))


def test_it_receives_what_the_model_wrote(received: Received) -> None:
    compared = 0
    for name, fact in received.facts.items():
        expected = EXPECTED.get(name, EXPECTED.get(name.rpartition("_")[2]))
        if expected is not None:
            assert plain(fact) == expected, name
            compared += 1
    assert compared >= 3


@pytest.mark.parametrize(("tried", "status"), [("wrong_model", 404), ("wrong_key", 401)])
def test_an_error_is_the_exception_of_its_status(received: Received, tried: str, status: int) -> None:
    for error in received.of(tried):
        assert error["class"] not in (None, "APIConnectionError", "APIResponseValidationError"), error
        assert error["status_code"] == (None if received.client in WITHOUT_STATUS else status), error
    assert received.of(tried) or tried == "wrong_key"


def test_it_lists_the_models(received: Received) -> None:
    for listed in received.of("models"):
        assert MODEL in listed


async def test_nothing_is_held_afterwards_and_all_is_charged(received: Received, stack: Stack) -> None:
    """The stream that was left is closed at the provider, and pays for what it had."""
    async with httpx2.AsyncClient(base_url=stack.url, headers={"authorization": f"Bearer {received.key}"}) as client:

        async def settled() -> dict[str, int] | None:
            limit: dict[str, int] = (await client.get("/api/chat/limit/")).json()
            return limit if limit["held"] == 0 else None

        limit = await eventually(settled)
    assert limit is not None
    assert 0 < 1_000_000 - limit["balance"] < 2_000


def plain(fact: Any) -> Any:
    """Arguments and objects that a client gives as JSON, parsed."""
    if isinstance(fact, dict):
        return {name: plain(value) for name, value in fact.items()}
    if isinstance(fact, str) and fact.startswith("{"):
        return json.loads(fact)
    return fact
