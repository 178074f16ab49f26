"""How a process ends that cannot go on: one line says what the system refused, where, and what to do."""

import errno
import os

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
