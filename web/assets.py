"""Static files of the pages: read once, served from memory under a folder that is named by a hash of all of them.

So an address never serves another content, and browsers keep what they have. Files refer to one another relatively.
"""

import gzip
import hashlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
PATH = "/assets/{version}/{name:path}"
_PACKED = (".css", ".svg", ".txt")


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
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix not in TYPES or not path.is_file():
            continue
        name, content = path.relative_to(FOLDER).as_posix(), path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
        packed = gzip.compress(content, mtime=0) if path.suffix in _PACKED else None
        smaller = packed if packed is not None and len(packed) < len(content) else None
        files[name] = Asset(TYPES[path.suffix], content, smaller)
    return Assets(digest.hexdigest()[:16], files)
