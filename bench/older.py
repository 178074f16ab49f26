"""Another commit of this repository, checked out and installed beside this tree for as long as a run takes."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.stack import ROOT, Checkout
from dev.child import Program, finish
from dev.errors import CannotStart


@asynccontextmanager
async def checked_out(commit: str, folder: Path, repository: Path = ROOT) -> AsyncIterator[Checkout]:
    """The commit in `folder`, with a `.venv` made by the commit's own script. Nothing of it is left afterwards."""
    if await _code(repository, "git", "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"):
        raise CannotStart(f"{repository} has no commit {commit}")
    try:
        if await _code(repository, "git", "worktree", "add", "--detach", "--quiet", str(folder), commit):
            raise CannotStart(f"git cannot check out {commit} in {folder}")
        if await _code(folder, _base_interpreter(), "scripts/setup.py"):
            raise CannotStart(f"{commit} cannot be installed: its scripts/setup.py failed")
        yield Checkout(folder, folder / ".venv" / "bin" / "python")
    finally:
        _remove(folder, repository)


def _remove(folder: Path, repository: Path) -> None:
    """Waits for git: a run that is cancelled once more must not leave the checkout behind."""
    for words in (("remove", "--force", "--force", str(folder)), ("prune",)):
        subprocess.run(("git", "worktree", *words), cwd=repository, capture_output=True, check=False)


def _base_interpreter() -> str:
    """The interpreter that made our environment, and that knows how packages are got on this machine."""
    return str(Path(sys.executable).resolve())


async def _code(folder: Path, *command: str) -> int:
    """The exit code. Programs of our environment, such as uv, are found before others."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    program = Program(name=command[0], command=command, environment={**os.environ, "PATH": path}, folder=folder)
    try:
        done = await finish(program)
    except FileNotFoundError:
        raise CannotStart(f"{command[0]} is not installed") from None
    if done.code:
        sys.stderr.write(f"{done.errors or done.output}\n")
    return done.code
