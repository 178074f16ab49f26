"""The installed program, away from its checkout: the wheel has all that it reads, and serves."""

import json
import os
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from pathlib import Path

import pytest

from db.connections import REVISIONS
from dev.postgres import EmbeddedPostgres
from tests.support.stack import ROOT, Stack, end

PACKAGES = (
    *("activities", "api", "catalog", "cli", "db", "dev", "docs", "domain", "gateway", "outbound", "programs"),
    *("providers", "settings", "storage", "temporal", "tracing", "web", "workflows"),
)
LEFT_OUT = ("docs/images/",)
"""Pictures of the README."""
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "build.cfg").write_text(f"[build]\nbuild_base={folder}/build\n[egg_info]\negg_base={folder}\n")
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BUILD, str(folder)],
        cwd=ROOT,
        env=os.environ | {"DIST_EXTRA_CONFIG": str(folder / "build.cfg")},
        capture_output=True,
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def environment(stack: Stack, installed: Path) -> dict[str, str]:
    """Without the checkout: `-S` reads no file of .venv that leads to it."""
    return stack.environment | {"PYTHONPATH": f"{installed}:{sysconfig.get_path('purelib')}"}


def test_a_wheel_has_every_file_of_its_packages(installed: Path) -> None:
    folders = (folder for package in PACKAGES for folder in (ROOT / package).rglob("*"))
    ours = {str(file.relative_to(ROOT)) for file in folders if file.is_file() and "__pycache__" not in file.parts}
    ours |= {file.name for file in ROOT.glob("*.py")}
    lacking = {name for name in ours if not (installed / name).is_file()}
    assert {name for name in lacking if not name.startswith(LEFT_OUT)} == set()


def test_it_migrates_and_serves(installed: Path, postgres: EmbeddedPostgres, database_url: str, tmp_path: Path) -> None:
    stack = Stack(database_url, tmp_path / "state")
    variables, isolated = environment(stack, installed), [sys.executable, "-S", "-P", "-m"]

    def yout(*words: str) -> str:
        command = [*isolated, "cli", *words]
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(yout("migrate", "--json"))["schema"] == max(REVISIONS)
    assert "demo-chat" in yout("catalog", "check")
    log = (tmp_path / "api.log").open("wb")
    with log, subprocess.Popen([*isolated, "api"], cwd=tmp_path, env=variables, stdout=log, stderr=log) as api:
        try:
            stack.wait_ready(api)
            for path in ("/", "/docs", "/docs/api", "/readyz"):
                with urllib.request.urlopen(stack.url + path, timeout=30) as answer:
                    assert answer.status == 200
        finally:
            end(api)
