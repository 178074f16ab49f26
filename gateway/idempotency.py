"""`Idempotency-Key`: what identifies a request, and how its answer is kept so that only its caller can read it.

At rest there are keyed hashes and sealed bytes. The key that seals is derived from the caller's own API key together
with the `Idempotency-Key`; the server keeps neither, so it cannot open the answer until both come again.
"""

import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from typing import Any

import orjson
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.ledger import REMEMBERED, IdempotencyClaim
from domain.sealing import NONCE_BYTES, SealBroken, seal, unseal

MAX_REPLAY_BYTES = 256 * 1024
RETRIES_WITHIN = timedelta(minutes=20)
"""How long after a call began a stock SDK's retry of it is recognised. It waits ten minutes before it asks again."""
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True, repr=False)
class IdempotentRequest:
    """What the caller sent that identifies the request, and what only it knows."""

    claim: IdempotencyClaim
    secret: bytes

    def sealed(self, plain: bytes) -> bytes | None:
        """The answer, readable to whoever presents the same again. None: too large to keep."""
        if len(plain) > MAX_REPLAY_BYTES:
            return None
        salt = os.urandom(_SALT_BYTES)
        return salt + seal(self._key(salt), plain, place="replay", nonce=os.urandom(NONCE_BYTES))

    def opened(self, kept: bytes) -> dict[str, Any] | None:
        """None: it was another key of the account that made the call."""
        try:
            plain = unseal(self._key(kept[:_SALT_BYTES]), kept[_SALT_BYTES:], place="replay")
        except SealBroken:
            return None
        answer: dict[str, Any] = orjson.loads(plain)
        return answer

    def _key(self, salt: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt=salt, info=b"replay-v1").derive(self.secret)


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
    """Makes claims with a secret of the server, so that short prompts cannot be guessed from their hashes."""

    def __init__(self, secret: bytes, remembered: timedelta = REMEMBERED) -> None:
        self._secret = secret
        self._remembered = remembered

    def explicit(self, endpoint: str, key: str, body: Mapping[str, Any], token: str) -> IdempotentRequest:
        scope = self._hash(b"scope", endpoint.encode(), key.encode())
        claim = IdempotencyClaim(scope, self._fingerprint(endpoint, body), remembered=self._remembered)
        return IdempotentRequest(claim, token.encode() + b"\n" + key.encode())

    def first_attempt(self, endpoint: str, body: Mapping[str, Any], token: str) -> ImplicitRequest:
        return ImplicitRequest(partial(self.implicit, endpoint, body, token, retry=False))

    def implicit(self, endpoint: str, body: Mapping[str, Any], token: str, *, retry: bool = True) -> IdempotentRequest:
        """What a stock SDK's retry shares with its first attempt: the API key and the body."""
        fingerprint = self._fingerprint(endpoint, body)
        scope = self._hash(b"retry", token.encode(), fingerprint)
        claim = IdempotencyClaim(scope, fingerprint, adopts=retry, implicit=True, remembered=RETRIES_WITHIN)
        return IdempotentRequest(claim, token.encode() + b"\n" + fingerprint)

    def _fingerprint(self, endpoint: str, body: Mapping[str, Any]) -> bytes:
        canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        return self._hash(b"body", endpoint.encode(), canonical)

    def _hash(self, *parts: bytes) -> bytes:
        return hmac.digest(self._secret, b"\0".join(parts), "sha256")
