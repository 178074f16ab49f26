"""Reads the headers that identify a request: `Idempotency-Key`, and the retry count of a stock SDK."""

import re
from collections.abc import Mapping, Sequence

from domain.errors import RequestInvalid

HEADER = "Idempotency-Key"
DESCRIPTION = "The same one with the same body, within 24 hours: the same result, made and charged once."
REPLAYED = {"idempotent-replayed": "true"}
"""The header of an answer that repeats the answer to an earlier request."""
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def named(headers: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """Return headers by their names. Of a repeated header, the first one counts."""
    return dict(reversed(headers))


def key_of(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the `Idempotency-Key`, with or without quotes. Raises `RequestInvalid` for a malformed one."""
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
    """Tell whether a stock SDK marks this request as a retry."""
    count = headers.get(b"x-stainless-retry-count", b"0")
    return 0 < len(count) < 10 and count.isdigit() and int(count) > 0
