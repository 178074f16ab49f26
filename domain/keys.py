"""API keys: `yout-`, 43 base62 characters of entropy, 6 base62 characters of CRC-32 over all before.

The checksum lets a malformed key be refused without a database round trip, and lets secret scanners tell a real key
from a look-alike.
"""

import hashlib
import re
import zlib

PREFIX = "yout-"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
BODY_LENGTH = 43
CHECK_LENGTH = 6
ENTROPY_BYTES = 32
_WELL_FORMED = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{BODY_LENGTH + CHECK_LENGTH}}}", re.ASCII)

SCOPES = frozenset({"chat", "models", "media", "keys", "billing", "webhooks", "share", "purge"})
DEFAULT_SCOPES = SCOPES - {"keys", "purge"}


def base62(value: int, length: int) -> str:
    """Return the last `length` digits. They are made two at a time."""
    digits = []
    for _ in range(0, length, 2):
        value, rest = divmod(value, 62 * 62)
        digits.append(_PAIRS[rest])
    return "".join(reversed(digits))[-length:]


def mint(entropy: bytes) -> str:
    """A new key from 32 random bytes."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a key is made of {ENTROPY_BYTES} random bytes")
    token = PREFIX + base62(int.from_bytes(entropy, "big"), BODY_LENGTH)
    return token + _checksum(token)


def _checksum(head: str) -> str:
    return base62(zlib.crc32(head.encode()), CHECK_LENGTH)


def well_formed(token: str) -> bool:
    """Whether the checksum is right. The key may still not exist."""
    return _WELL_FORMED.fullmatch(token) is not None and token[-CHECK_LENGTH:] == _checksum(token[:-CHECK_LENGTH])


def digest(token: str) -> bytes:
    """What is stored. SHA-256 is enough for 256 random bits, and a slow hash would cap the server's speed."""
    return hashlib.sha256(token.encode()).digest()


def masked(token: str) -> str:
    """How a key is shown after its creation: `yout-Ab3f…9xQ2`."""
    return f"{token[: len(PREFIX) + 4]}…{token[-4:]}"
