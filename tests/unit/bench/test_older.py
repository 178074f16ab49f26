"""Another commit beside this tree: checked out, installed by its own script, and gone afterwards."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from bench.older import checked_out
from dev.errors import CannotStart

SETUP = "from pathlib import Path\nPath('installed').write_text(Path('version').read_text())\n"


def git(repository: Path, *words: str) -> str:
    own = ("-c", "user.name=A", "-c", "user.email=a@example.test", "-c", "commit.gpgsign=false")
    return subprocess.run(("git", *own, *words), cwd=repository, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits, of which the first is told apart by its `version`."""
    root = tmp_path / "repository"
    (root / "scripts").mkdir(parents=True)
    git(root, "init", "--quiet")
    (root / "scripts" / "setup.py").write_text(SETUP)
    for version in ("old", "new"):
        (root / "version").write_text(version)
        git(root, "add", ".")
        git(root, "commit", "--quiet", "--message", version)
    return root


def worktrees(repository: Path) -> int:
    return git(repository, "worktree", "list").count("\n")


async def test_the_commit_is_installed_by_its_own_script_and_removed(repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "older"
    async with checked_out("HEAD~1", folder, repository) as checkout:
        assert (checkout.root / "installed").read_text() == "old"
        assert checkout.interpreter == folder / ".venv" / "bin" / "python"
        assert worktrees(repository) == 2
    assert not folder.exists()
    assert worktrees(repository) == 1


async def test_a_cancelled_run_leaves_no_checkout(repository: Path, tmp_path: Path) -> None:
    folder, entered = tmp_path / "older", asyncio.Event()

    async def run() -> None:
        async with checked_out("HEAD~1", folder, repository):
            entered.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(run())
    await entered.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not folder.exists()
    assert worktrees(repository) == 1


@pytest.mark.parametrize("commit", ["nothing", "--help", "HEAD~1:version"])
async def test_what_is_no_commit_is_named(repository: Path, tmp_path: Path, commit: str) -> None:
    with pytest.raises(CannotStart, match=f"no commit {commit}"):
        async with checked_out(commit, tmp_path / "older", repository):
            pass


async def test_a_commit_that_cannot_be_installed_leaves_no_checkout(repository: Path, tmp_path: Path) -> None:
    (repository / "scripts" / "setup.py").write_text("raise SystemExit(1)")
    git(repository, "commit", "--quiet", "--all", "--message", "broken")
    with pytest.raises(CannotStart, match="cannot be installed"):
        async with checked_out("HEAD", tmp_path / "older", repository):
            pass
    assert worktrees(repository) == 1
