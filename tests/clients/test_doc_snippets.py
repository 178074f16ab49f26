"""Every snippet of every document runs: those of a page in their order, in one shell, against one stack.

docs/clients.md names environments for most of its own: `test_client_snippets.py` runs those. What is data is read by
`tests/unit/test_readme.py`: JSON, and TOML as catalogs.
"""

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import pytest
import yaml

from dev.postgres import EmbeddedPostgres
from dev.temporal import EmbeddedTemporal
from temporal import attributes
from tests.support import documents
from tests.support.own_stack import own_stack
from tests.support.stack import ROOT, Stack
from web import reference

EMAIL, PASSWORD = "ann@example.com", "a long sentence"
SECONDS = 240
READ_ELSEWHERE = {"json", "toml", "mermaid", "sql"}
RUN_PAGES = sorted({one.name for one in documents.snippets() if documents.of_page(one.name)})
FOLLOWED_IN_A_CHECKOUT = ("README.md", "docs/quickstart.md")
NEEDS_A_FILE_OR_AN_OPERATOR = {"/metrics", "/api/billing/stripe/webhook/", "/api/media/transcription/"}


@dataclass(frozen=True)
class World:
    stack: Stack
    dev: Mapping[str, str]

    def variables(self, folder: Path) -> dict[str, str]:
        path = f"{folder / 'programs'}{os.pathsep}{os.environ['PATH']}"
        ours = {"YOUT_URL": self.stack.url, "YOUT_KEY": self.dev["api_key"], "PYTHONPATH": str(ROOT), "PATH": path}
        return self.stack.environment | ours


@pytest.fixture(scope="module")
def world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    catalog = "".join(
        one.text for one in documents.snippets() if one.name == "docs/payments.md" and one.language == "toml"
    )
    more = {"YOUT_SHUTDOWN_TIMEOUT": "3", "YOUT_WEBHOOKS_ALLOW_LOOPBACK": "true"}
    with EmbeddedTemporal.temporary(attributes.DEFINITIONS) as server:
        stack = own_stack(postgres, tmp_path_factory, "documents", catalog, temporal=server.address, extra=more)
        with stack.running("worker"), stack.running("api"):
            account = stack.yout("accounts", "create", "--email", EMAIL, "--credits", "50000000")
            token = stack.yout("accounts", "reset-link", EMAIL)["token"]
            answer = httpx2.post(
                f"{stack.url}/api/auth/reset/confirm/", json={"token": token, "password": PASSWORD}, timeout=60
            )
            assert answer.is_success
            address = {"api_url": stack.url, "email": EMAIL, "password": PASSWORD, "codec_token": "none"}
            yield World(stack, address | {"api_key": account["api_key"]})


@pytest.fixture
def folder(world: World) -> Iterator[Path]:
    with TemporaryDirectory() as name:
        documents.checkout(Path(name), world.dev)
        yield Path(name)


def run(program: str, world: World, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = ["bash", "-c", program]
    variables = world.variables(folder)
    return subprocess.run(
        command, env=variables, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_every_snippet_has_something_that_runs_it() -> None:
    """A language that nothing runs or reads is a fault, and so is a fence that this does not see."""
    for page in documents.PAGES:
        fences = len(re.findall(r"^ *```", page.read_text(), re.MULTILINE))
        snippets = [one for one in documents.snippets() if one.page == page]
        assert fences == 2 * len(snippets), page.name
        for one in snippets:
            known = (
                documents.RUN | READ_ELSEWHERE | {"yaml", "ini"} | ({""} if page.name == "ARCHITECTURE.md" else set())
            )
            assert one.language in known, f"{one.name}: nothing runs {one.language}"
            assert not one.declared or one.name == "docs/clients.md", f"{one.name}: nothing knows {one.declared}"


@pytest.mark.parametrize("page", RUN_PAGES)
def test_the_snippets_of_a_page_run(page: str, world: World, folder: Path) -> None:
    program = documents.script(folder, documents.of_page(page))
    before = set(folder.iterdir())
    done = run(program, world, folder)
    assert done.returncode == 0, done.stderr
    if page in FOLLOWED_IN_A_CHECKOUT:
        written = {f"/{one.name}" for one in set(folder.iterdir()) - before}
        assert written
        assert written <= set((ROOT / ".gitignore").read_text().splitlines())
    if page == "docs/quickstart.md":
        assert re.search(r"^lake\.mp4: \d{4,} bytes, for [1-9]\d* credits$", done.stdout, re.MULTILINE)
        assert re.search(r"^failed: [1-9]\d* credits went back$", done.stdout, re.MULTILINE)
        assert '"signature"' in done.stdout


@pytest.mark.parametrize(
    "one", [one for one in documents.snippets() if one.language == "yaml"], ids=lambda one: one.name
)
def test_yaml_names_what_there_is(one: documents.Snippet) -> None:
    parsed = yaml.safe_load(one.text)
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name, service in parsed.get("services", {}).items():
        assert name in services or service["extends"]["service"] in services
    triggers = parsed.get("triggers", parsed.get("spec", {}).get("triggers", []))
    assert parsed.get("services") or triggers
    assert all(trigger["type"] in ("temporal", "prometheus") and trigger["metadata"] for trigger in triggers)


@pytest.mark.parametrize(
    "one", [one for one in documents.snippets() if one.language == "ini"], ids=lambda one: one.name
)
def test_a_configuration_names_the_provider_that_it_describes(one: documents.Snippet) -> None:
    parsed = tomllib.loads(one.text)
    assert parsed["model_provider"] in parsed["model_providers"]


def test_the_calls_of_the_reference_are_answered(world: World, folder: Path) -> None:
    """Those that need no id of something, no file and no session."""
    program = "set -eo pipefail\n"
    for one in reference.load().operations:
        plain = "{" not in one.path and not one.form and one.method in ("GET", "POST")
        if (
            plain
            and "key" in one.callers
            and one.scope not in ("purge", "keys")
            and one.path not in NEEDS_A_FILE_OR_AN_OPERATOR
        ):
            program += f"printf '== {one.id}\\n' >&2\n{reference.curl(one, world.stack.url)} > answer\n"
    done = run(program, world, folder)
    assert done.returncode == 0, done.stderr
    assert program.count("curl ") > 25
