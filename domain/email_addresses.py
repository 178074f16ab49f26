"""What an e-mail address is, as far as an account needs to know."""

import unicodedata

from domain.errors import RequestInvalid

MAX_CHARACTERS = 254
_NEVER = frozenset('"(),:;<>[\\]')
"""Only in a quoted name, which nobody has. A host may be an address in brackets."""


def normalized(text: str) -> str:
    """The address in lower case, without white space around it. Raises `RequestInvalid`."""
    address = text.strip().lower()
    local, _, host = address.rpartition("@")
    plain = not _NEVER.intersection(local) and not (_NEVER - frozenset("[:]")).intersection(host)
    readable = plain and all(unicodedata.category(character)[0] not in "CZ" for character in address)
    labels = host.split(".")
    if not (readable and local and "@" not in local and all(labels) and len(address) <= MAX_CHARACTERS):
        raise RequestInvalid("This is not an e-mail address.", param="email")
    return address
