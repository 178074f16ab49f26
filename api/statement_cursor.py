"""A statement's cursor: beside its position it has the span, the period and the two balances of the first page.

Signed, and good for its account alone: what comes back is shown as it is.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

from pydantic import TypeAdapter

from db.billing import Opened
from domain.errors import RequestInvalid
from domain.secrets import DerivedKeys

_CURSOR = TypeAdapter(tuple[int, Opened])
_DIGEST = "sha256"
_DIGEST_BYTES = 32


class StatementCursor:
    """Makes cursors, and reads those that it or a process with a previous secret made."""

    def __init__(self, keys: DerivedKeys) -> None:
        self._keys = keys

    def write(self, account_id: UUID, position: int, opened: Opened) -> str:
        plain = _CURSOR.dump_json((position, opened))
        return urlsafe_b64encode(_signature(self._keys.current, account_id, plain) + plain).decode().rstrip("=")

    def read(self, account_id: UUID, cursor: str) -> tuple[int, Opened]:
        """The position after which the page begins, and what its statement began with. Raises `RequestInvalid`."""
        try:
            signed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            signature, plain = signed[:_DIGEST_BYTES], signed[_DIGEST_BYTES:]
            if any(hmac.compare_digest(signature, _signature(key, account_id, plain)) for key in self._keys.every):
                return _CURSOR.validate_json(plain)
        except ValueError:  # no base64, or a cursor of another release
            pass
        raise RequestInvalid("'cursor' must be the `next` of a page of this list.", param="cursor")


def _signature(key: bytes, account_id: UUID, plain: bytes) -> bytes:
    return hmac.digest(key, account_id.bytes + plain, _DIGEST)
