"""Browsers in which a user has signed in before. Each has a cookie, and with it tries of its own to sign in.

So somebody who guesses at an address, even from the same network, does not use up its owner's tries. The cookie signs
nobody in. Nothing about it is stored: it is a random name and a keyed hash over the name and the user.
"""

import base64
import hmac
import os
import re
from datetime import timedelta
from uuid import UUID

from domain.secrets import DerivedKeys

LIFETIME = timedelta(days=180)
_NAME_BYTES = 18
_FORM = re.compile(r"([A-Za-z0-9_-]{24})\.([A-Za-z0-9_-]{43})")


class KnownBrowsers:
    def __init__(self, keys: DerivedKeys) -> None:
        self._keys = keys

    def written(self, user_id: UUID) -> str:
        """Return the cookie for a browser in which this user has just signed in."""
        name = base64.urlsafe_b64encode(os.urandom(_NAME_BYTES)).decode()
        return f"{name}.{_proof(self._keys.current, name, user_id)}"

    def name_of(self, cookie: str | None, user_id: UUID) -> str | None:
        """Return the browser's name, if this user has signed in with it."""
        matched = _FORM.fullmatch(cookie or "")
        if matched is None:
            return None
        name, proof = matched.groups()
        known = any(hmac.compare_digest(proof, _proof(key, name, user_id)) for key in self._keys.every)
        return name if known else None


def _proof(key: bytes, name: str, user_id: UUID) -> str:
    digest = hmac.digest(key, f"browser\n{name}\n{user_id}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
