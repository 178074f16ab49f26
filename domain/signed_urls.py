"""Links to outputs that work without a key, for a while: whoever holds one may read that object until it expires."""

import base64
import hashlib
import hmac
import math
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from domain.errors import LinkInvalid
from domain.secrets import DerivedKeys

_EXPIRY = re.compile(r"[1-9][0-9]{0,10}")


class SignedUrls:
    """Makes and checks the links. Keys of previous secrets still open the links that they signed."""

    def __init__(self, keys: DerivedKeys, public_url: str, lifetime: timedelta) -> None:
        self._keys = keys
        self._public_url = public_url.rstrip("/")
        self._lifetime = lifetime

    def url(self, object_key: str, now: datetime, *, until: datetime | None = None) -> tuple[str, datetime]:
        """An absolute link to the object, and the moment from which it is refused: `until` at the latest."""
        expires = int((now + self._lifetime).timestamp())
        if until is not None:
            expires = min(expires, math.ceil(until.timestamp()))
        signature = _signature(self._keys.current, object_key, expires)
        link = f"{self._public_url}/media/{quote(object_key, safe='/')}?exp={expires}&sig={signature}"
        return link, datetime.fromtimestamp(expires, UTC)

    def check(self, object_key: str, exp: str, sig: str, now: datetime) -> datetime:
        """When this link expires. Raises `LinkInvalid` for any that is expired or that we did not sign as it is."""
        if not _EXPIRY.fullmatch(exp):
            raise LinkInvalid
        expires = int(exp)
        # Compared as text: decoding would let several spellings of one signature through. No early way out either.
        given = sig.encode()
        signatures = [_signature(key, object_key, expires).encode() for key in self._keys.every]
        matches = [hmac.compare_digest(signature, given) for signature in signatures]
        if not any(matches) or expires <= now.timestamp():
            raise LinkInvalid
        return datetime.fromtimestamp(expires, UTC)


def _signature(secret: bytes, object_key: str, expires: int) -> str:
    # The key cannot contain a line break that shifts fields: it stands before a number and is quoted.
    signed = f"m1\nGET\n{quote(object_key, safe='/')}\n{expires}".encode()
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
