"""Keys that are derived from the master secret, one for each purpose; and the same from the secrets before it.

Every key that depends on the master secret comes from here, together with those of previous secrets: whoever asks for
one has to say what happens to what an older secret made. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32


class Purpose(Enum):
    """What a key is for: HKDF's salt and info. A new member needs a case in the rotation test."""

    IDEMPOTENCY = (b"yout", b"idempotency")
    STATEMENT_CURSORS = (b"yout", b"statement")
    SIGNED_URLS = (b"yout", b"signed-urls")
    VISITOR_COOKIES = (b"yout", b"visitor-cookies")
    DATA_KEYS = (b"yout", b"data-keys")
    SIGN_IN = (b"yout", b"sign-in")
    TEMPORAL_PAYLOADS = (None, b"yout temporal payloads 1")


@dataclass(frozen=True, slots=True, repr=False)
class DerivedKeys:
    """`current` makes what is new; `previous` only recognise what they made, or what a process that has not been
    restarted with the new secret makes.
    """

    current: bytes = field(repr=False)
    previous: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def every(self) -> tuple[bytes, ...]:
        """The current key first."""
        return (self.current, *self.previous)


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """The master secret, and older ones."""

    current: str = field(repr=False)
    previous: Sequence[str] = field(default=(), repr=False)

    def derive(self, purpose: Purpose) -> DerivedKeys:
        older = [secret for secret in dict.fromkeys(self.previous) if secret != self.current]
        return DerivedKeys(_key(self.current, purpose), tuple(_key(secret, purpose) for secret in older))


def key_id(key: bytes) -> str:
    """Name a derived key beside what it encrypted. The name tells nothing of the key."""
    return sha256(b"id of " + key).hexdigest()[:16]


def _key(secret: str, purpose: Purpose) -> bytes:
    salt, info = purpose.value
    return HKDF(SHA256(), KEY_BYTES, salt=salt, info=info).derive(secret.encode())
