"""Every snippet of docs/clients.md runs as it stands, in the environments that a comment before it names."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from dev import ports
from dev.postgres import EmbeddedPostgres
from dev.temporal import EmbeddedTemporal
from temporal import attributes
from tests.support.client_environments import environment
from tests.support.own_stack import own_stack
from tests.support.stack import ROOT, Stack

PAGE = ROOT / "docs" / "clients.md"
SNIPPET = re.compile(r"<!-- ([\w ]+) -->\n```(python|js|sh)\n(.*?)```", re.DOTALL)
FILES = {"python": "snippet.py", "js": "snippet.mjs", "sh": "snippet.sh"}
SECONDS = 120
RECEIVER = "receiver"
STAND_IN = ROOT / "tests" / "clients" / "programs" / "curl.py"


@dataclass(frozen=True)
class Snippet:
    environment: str
    language: str
    program: str
    receives: bool
    """It is a server that receives webhooks."""

    def command(self, folder: Path) -> list[str]:
        """Write it into the folder, and return how it is run there."""
        program = folder / FILES[self.language]
        program.write_text(self.program)
        if self.language == "sh":
            return ["sh", "-eu", str(program)]
        installed = environment(self.environment)
        if self.language == "js":
            (folder / "node_modules").symlink_to(installed.folder / "node_modules")
        return [str(installed.python if self.language == "python" else installed.node), str(program)]


def snippets() -> dict[str, Snippet]:
    """By the heading above each, its number there, and its environment if it runs in several."""
    by_name: dict[str, Snippet] = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        heading = section.partition("\n")[0]
        for number, match in enumerate(SNIPPET.finditer(section), 1):
            named, language, program = match.groups()
            *environments, last = named.split()
            if last != RECEIVER:
                environments.append(last)
            for each in environments:
                by_name[f"{heading} {number} {each}"] = Snippet(each, language, program, last == RECEIVER)
    return by_name


SNIPPETS = snippets()
RECEIVERS = [name for name, snippet in SNIPPETS.items() if snippet.receives]


@pytest.fixture(scope="module")
def stack(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    more = {"YOUT_SHUTDOWN_TIMEOUT": "3", "YOUT_WEBHOOKS_ALLOW_LOOPBACK": "true"}
    with EmbeddedTemporal.temporary(attributes.DEFINITIONS) as server:
        started = own_stack(postgres, tmp_path_factory, "snippets", temporal=server.address, extra=more)
        with started.running("worker"), started.running("api"):
            yield started


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return stack.account()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not among the stacks' files: those are searched for what the snippets send."""
    with TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def variables(stack: Stack, key: str, folder: Path) -> dict[str, str]:
    ours = {"YOUT_URL": stack.url, "YOUT_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    if shutil.which("curl"):
        return {**os.environ, **ours}
    programs = folder / "programs"
    programs.mkdir()
    (programs / "curl").write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n')
    (programs / "curl").chmod(0o700)
    return {**os.environ, **ours, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def test_every_program_of_the_page_is_one_of_these() -> None:
    text = PAGE.read_text()
    assert len({snippet.program for snippet in SNIPPETS.values()}) == text.count("```python") + text.count("```js") + 1


@pytest.mark.parametrize("name", [name for name in SNIPPETS if name not in RECEIVERS])
def test_a_snippet_prints_an_answer(name: str, variables: dict[str, str], folder: Path) -> None:
    done = subprocess.run(
        SNIPPETS[name].command(folder),
        env=variables,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) > 5
    assert all(file.stat().st_size > 1000 for file in folder.iterdir() if file.suffix in (".png", ".mp3", ".mp4"))


def until_printed(running: subprocess.Popen[str], text: str) -> str:
    """What it prints up to that text; all of it if that never comes: then it is killed."""
    printed = ""
    too_late = threading.Timer(SECONDS, running.kill)
    too_late.start()
    for line in running.stdout or ():
        printed += line
        if text in line:
            break
    too_late.cancel()
    return printed


@pytest.mark.parametrize("name", RECEIVERS)
def test_a_snippet_receives_what_happens(
    name: str, stack: Stack, key: str, variables: dict[str, str], folder: Path
) -> None:
    def post(path: str, body: object) -> Any:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        request = urllib.request.Request(f"{stack.url}{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.load(answer)

    port = ports.free()
    endpoint = post("/api/webhooks/", {"url": f"http://127.0.0.1:{port}/hook"})
    running = subprocess.Popen(
        SNIPPETS[name].command(folder),
        env={**variables, "WEBHOOK_SECRET": endpoint["secret"], "PORT": str(port)},
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        job = post("/api/media/image/", {"model": "demo-image", "prompt": "x", "size": "64x64"})
        printed = until_printed(running, job["job_uuid"])
    finally:
        running.kill()
        running.communicate()
    assert "job.succeeded" in printed
    assert job["job_uuid"] in printed
