"""How a process ends that cannot go on: one line says what the system refused, where, and what to do."""

import errno
import os
import subprocess
import sys

import pytest

import exits


@pytest.mark.parametrize("number", ["ENOENT", "ENOTDIR", "EACCES", "EPERM", "EROFS", "ENOSPC"])
def test_what_the_system_refuses_has_a_remedy(number: str) -> None:
    refused = OSError(getattr(errno, number), "text of a library", "/a/folder")
    line, code = exits.describe(refused)
    reason, _, remedy = line.partition(" (/a/folder): ")
    assert reason == os.strerror(refused.errno or 0)
    assert remedy
    assert code == exits.CANNOT_RUN


_OPENS_MANY = """
import os, resource, exits
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
raise SystemExit(exits.run(lambda: print(len([os.dup(0) for _ in range(200)]))))
"""


def test_a_process_may_open_as_many_connections_as_it_can_be_given() -> None:
    """With the usual limit of 1,024, so many idle connections of one client kept everybody else out."""
    opened = subprocess.check_output([sys.executable, "-c", _OPENS_MANY], stdin=subprocess.DEVNULL, text=True)
    assert opened == "200\n"
