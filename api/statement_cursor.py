"""The cursor of a statement: its position, and the span, the period and the two balances of the first page.

It is signed and valid for its account only, because the next page shows its balances without computing them again.
"""

import hmac
from uuid import UUID

from pydantic import TypeAdapter

from api.pages import cursor_invalid, decode_cursor, encode_cursor
from db.billing import Opened
from domain.secrets import DerivedKeys

_CURSOR = TypeAdapter(tuple[int, Opened])
_DIGEST = "sha256"
_DIGEST_BYTES = 32


class StatementCursor:
    """Makes cursors, and reads cursors that were made with the current or a previous secret."""

    def __init__(self, keys: DerivedKeys) -> None:
        self._keys = keys

    def write(self, account_id: UUID, position: int, opened: Opened) -> str:
        plain = _CURSOR.dump_json((position, opened))
        return encode_cursor(_signature(self._keys.current, account_id, plain) + plain)

    def read(self, account_id: UUID, cursor: str) -> tuple[int, Opened]:
        """Return the position after which the page begins, and the first page's values. Raises `RequestInvalid`."""
        try:
            signed = decode_cursor(cursor)
            signature, plain = signed[:_DIGEST_BYTES], signed[_DIGEST_BYTES:]
            if any(hmac.compare_digest(signature, _signature(key, account_id, plain)) for key in self._keys.every):
                return _CURSOR.validate_json(plain)
        except ValueError:  # a cursor of another release
            pass
        raise cursor_invalid()


def _signature(key: bytes, account_id: UUID, plain: bytes) -> bytes:
    return hmac.digest(key, account_id.bytes + plain, _DIGEST)
