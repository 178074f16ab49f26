"""Sealing content with a key of its account: AES-256-GCM, the row it belongs to as associated data.

Each account has a data key, itself wrapped by the master secret; whoever destroys it destroys the content, wherever
copies lie. Pure: entropy is handed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.secrets import KEY_BYTES as KEY_BYTES
from domain.secrets import Purpose, Secrets, key_id

NONCE_BYTES = 12


class SealBroken(Exception):
    """The key is wrong, or the bytes or their `aad` were changed."""


def seal(key: bytes, plain: bytes, *, aad: str, nonce: bytes) -> bytes:
    """`aad` names the table, row and epoch; the result opens there and nowhere else. A nonce is used once."""
    return nonce + AESGCM(key).encrypt(nonce, plain, aad.encode())


def unseal(key: bytes, sealed: bytes, *, aad: str) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad.encode())
    except (InvalidTag, ValueError):  # the latter for bytes that are too short to have a nonce
        raise SealBroken from None


@dataclass(frozen=True, slots=True, repr=False)
class Wrapping:
    """Wraps data keys with the newest master secret, and opens what older ones wrapped."""

    keys: Sequence[bytes] = field(repr=False)

    @classmethod
    def of(cls, master: str, previous: Sequence[str] = ()) -> "Wrapping":
        return cls(Secrets(master, previous).derive(Purpose.DATA_KEYS).every)

    @property
    def current_id(self) -> str:
        """Names the secret that wraps, beside what it wraps: which one does is known without trying all."""
        return key_id(self.keys[0])

    def wrap(self, data_key: bytes, *, aad: str, nonce: bytes) -> bytes:
        return seal(self.keys[0], data_key, aad=aad, nonce=nonce)

    def unwrap(self, wrapped: bytes, *, aad: str) -> bytes:
        """Raises `SealBroken`, as `opener` does."""
        return unseal(self.keys[self.opener(wrapped, aad=aad)], wrapped, aad=aad)

    def opener(self, wrapped: bytes, *, aad: str) -> int:
        """Which of the keys opens it: 0 is the newest."""
        for number, key in enumerate(self.keys):
            try:
                unseal(key, wrapped, aad=aad)
            except SealBroken:
                continue
            return number
        raise SealBroken
