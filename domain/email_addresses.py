"""What an e-mail address is, as far as an account needs to know."""

import contextlib
import unicodedata

from domain.errors import RequestInvalid

MAX_CHARACTERS = 254
_NEVER = frozenset('"(),:;<>[\\]')
"""Only in a quoted name, which nobody has. A host may be an address in brackets."""
_WITHOUT_DOTS = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}
"""Hosts at which dots in a name mean nothing, and the host that stands for them."""


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


def mailbox(address: str) -> str:
    """The mailbox that a normalized address leads to: without what follows a plus, and without dots where they mean
    nothing, and in one spelling of Unicode. It is for comparing only: nobody writes to it.
    """
    local, _, host = unicodedata.normalize("NFKC", address).rpartition("@")
    with contextlib.suppress(UnicodeError):  # a host that IDNA does not know is compared as it is
        host = host.encode("idna").decode()
    local = local.partition("+")[0] or local
    if host in _WITHOUT_DOTS:
        local, host = local.replace(".", "") or local, _WITHOUT_DOTS[host]
    return f"{local}@{host}"
