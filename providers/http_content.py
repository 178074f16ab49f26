"""Decompresses bodies that a provider compressed although `identity` was requested, in pieces and within bounds."""

import zlib
from collections.abc import Iterator

from domain.errors import UpstreamError

PIECE = 65_536
MAX_RATIO = 100
"""The most bytes of output per byte of input, above the first mebibyte."""
_PACKED = ("gzip", "deflate", "br", "zstd", "compress", "dcb", "dcz")
_FREE = 1024 * 1024


class Inflater:
    """Decompresses one body. Raises `UpstreamError` for a broken one, or one that expands too much."""

    def __init__(self, encoding: str) -> None:
        self._gzip = encoding in ("gzip", "x-gzip")
        if not self._gzip and encoding != "deflate":
            raise UpstreamError
        self._inflate = zlib.decompressobj(31) if self._gzip else None
        self._given = 0
        self._made = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inflate is None:  # deflate: with zlib's header, or without
            self._inflate = zlib.decompressobj(15 if data[:1] and data[0] & 0x0F == 8 else -15)
        self._given += len(data)
        while data and not self._inflate.eof:
            try:
                piece = self._inflate.decompress(data, PIECE)
            except zlib.error:
                raise UpstreamError from None
            data = self._inflate.unconsumed_tail
            self._made += len(piece)
            if self._made > _FREE + MAX_RATIO * self._given:
                raise UpstreamError
            if piece:
                yield piece

    def end(self) -> None:
        """Raises `UpstreamError` if the body was cut off. An empty body is complete."""
        if self._given and (self._inflate is None or not self._inflate.eof):
            raise UpstreamError


def inflater(encoding: str) -> Inflater | None:
    """Return the decompressor of a `content-encoding`, or None for an uncompressed body.

    None also when a server names a charset there.
    """
    encoding = encoding.strip().lower()
    return Inflater(encoding) if any(name in encoding for name in _PACKED) else None
