"""Every snippet of docs/clients.md runs as it stands, in the environment that a comment before it names."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dev.postgres import EmbeddedPostgres
from tests.support.client_environments import environment
from tests.support.own_stack import own_stack
from tests.support.stack import ROOT, Stack

PAGE = ROOT / "docs" / "clients.md"
SNIPPET = re.compile(r"<!-- (\w+) -->\n```(python|js)\n(.*?)```", re.DOTALL)
SECONDS = 120


@dataclass(frozen=True)
class Snippet:
    environment: str
    language: str
    program: str


def snippets() -> dict[str, Snippet]:
    """By the heading above each, and its number there."""
    by_heading: dict[str, Snippet] = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        heading = section.partition("\n")[0]
        for number, match in enumerate(SNIPPET.finditer(section), 1):
            by_heading[f"{heading} {number}"] = Snippet(*match.groups())
    return by_heading


SNIPPETS = snippets()


@pytest.fixture(scope="module")
def stack(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    started = own_stack(postgres, tmp_path_factory, "snippets")
    with started.running("api"):
        yield started


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return stack.account()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not among the stacks' files: those are searched for what the snippets send."""
    with TemporaryDirectory() as name:
        yield Path(name)


def test_every_program_of_the_page_is_one_of_these() -> None:
    text = PAGE.read_text()
    assert len(SNIPPETS) == text.count("```python") + text.count("```js")


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_snippet_prints_an_answer(name: str, stack: Stack, key: str, folder: Path) -> None:
    snippet = SNIPPETS[name]
    installed = environment(snippet.environment)
    program = folder / ("snippet.py" if snippet.language == "python" else "snippet.mjs")
    program.write_text(snippet.program)
    if snippet.language == "js":
        (folder / "node_modules").symlink_to(installed.folder / "node_modules")
    runtime = installed.python if snippet.language == "python" else installed.node
    done = subprocess.run(
        [str(runtime), str(program)],
        env={**os.environ, "YOUT_URL": stack.url, "YOUT_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) > 5
