"""What the tests of a session send to stacks, and a search for it in all that these stacks have left.

A client says which texts it sends; nothing has to be listed by hand. Names of keys are no content, and short
texts are in many places.
"""

import base64
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import source_from_cache
from pathlib import Path
from typing import Any

import httpx2
import pytest

ROOT = Path(__file__).parent.parent.parent
OPEN = frozenset({"name", "note", "reason", "model", "description"})
"""Fields whose texts may lie in the clear."""
MIN_CHARACTERS, MAX_CHARACTERS = 12, 120
"""Characters of a text that is looked for, with two spaces at least: nothing else has such a one by chance."""
OF_TESTS = ("*.toml", "*.json", "*.md", "*.py", "*.txt")
"""Files that tests write themselves, into folders of their own."""
VANISHED = b": No such file or directory"
"""What a server that still runs has removed, after the search had seen its name."""
CLIENTS: Sequence[Any] = (httpx2.Client, httpx2.AsyncClient)


@dataclass(slots=True)
class Sent:
    texts: set[str] = field(default_factory=set)

    def note(self, content: bytes) -> None:
        try:
            body = json.loads(content)
        except ValueError:
            return
        self.texts.update(_texts(body))

    def left_in(self, folder: Path) -> list[str]:
        """The files below the folder that have one of the texts: plain, in base64, hex or UTF-16."""
        if not self.texts or not folder.exists():
            return []
        needles = b"\n".join(sorted({each for text in self.texts for each in _spellings(text)}))
        command = ["grep", "--recursive", "--text", "--files-with-matches", "--fixed-strings", "--file=-"]
        command += [*(f"--exclude={name}" for name in OF_TESTS), str(folder)]
        search = subprocess.run(command, input=needles, capture_output=True, env={"LC_ALL": "C"}, check=False)
        faults = [line for line in search.stderr.splitlines() if not line.endswith(VANISHED)]
        assert search.returncode in (0, 1) or not faults, faults
        return [name for name in search.stdout.decode().splitlines() if not _is_ours(Path(name))]


def _is_ours(file: Path) -> bool:
    """Whether it is a copy of a file of the project, whose examples tests send as well, or made from such a copy."""
    source = Path(source_from_cache(str(file))) if file.suffix == ".pyc" else file
    if not source.is_file():
        return False
    content = source.read_bytes()
    originals = (ROOT.joinpath(*source.parts[first:]) for first in range(1, len(source.parts)))
    return any(each.is_file() and each.read_bytes() == content for each in originals)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in OPEN:
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        text = value.splitlines()[0][:MAX_CHARACTERS] if value.strip() else ""
        if len(text) >= MIN_CHARACTERS and text.count(" ") > 1:
            yield text


def _spellings(text: str) -> Iterator[bytes]:
    plain = text.encode(errors="surrogatepass")
    yield plain
    yield plain.hex().encode()
    yield b"".join(bytes([0, each]) for each in plain)[1:]
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + plain)
        yield coded[4 if shift else 0 : len(coded) // 4 * 4 - 4]


@contextmanager
def recording() -> Iterator[Sent]:
    """Note the bodies of all requests that clients of this process make."""
    sent = Sent()
    with pytest.MonkeyPatch.context() as patch:
        for client in CLIENTS:
            patch.setattr(client, "send", _noting(client.send, sent))
        yield sent


def _noting(send: Any, sent: Sent) -> Any:
    def noting(client: Any, request: Any, **options: Any) -> Any:
        if hasattr(request, "_content"):  # what is read from a stream is not here
            sent.note(request.content)
        return send(client, request, **options)

    return noting
