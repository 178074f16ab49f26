"""Receipts of purges: JSON that is signed with Ed25519 over its canonical form (RFC 8785), each naming the one before.

Pure. `tests/support/receipt_verifier.py` verifies them with other means.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import new as hmac
from typing import Any
from uuid import UUID

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALGORITHM = "Ed25519"
SIGNATURE = "signature"
SEED_BYTES = 32
MAX_EXACT = 2**53 - 1
"""The largest integer that JSON carries exactly (RFC 8785). A larger one is written as text."""


class ReceiptInvalid(Exception):
    """A receipt is not as it was signed, or not in its place. The text says what is wrong."""


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """An Ed25519 key. Its name (`kid`) is the thumbprint of its public half (RFC 7638)."""

    seed: bytes = field(repr=False)

    @property
    def public(self) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()

    @property
    def kid(self) -> str:
        return thumbprint(self.public)

    def sign(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body with the key's name and its signature of all of it."""
        signed = {**body, "alg": ALGORITHM, "kid": self.kid}
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(rfc8785.dumps(signed))
        return {**signed, SIGNATURE: _encoded(signature)}

    def subject(self, account_id: UUID) -> str:
        """A keyed hash in place of an account's id. Equal in all receipts that this key signs."""
        key = sha256(b"yout receipt subject|" + self.seed).digest()
        return hmac(key, account_id.bytes, sha256).hexdigest()


def exact(number: int) -> int | str:
    return number if abs(number) <= MAX_EXACT else str(number)


def thumbprint(public: bytes) -> str:
    required = {"crv": ALGORITHM, "kty": "OKP", "x": _encoded(public)}
    return _encoded(sha256(rfc8785.dumps(required)).digest())


def jwk(public: bytes) -> dict[str, str]:
    """A public key as RFC 8037 writes it."""
    of = {"kty": "OKP", "crv": ALGORITHM, "x": _encoded(public)}
    return {**of, "kid": thumbprint(public), "alg": "EdDSA", "use": "sig"}


def digest(receipt: Mapping[str, Any]) -> bytes:
    """Hash the whole receipt with its signature: what the next one names as `previous`."""
    return sha256(rfc8785.dumps(dict(receipt))).digest()


def verify(receipt: Mapping[str, Any], keys: Mapping[str, bytes]) -> None:
    """Raises `ReceiptInvalid` unless one of the public keys, by its name, signed exactly this."""
    signed = {name: value for name, value in receipt.items() if name != SIGNATURE}
    public = keys.get(str(receipt.get("kid")))
    if public is None:
        raise ReceiptInvalid("it was signed with a key that this server does not know")
    try:
        signature = _decoded(str(receipt.get(SIGNATURE, "")))
        Ed25519PublicKey.from_public_bytes(public).verify(signature, rfc8785.dumps(signed))
    except (InvalidSignature, ValueError, rfc8785.CanonicalizationError):
        raise ReceiptInvalid("its signature does not match its content") from None


def verify_chain(receipts: list[dict[str, Any]], keys: Mapping[str, bytes]) -> None:
    """Verify all receipts of a server, in order. Raises `ReceiptInvalid`."""
    previous: str | None = None
    for number, receipt in enumerate(receipts, start=1):
        try:
            verify(receipt, keys)
        except ReceiptInvalid as invalid:
            raise ReceiptInvalid(f"receipt {number}: {invalid}") from None
        if receipt.get("number") != number or receipt.get("previous") != previous:
            raise ReceiptInvalid(f"receipt {number} does not follow the one before it")
        previous = digest(receipt).hex()


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    """Raises `ValueError` for any spelling but that of `_encoded`."""
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _encoded(raw) != text:
        raise ValueError("not base64 as it is written here")
    return raw
