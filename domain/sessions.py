"""Sessions of people who are signed in: the secret of a cookie, and how long a session lives. Pure."""

import base64
import re
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

SECRET_BYTES = 32
MAX_SESSIONS = 50
"""The most sessions of a user. One more ends the one that was not seen for the longest time."""
_FORM = re.compile(r"[A-Za-z0-9_-]{43}")


def secret(entropy: bytes) -> str:
    """Write 32 random bytes as a cookie or a link carries them."""
    if len(entropy) != SECRET_BYTES:
        raise ValueError("a secret has 256 bits")
    return base64.urlsafe_b64encode(entropy).rstrip(b"=").decode()


def digest(written: str) -> bytes | None:
    """Return what is stored of a secret. None for a text that cannot be one."""
    return sha256(written.encode()).digest() if _FORM.fullmatch(written) else None


@dataclass(frozen=True, slots=True)
class SessionLifetime:
    idle: timedelta = timedelta(days=14)
    """Without a request, a session ends after this time."""
    absolute: timedelta = timedelta(days=90)
    """It ends after this time in any case."""
