"""Runs lines of `yout` commands one after another, each in a process that is forked with everything imported.

`python -m tests.support.typed_commands` reads them from its standard input. The first that
fails ends it, with its exit code.
"""

import gc
import importlib
import os
import shlex
import sys
from collections.abc import Iterable

import wiring  # noqa: F401  # what most commands import when they run
from cli import command
from tests.support import fork_server


def run(lines: Iterable[str]) -> int:
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        importlib.import_module(command.COMMANDS[words[0]][0].partition(":")[0])
        gc.freeze()  # a round of the collector would copy all of this into each process
        child = os.fork()
        if child == 0:
            fork_server.become(["cli", *words], dict(os.environ))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            sys.stderr.write(f"yout {' '.join(words[:2])}: exit code {code}\n")
            return code
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.stdin))
