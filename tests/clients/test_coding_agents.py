"""Two coding agents end to end, as their users run them: each mends a file with its own shell tool."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import pytest

from dev.postgres import EmbeddedPostgres
from tests.support.client_environments import Environment, environment
from tests.support.scripted_stack import scripted_stack
from tests.support.stack import Stack

CODEX_CONFIG = """
model = "test-scripted"
model_provider = "yout"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
analytics.enabled = false
features = {{ plugins = false, apps = false }}

[model_providers.yout]
name = "Yout"
base_url = "{url}/v1"
env_key = "YOUT_KEY"
wire_api = "responses"
"""
TASK = "Mend the spelling in notes.txt"
SECONDS = 150


@pytest.fixture(scope="module")
def stack(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with scripted_stack(postgres, tmp_path_factory, "agents") as started:
        yield started


@pytest.fixture(scope="module")
def agents() -> Environment:
    return environment("agents")


@pytest.fixture
def work() -> Iterator[Path]:
    """A folder with a home, and the project with the file to mend. Not among the stacks' files, which are searched."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "home").mkdir()
        (folder / "project").mkdir()
        (folder / "project" / "notes.txt").write_text("teh notes\n")
        subprocess.run(["git", "init", "--quiet"], cwd=folder / "project", check=True)
        yield folder


def finish(command: list[str], work: Path, agents: Environment, variables: dict[str, str]) -> str:
    path = f"{agents.node.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=work / "project",
        env={"PATH": path, "HOME": str(work / "home"), "TERM": "dumb", "LANG": "C.UTF-8", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout + done.stderr


def charged(stack: Stack, key: str) -> int:
    """What the key's account has paid, with nothing held any more."""
    limit = httpx2.get(f"{stack.url}/api/chat/limit/", headers={"authorization": f"Bearer {key}"}).json()
    assert limit["held"] == 0
    return 1_000_000 - int(limit["balance"])


def test_codex_mends_a_file_over_responses(stack: Stack, agents: Environment, work: Path) -> None:
    key = stack.account()
    folder = work / "home" / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(CODEX_CONFIG.format(url=stack.url))
    program = agents.script("@openai/codex", "bin/codex.js")
    command = [str(agents.node), str(program), "exec", "--skip-git-repo-check", TASK]
    finish(command, work, agents, {"YOUT_KEY": key, "CODEX_HOME": str(folder)})
    assert (work / "project" / "notes.txt").read_text() == "the notes\n"
    assert charged(stack, key) > 0


def test_claude_code_mends_a_file_over_messages(stack: Stack, agents: Environment, work: Path) -> None:
    key = stack.account()
    program = next((agents.folder / "node_modules").glob("@anthropic-ai/claude-code-linux-*/claude"))
    variables = {
        "ANTHROPIC_BASE_URL": stack.url,
        "ANTHROPIC_AUTH_TOKEN": key,
        "ANTHROPIC_MODEL": "test-scripted",
        "ANTHROPIC_SMALL_FAST_MODEL": "test-scripted",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    finish([str(program), "--print", "--allowedTools", "Bash", "--", TASK], work, agents, variables)
    assert (work / "project" / "notes.txt").read_text() == "the notes\n"
    assert charged(stack, key) > 0
