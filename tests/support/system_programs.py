"""Programs of the system that tests need, and that no Python package has."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

SERVERS_PATH = f"{os.defpath}:/usr/sbin:/usr/local/sbin:/sbin"
"""Where servers are: not all users have these folders on their PATH."""


def required(*names: str, package: str, path: str | None = None) -> Path:
    """Return the first of these programs. Without one the test is skipped; in continuous integration it fails.

    `package`: Debian's, which has it.
    """
    for name in names:
        if program := shutil.which(name, path=path):
            return Path(program)
    absent = f"There is no {', no '.join(names)} on the PATH: this test needs it (apt-get install {package})."
    if os.environ.get("CI") == "true":
        pytest.fail(absent)
    pytest.skip(absent)


def wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Wait for a server on the loopback. Raises `AssertionError` with its log if it has ended."""
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.02)
