"""Static files of the pages: read once, served from memory under a folder that is named by a hash of all of them.

So an address never serves another content, and browsers keep what they have. Files refer to one another relatively.
"""

import gzip
import hashlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
PATH = "/assets/{version}/{name:path}"
_FOR_EVER = "public, max-age=31536000, immutable"
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

    def answer(self, request: Request) -> Response | None:
        """Return the answer to a request for a file. None if there is no such file.

        The version of another release gets the present file, for the moment in which both are running.
        """
        asset = self.files.get(request.path_params["name"])
        if asset is None:
            return None
        current = request.path_params["version"] == self.version
        headers = {
            "cache-control": _FOR_EVER if current else "no-cache",
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-origin",
            "content-security-policy": "default-src 'none'",
            "vary": "accept-encoding",
        }
        content = asset.content
        if asset.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["content-encoding"] = asset.packed, "gzip"
        return Response(content, headers=headers, media_type=asset.content_type)


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
