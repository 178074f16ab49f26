"""Who calls: `Authorization: Bearer <key>`, or `x-api-key`."""

from collections.abc import Iterable

from domain import keys
from domain.errors import CallerUnknown

Headers = Iterable[tuple[bytes, bytes]]


def token(headers: Headers) -> str:
    """A well-formed key from the headers. Raises `CallerUnknown` before any database is asked."""
    bearer = api_key = b""
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            bearer = value[7:].strip()
        elif name == b"x-api-key":
            api_key = value.strip()
    found = (bearer or api_key).decode("latin-1")
    if not keys.well_formed(found):
        raise CallerUnknown
    return found
