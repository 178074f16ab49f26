"""Large content in sealed parts, one row each. A part opens only at its place among as many parts."""

from collections.abc import Sequence

from db.data_keys import ContentKey

PART_BYTES = 1024 * 1024


def seal(key: ContentKey, content: bytes, *, name: str) -> list[bytes]:
    """Return the parts, at least one. `name` says where they belong: the table, the row and what describes it."""
    view = memoryview(content)
    parts = [bytes(view[at : at + PART_BYTES]) for at in range(0, max(1, len(view)), PART_BYTES)]
    return [key.seal(part, aad=_aad(name, number, len(parts))) for number, part in enumerate(parts)]


def unseal(key: ContentKey, parts: Sequence[bytes], *, name: str) -> bytes:
    """Return the content. Raises `SealBroken` if a part is missing, changed, added, or in another place."""
    return b"".join(key.open(part, aad=_aad(name, number, len(parts))) for number, part in enumerate(parts))


def _aad(name: str, number: int, count: int) -> str:
    return f"{name}|{number}/{count}"
