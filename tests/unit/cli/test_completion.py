"""Completion in a shell: what is printed asks `yout`, and `yout` answers with commands, options and choices."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.command import yout
from cli.completion import VARIABLE
from tests.support.stack import ROOT


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_is_printed_asks_for_completions(shell: str) -> None:
    printed = CliRunner().invoke(yout, ["completion", shell])
    assert printed.exit_code == 0
    assert f"{VARIABLE}={shell}_complete" in printed.stdout
    assert printed.stderr == ""


@pytest.mark.parametrize(("typed", "offered"), [("e", "export"), ("--b", "--by"), ("r", "report")])
def test_usage_completes_its_commands_and_the_options_of_the_report(typed: str, offered: str) -> None:
    environment = {VARIABLE: "bash_complete", "COMP_WORDS": f"yout usage {typed}", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "cli"], env={**os.environ, **environment}, cwd=ROOT, capture_output=True
    )
    assert f"plain,{offered}" in done.stdout.decode().split()


def test_bash_completes_the_choices_of_an_option(tmp_path: Path) -> None:
    """By what is printed, in a real bash."""
    bash = shutil.which("bash")
    assert bash is not None
    program = tmp_path / "yout"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli "$@"\n')
    program.chmod(0o755)
    script = CliRunner().invoke(yout, ["completion", "bash"]).stdout
    typed = 'COMP_WORDS=(yout usage export --format p) COMP_CWORD=4\n_yout_completion yout p\necho "${COMPREPLY[@]}"\n'
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.defpath}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([bash, "-c", script + typed], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "parquet\n"
