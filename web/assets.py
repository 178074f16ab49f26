"""Static files of the pages: read once, served from memory under a folder that is named by a hash of all of them.

So an address never serves another content, and browsers keep what they have. Files refer to one another relatively.
The stylesheets in `css/` are joined in the order of their names, into `yout.css`.
"""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
STYLES = "css"
STYLESHEET = "yout.css"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
PATH = "/assets/{version}/{name:path}"
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
    styles = sorted((FOLDER / STYLES).glob("*.css"))
    yield STYLESHEET, b"".join(style.read_bytes() for style in styles)
    for path in sorted(FOLDER.rglob("*")):
        name = path.relative_to(FOLDER)
        if path.suffix in TYPES and path.is_file() and name.parts[0] != STYLES:
            yield name.as_posix(), path.read_bytes()
