"""Static files of the pages: read once, served from memory under a folder that is named by a hash of all of them.

So an address never serves another content, and browsers keep what they have. Files refer to one another relatively.
The stylesheets in `css/` are joined in the order of their names, into `yout.css`, which every page has. Those of a
folder in it are joined too, such as `css/chat/` into `chat.css`: for the pages that name it.
"""

import gzip
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
STYLES = "css"
STYLESHEET = "yout.css"
SCRIPTS = "js"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
PATH = "/assets/{version}/{name:path}"
_COMMENTS = re.compile(
    rb"^[ \t]*//[^\n]*\n|^[ \t]*/\*\*(?:(?!\*/).)*\*/[ \t]*\n|/\*\*(?:(?!\*/).)*\*/ ?", re.DOTALL | re.MULTILINE
)
"""Types and explanations of our own scripts: for those who read the source, not for browsers."""
_STYLE_COMMENTS = re.compile(rb"[ \t]*/\*.*?\*/\n?", re.DOTALL)
_PACKED = (".css", ".js", ".mjs", ".svg", ".txt")


@dataclass(frozen=True, slots=True)
class Asset:
    content_type: str
    content: bytes = field(repr=False)
    packed: bytes | None
    """With gzip, if that is smaller."""


@dataclass(frozen=True, slots=True)
class Assets:
    version: str
    files: dict[str, Asset]

    def url(self, name: str) -> str:
        """Return the address of a file. Raises `KeyError` if there is none."""
        _ = self.files[name]
        return f"/assets/{self.version}/{name}"


@cache
def load() -> Assets:
    files, digest = {}, hashlib.sha256()
    for name, content in _contents():
        suffix = Path(name).suffix
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
        packed = gzip.compress(content, mtime=0) if suffix in _PACKED else None
        smaller = packed if packed is not None and len(packed) < len(content) else None
        files[name] = Asset(TYPES[suffix], content, smaller)
    return Assets(digest.hexdigest()[:16], files)


def _contents() -> Iterator[tuple[str, bytes]]:
    styles = FOLDER / STYLES
    for folder in (styles, *sorted(each for each in styles.iterdir() if each.is_dir())):
        name = STYLESHEET if folder == styles else f"{folder.name}.css"
        joined = b"".join(style.read_bytes() for style in sorted(folder.glob("*.css")))
        yield name, _STYLE_COMMENTS.sub(b"", joined)
    for path in sorted(FOLDER.rglob("*")):
        place = path.relative_to(FOLDER)
        if path.suffix in TYPES and path.is_file() and place.parts[0] != STYLES:
            content = path.read_bytes()
            yield place.as_posix(), _COMMENTS.sub(b"", content) if place.parts[0] == SCRIPTS else content
