"""A statement's cursor: beside its place it has the period and the two balances, which only the first page adds up.

Signed, and good for its account alone: what comes back is shown as it is.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

from pydantic import TypeAdapter

from db.billing import Balances
from db.pages import Period, Place
from domain.errors import RequestInvalid
from domain.secrets import DerivedKeys


@dataclass(frozen=True, slots=True)
class Bookmark:
    after: Place
    period: Period
    opening: Balances
    closing: Balances


_BOOKMARK = TypeAdapter(Bookmark)
_DIGEST = "sha256"
_DIGEST_BYTES = 32


class Bookmarks:
    """Makes cursors, and reads those that it or a process with a previous secret made."""

    def __init__(self, keys: DerivedKeys) -> None:
        self._keys = keys

    def written(self, account_id: UUID, bookmark: Bookmark) -> str:
        plain = _BOOKMARK.dump_json(bookmark)
        return urlsafe_b64encode(_signature(self._keys.current, account_id, plain) + plain).decode().rstrip("=")

    def read(self, account_id: UUID, cursor: str) -> Bookmark:
        try:
            signed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except ValueError:
            signed = b""
        signature, plain = signed[:_DIGEST_BYTES], signed[_DIGEST_BYTES:]
        if not any(hmac.compare_digest(signature, _signature(key, account_id, plain)) for key in self._keys.every):
            raise RequestInvalid("'cursor' must be the `next` of a page of this list.", param="cursor")
        return _BOOKMARK.validate_json(plain)


def _signature(key: bytes, account_id: UUID, plain: bytes) -> bytes:
    return hmac.digest(key, account_id.bytes + plain, _DIGEST)
