"""Write the lock files: every package that `pyproject.toml` asks for, pinned, with hashes and without addresses.

Keeps what is locked already; `--upgrade` takes the newest of everything, `--upgrade-package NAME` of one.
"""

import os
import subprocess
import sys

from scripts import setup

COMMON = ["--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
PLATFORMS = ["--python-version", "3.11", "--universal"]
CLIENTS = setup.ROOT / "tests" / "clients" / "environments"
"""Environments with other people's clients, for the tests."""
DECODER = setup.ROOT / "deploy" / "decoder"
"""What the image builds its decoder from, and with."""
NPM = [
    "install",
    "--package-lock-only",
    "--omit-lockfile-registry-resolved",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
]
EVERYTHING, PRODUCTION = "requirements.lock", "requirements-production.lock"


def main() -> int:
    uv = setup.find_uv()
    if uv is None:
        setup.say("The lock files are written by uv, which could not be had.")
        return 1
    compile_ = [uv, "pip", "compile", "pyproject.toml", *COMMON, *PLATFORMS]
    commands = (
        [*compile_, "--extra", "dev", "-o", EVERYTHING, *sys.argv[1:]],
        # The same versions as were tested, and nothing that only development needs.
        [*compile_, "--constraint", EVERYTHING, "-o", PRODUCTION],
    )
    environment = {**setup.uv_settings(), **os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    for command in commands:
        subprocess.run(command, cwd=setup.ROOT, env=environment, check=True)
    for name in ("build", "requirements"):
        locked = [uv, "pip", "compile", f"{name}.in", *COMMON, *PLATFORMS, "-o", f"{name}.lock", *sys.argv[1:]]
        subprocess.run(locked, cwd=DECODER, env=environment, check=True)
    client = [uv, "pip", "compile", "requirements.in", *COMMON, *PLATFORMS, "-o", "requirements.lock", *sys.argv[1:]]
    for folder in sorted(path.parent for path in CLIENTS.glob("*/requirements.in")):
        subprocess.run(client, cwd=folder, env=environment, check=True)
        if (folder / "package.json").exists():
            subprocess.run(["npm", *NPM], cwd=folder, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
