"""The snippets of all documents, and how those of a page are run: in one shell, in a folder like a checkout."""

import json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.client_environments import environment
from tests.support.media_samples import picture
from tests.support.stack import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^(?:<!-- ([\w ]+) -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = {"sh", "python", "js"}
STAND_INS = ("make", "docker", "kubectl", "claude", "codex", "pip", "open-webui")
"""Programs that a snippet calls and that no test starts here: they take every word, and end well."""
CURL = ROOT / "tests" / "clients" / "programs" / "curl.py"
CHECKOUT = ("docker-compose.yml", ".env.example", "deploy")
_REFUSED = re.compile(r"^(.*\S)\s+# 4\d\d\b.*$", re.MULTILINE)
"""A line whose comment begins with the status of an error."""
_COMMANDS = re.compile(r"(?:\.venv/bin/yout .*\n)+")
"""Nothing but commands of ours: they are run by one program, since each takes a second to be imported."""
_LEFT_OUT = re.compile(r"(?<=[-\w/])…")
"""The rest of a value that the reader has, such as a key."""
_LINE = "cd {here}; printf '== {language} {number}\\n' >&2\n"


@dataclass(frozen=True, slots=True)
class Snippet:
    page: Path
    declared: str
    """What a comment before it names: the environments in which it is run by itself."""
    language: str
    text: str

    @property
    def name(self) -> str:
        return self.page.relative_to(ROOT).as_posix()


@cache
def snippets() -> list[Snippet]:
    return [
        Snippet(page, declared or "", language, text)
        for page in PAGES
        for declared, language, text in FENCE.findall(page.read_text())
    ]


def of_page(name: str) -> list[Snippet]:
    """Return those that are run together."""
    return [one for one in snippets() if one.name == name and one.language in RUN and not one.declared]


def checkout(folder: Path, dev: Mapping[str, str]) -> None:
    """Make a folder like a checkout in which `make dev` runs; `dev` is what it has published."""
    (folder / ".yout").mkdir()
    (folder / ".yout" / "dev.json").write_text(json.dumps(dev))
    (folder / "photo.png").write_bytes(picture())
    (folder / "my-catalog.toml").write_text("[providers.demo]\nenabled = true\n")
    for name in CHECKOUT:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / name)
    (folder / "node_modules").symlink_to(environment("node").folder / "node_modules")
    _programs(folder)


def _programs(folder: Path) -> None:
    ours = {"python": f'{sys.executable} "$@"', "yout": f'{sys.executable} -m cli "$@"', "temporal": "true"}
    ours["yout-lines"] = f"{sys.executable} -m tests.support.typed_commands"
    program = shutil.which("curl")
    curl = f"{program} -sS --fail-with-body" if program else f"{sys.executable} {CURL} --fail-with-body"
    others = dict.fromkeys(STAND_INS, "true") | {
        "curl": f'{curl} "$@"',
        "node": f'{environment("node").node} "$@"',
        "openssl": "printf '%064d\\n' 7",
        "python3": f'{sys.executable} "$@"',
    }
    for place, programs in ((folder / ".venv" / "bin", ours), (folder / "programs", others)):
        place.mkdir(parents=True)
        for name, command in programs.items():
            (place / name).write_text(f"#!/bin/sh\nexec {command}\n")
            (place / name).chmod(0o700)


def script(folder: Path, page: list[Snippet]) -> str:
    """Return a program for the shell that runs these in their order. Its errors say by `==` which one failed."""
    written = "set -eo pipefail\n"
    for number, one in enumerate(page, 1):
        written += _LINE.format(here=folder, language=one.language, number=number)
        if _COMMANDS.fullmatch(one.text):
            written += f".venv/bin/yout-lines <<'LINES'\n{one.text}LINES\n"
        elif one.language == "sh":
            written += _REFUSED.sub(r"if \1; then exit 9; fi", _LEFT_OUT.sub("x", one.text))
        else:
            file = folder / f"snippet_{number}.{'py' if one.language == 'python' else 'mjs'}"
            file.write_text(one.text)
            written += f"{'.venv/bin/python' if one.language == 'python' else 'node'} {file}\n"
    return written
