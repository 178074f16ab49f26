"""Make `.venv` and install the locked packages and this project into it. Needs nothing but Python itself.

Runs at the start of every `make` target, so the second time it does nothing but compare one line. It starts on older
Pythons too, to say that they are too old: no syntax in this file may be newer than Python 3.6.
"""

import os
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
DONE = VENV / ".installed"
UNFINISHED = VENV / ".unfinished"

UV_NAMES = {
    # uv does not read pip's configuration: pip's index and certificates are passed to it.
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}


class Impossible(Exception):
    """Why the set-up cannot be done, for the user at the terminal."""


def main() -> int:
    if sys.version_info < OLDEST:
        say("Python {}.{} or newer is needed; this is {}.{}.".format(*OLDEST, *sys.version_info[:2]))
        say("Name another one like this: make dev PYTHON=python3.12")
        return 1
    if installed():
        return 0
    try:
        with_lock(install)
    except Impossible as problem:
        say(str(problem))
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted. The next run starts over.")
        return 130
    return 0


def installed() -> bool:
    """Whether the last finished installation was of exactly these files, for this Python, in this place."""
    return DONE.is_file() and VENV_PYTHON.exists() and DONE.read_text() == fingerprint()


def fingerprint() -> str:
    import hashlib  # here: most runs of this script are over in a moment

    digest = hashlib.sha256()
    for part in (LOCK.read_bytes(), PROJECT.read_bytes(), sys.version.encode(), bytes(VENV)):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def with_lock(work: "Callable[[], None]") -> None:
    """One installation at a time: `make dev` and `make test` may be started together."""
    import fcntl

    descriptor = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not installed():
            work()
    finally:
        os.close(descriptor)


def install() -> None:
    import time

    began = time.monotonic()
    make_environment()
    UNFINISHED.touch()
    DONE.unlink(missing_ok=True)
    uv = find_uv()
    if not (uv and install_with([uv, "pip", "install", "--python", str(VENV_PYTHON)], "uv")):
        say("Installing with pip instead; this takes about a minute …")
        if not install_with([*pip(), "install"], "pip"):
            raise Impossible("The packages could not be installed; the messages above say why.")
    DONE.write_text(fingerprint())
    UNFINISHED.unlink()
    say(f"Installed into {VENV.name} in {time.monotonic() - began:.0f} s.")


def make_environment() -> None:
    """Make `.venv` where there is none, or one that is broken, half finished or of another Python."""
    import subprocess

    if UNFINISHED.exists() or not same_python():
        say(f"Making {VENV.name} with Python {sys.version.split()[0]} …")
        # Without pip it takes 0.2 s instead of 5, and works where a distribution has split off ensurepip.
        result = subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)], check=False)
        if result.returncode != 0:
            raise Impossible(
                f"Python's venv module does not work here. On Debian and Ubuntu: apt install {venv_package()}"
            )


def same_python() -> bool:
    import subprocess

    if not VENV_PYTHON.exists():
        return False
    result = subprocess.run(
        [str(VENV_PYTHON), "-c", "import sys; print(sys.version, sys.prefix)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    return result.stdout.strip() == f"{sys.version} {VENV}".strip()


def install_with(installer: "list[str]", name: str) -> bool:
    """Install what is locked, each file by its hash, then the project itself in place."""
    count = sum(1 for line in LOCK.read_text().splitlines() if line[:1].isalnum())
    say(f"Installing {count} packages with {name} …")
    locked = [*installer, "--quiet", "--require-hashes", "-r", str(LOCK)]
    project = [*installer, "--quiet", "--no-deps", "--no-build-isolation", "-e", str(ROOT)]
    return succeeds(locked) and succeeds(project)


def find_uv() -> "str | None":
    """The uv that is installed, else a new one; None: use pip. uv is faster."""
    import shutil
    import tempfile

    inside = VENV / "bin" / "uv"
    if inside.exists():
        return str(inside)
    uv = shutil.which("uv")
    if uv:
        return uv
    try:
        command = [*pip(), "install", "--quiet"]
    except Impossible:
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write(locked_block("uv") or "uv\n")
        wanted.flush()
        say("Getting uv …")
        return str(inside) if succeeds([*command, "-r", wanted.name]) and inside.exists() else None


def locked_block(name: str) -> str:
    """The lines of one package in the lock: its version and hashes."""
    lines, wanted = [], False
    for line in LOCK.read_text().splitlines():
        if line[:1].isalnum():
            wanted = line.startswith(f"{name}==")
        if wanted:
            lines.append(line)
    return "\n".join(lines)


def pip() -> "list[str]":
    """A pip that installs into `.venv`: the one that Python has, else a new one in it."""
    base = [sys.executable, "-m", "pip", "--python", str(VENV_PYTHON)]
    ours = [str(VENV_PYTHON), "-m", "pip"]
    if succeeds([*ours, "--version"], silent=True):
        return ours
    if succeeds([*base, "--version"], silent=True):
        return base
    if succeeds([str(VENV_PYTHON), "-m", "ensurepip"], silent=True):
        return ours
    raise Impossible(
        f"There is neither uv, nor pip, nor ensurepip for {sys.executable}. "
        f"On Debian and Ubuntu: apt install {venv_package()}"
    )


def succeeds(command: "list[str]", *, silent: bool = False) -> bool:
    import subprocess

    output = subprocess.DEVNULL if silent else None
    environment = None if silent else {**uv_settings(), **os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=output, check=False).returncode == 0


@lru_cache(maxsize=None)  # noqa: UP033  # the new name is too new for this file
def uv_settings() -> "dict[str, str]":
    """pip's package index and certificates in uv's words."""
    import subprocess

    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    settings = [line.partition("=") for line in listed.stdout.splitlines()]
    by_name = {key.rpartition(".")[2]: value.strip("'\"") for key, _, value in settings}
    by_name.update({name: os.environ[pip_name(name)] for name in UV_NAMES if os.environ.get(pip_name(name))})
    several = {name: value.replace("\\n", " ").split() for name, value in by_name.items() if name in UV_NAMES}
    return {UV_NAMES[name]: ("," if name == "find-links" else " ").join(words) for name, words in several.items()}


def pip_name(setting: str) -> str:
    return "PIP_" + setting.upper().replace("-", "_")


def venv_package() -> str:
    return f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
