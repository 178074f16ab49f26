"""`Idempotency-Key`: what identifies a request, and how its answer is kept so that only its caller can read it.

At rest there are keyed hashes and sealed bytes. The key that seals is derived from the caller's own API key together
with the `Idempotency-Key`; the server keeps neither, so it cannot open the answer until both come again.
"""

import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from hashlib import sha256
from typing import Any

import orjson
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain import json_text
from domain.operations import REMEMBERED, IdempotencyClaim
from domain.sealing import NONCE_BYTES, SealBroken, seal, unseal
from domain.secrets import DerivedKeys

MAX_REPLAY_BYTES = 256 * 1024
RETRIES_WITHIN = timedelta(minutes=20)
"""How long after a call began a stock SDK's retry of it is recognised. It waits ten minutes before it asks again."""
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True, repr=False)
class IdempotentRequest:
    """The claim of a request, and the caller's secret that encrypts its answer."""

    claim: IdempotencyClaim
    secret: bytes | None = field(repr=False)
    """None means that no answer is stored for this caller."""

    def sealed(self, plain: bytes) -> bytes | None:
        """Encrypt an answer for the same caller and request. None if it is not stored, or too large for that."""
        if self.secret is None or len(plain) > MAX_REPLAY_BYTES:
            return None
        salt = os.urandom(_SALT_BYTES)
        return salt + seal(_replay_key(self.secret, salt), plain, aad="replay", nonce=os.urandom(NONCE_BYTES))

    def opened(self, sealed: bytes) -> dict[str, Any] | None:
        """Decrypt an answer. None if another key of the account made the call."""
        if self.secret is None:
            return None
        try:
            plain = unseal(_replay_key(self.secret, sealed[:_SALT_BYTES]), sealed[_SALT_BYTES:], aad="replay")
        except SealBroken:
            return None
        answer: dict[str, Any] = orjson.loads(plain)
        return answer


def _replay_key(secret: bytes, salt: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=salt, info=b"replay-v1").derive(secret)


class ImplicitRequest:
    """What a retry of this request would present. It takes hashes of the whole request: made when it is needed."""

    def __init__(self, make: Callable[[], IdempotentRequest]) -> None:
        self._make = make

    @cached_property
    def request(self) -> IdempotentRequest:
        return self._make()

    def claim(self) -> IdempotencyClaim:
        return self.request.claim


class IdempotentRequests:
    """Makes claims with a secret of the server, so that short prompts cannot be guessed from their hashes.

    While there are previous secrets, a claim names its scope by each of them as well: the same request may come to a
    process that does not know the new secret yet.
    """

    def __init__(self, keys: DerivedKeys, remembered: timedelta = REMEMBERED) -> None:
        self._keys = keys
        self._remembered = remembered

    def explicit(self, endpoint: str, key: str, body: Mapping[str, Any], secret: str | None) -> IdempotentRequest:
        """Make the request of an `Idempotency-Key`.

        Without the caller's `secret`, no answer is stored: a second request is recognised, and refused.
        """
        canonical = _canonical(body)
        current, *previous = (
            (
                _hash(derived, b"scope", endpoint.encode(), key.encode()),
                _hash(derived, b"body", endpoint.encode(), canonical),
            )
            for derived in self._keys.every
        )
        claim = IdempotencyClaim(*current, remembered=self._remembered, previous=tuple(previous))
        sealing = None if secret is None else secret.encode() + b"\n" + key.encode()
        return IdempotentRequest(claim, sealing)

    def first_attempt(self, endpoint: str, body: Mapping[str, Any], token: str | None) -> ImplicitRequest:
        return ImplicitRequest(partial(self.implicit, endpoint, body, token, retry=False))

    def implicit(
        self, endpoint: str, body: Mapping[str, Any], token: str | None, *, retry: bool = True
    ) -> IdempotentRequest:
        """Make the request that a stock SDK's retry shares with its first attempt: it has the same API key and body.

        `token` is that key. A caller without one has no answer stored, as in `explicit`.
        """
        canonical = _canonical(body)
        fingerprints = [_hash(secret, b"body", endpoint.encode(), canonical) for secret in self._keys.every]
        current, *previous = (
            (_hash(secret, b"retry", (token or "").encode(), fingerprint), fingerprint)
            for secret, fingerprint in zip(self._keys.every, fingerprints, strict=True)
        )
        claim = IdempotencyClaim(
            *current, adopts=retry, implicit=True, remembered=RETRIES_WITHIN, previous=tuple(previous)
        )
        return IdempotentRequest(claim, None if token is None else token.encode() + b"\n" + sha256(canonical).digest())


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json_text.dumps(body, sort_keys=True)


def _hash(secret: bytes, *parts: bytes) -> bytes:
    return hmac.digest(secret, b"\0".join(parts), "sha256")
