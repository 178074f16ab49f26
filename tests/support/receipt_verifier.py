"""Verifies a purge's receipt as a stranger would: with `cryptography` and `json`, and nothing of ours.

All numbers of a receipt are integers and its names are ASCII: sorted names without spaces are then RFC 8785's form.
"""

import base64
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def canonical(receipt: dict[str, Any]) -> bytes:
    return json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def is_valid(receipt: dict[str, Any], jwks: dict[str, Any]) -> bool:
    keys = {key["kid"]: key for key in jwks["keys"] if (key["kty"], key["crv"]) == ("OKP", "Ed25519")}
    signed = {name: value for name, value in receipt.items() if name != "signature"}
    if receipt["alg"] != "Ed25519" or receipt["kid"] not in keys:
        return False
    public = Ed25519PublicKey.from_public_bytes(_decoded(keys[receipt["kid"]]["x"]))
    try:
        public.verify(_decoded(receipt["signature"]), canonical(signed))
    except InvalidSignature:
        return False
    return True


def follows(receipt: dict[str, Any], before: dict[str, Any] | None) -> bool:
    previous = None if before is None else hashlib.sha256(canonical(before)).hexdigest()
    number = 1 if before is None else before["number"] + 1
    return bool((receipt["number"], receipt["previous"]) == (number, previous))


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
