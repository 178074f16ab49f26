"""A process that cannot start says why in one line: what, where, and what to do. Never a traceback, never a secret."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import fork_server
from tests.support.stack import ROOT, SECRET, Stack


def ended(stack: Stack, module: str, extra: dict[str, str], *, forked: bool = True) -> tuple[int, str]:
    """Its exit code and the line. A start from nothing takes seconds of CPU: one case of each module is one."""
    environment = stack.environment | extra
    if forked:
        done = fork_server.running().finish([module], environment)
    else:
        command = [sys.executable, "-m", module]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stdout
    assert "HIDDEN" not in done.stderr + done.stdout
    for line in done.stdout.splitlines():
        assert json.loads(line)["level"] == "info", line
    return done.returncode, lines[0]


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack("postgresql://nobody:HIDDEN@127.0.0.1:1/yout", tmp_path / "state")


@pytest.mark.parametrize("module", ["api", "worker"])
@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("YOUT_SECRET_KEY", "HIDDEN", "error: YOUT_SECRET_KEY: "),
        ("YOUT_DATABASE_URL", "mysql://HIDDEN", "error: YOUT_DATABASE_URL: write it as postgresql://"),
        ("YOUT_DRAIN", "5", "error: YOUT_DRAIN is now called YOUT_SHUTDOWN_TIMEOUT"),
        ("YOUT_STORAGE_URL", "file://{folder}/file/media", "error: Not a directory ("),
        ("YOUT_CATALOG", "{folder}/catalog.toml", "error: the catalog is not valid: "),
    ],
)
def test_what_stops_a_process(stack: Stack, module: str, name: str, value: str, complaint: str) -> None:
    folder = stack.state.parent
    (folder / "file").write_text("")
    (folder / "catalog.toml").write_text('[models.x]\nname = "HIDDEN"\n')
    more = {name: value.format(folder=folder)}
    code, line = ended(stack, module, more, forked=name != "YOUT_SECRET_KEY")
    assert line.startswith(complaint)
    assert code == 2
    assert SECRET not in line


def test_a_port_that_is_taken(stack: Stack) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", stack.port))
        taken.listen()
        code, line = ended(stack, "api", {})
    assert line == (
        f"error: the API cannot listen at 127.0.0.1:{stack.port} (Address already in use): "
        "end what listens there, or set YOUT_HOST and YOUT_PORT"
    )
    assert code == 2
    code, line = ended(stack, "api", {"YOUT_HOST": "no.such.host.invalid"})
    assert line.startswith("error: the API cannot listen at no.such.host.invalid")
    assert code == 2
