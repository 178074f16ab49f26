"""The request headers that say which request this is: `Idempotency-Key`, and a stock SDK's count of its retries."""

import re
from collections.abc import Mapping, Sequence

from domain.errors import RequestInvalid

HEADER = "Idempotency-Key"
DESCRIPTION = "The same one with the same body, within 24 hours: the same result, made and charged once."
REPLAYED = {"idempotent-replayed": "true"}
"""The header of an answer that was made before."""
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def named(headers: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """Headers by their names; of one that comes twice the first."""
    return dict(reversed(headers))


def key_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The `Idempotency-Key`; bare and quoted forms are one key. Raises `RequestInvalid` for one that is none."""
    value = headers.get(b"idempotency-key")
    if value is None:
        return None
    key = value.decode("latin-1").strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise RequestInvalid("'Idempotency-Key' must be 1 to 255 printable ASCII characters.", param=HEADER)
    return key


def is_retry(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a stock SDK says that this is not its first attempt."""
    count = headers.get(b"x-stainless-retry-count", b"0")
    return 0 < len(count) < 10 and count.isdigit() and int(count) > 0
