"""What an e-mail address is, as far as an account needs to know."""

import unicodedata
from typing import Literal

from domain.errors import RequestInvalid

MAX_CHARACTERS = 254
_NEVER = frozenset('"(),:;<>[\\]')
"""Only in a quoted name, which nobody has. A host may be an address in brackets."""
_WITHOUT_DOTS = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}
"""Hosts at which dots in a name mean nothing, and the host that stands for them."""


def normalized(text: str) -> str:
    """The address in lower case and in one spelling, without white space around it. Raises `RequestInvalid`.

    What is the same host to a mail server, such as wide letters, has no accounts and no limits of mails of its own.
    """
    local, _, host = _lower("NFC", text.strip()).rpartition("@")
    host = _lower("NFKC", host)
    address = f"{local}@{host}"
    if host[:1] + host[-1:] == "[]":
        plain = not _NEVER.intersection(local) and not (_NEVER - {":"}).intersection(host[1:-1])
    else:
        plain = not _NEVER.intersection(local + host)
    readable = plain and all(unicodedata.category(character)[0] not in "CZ" for character in address)
    labels = host.split(".")
    if not (readable and local and address.count("@") == 1 and all(labels) and len(address) <= MAX_CHARACTERS):
        raise RequestInvalid("This is not an e-mail address.", param="email")
    return address


def _lower(form: Literal["NFC", "NFKC"], text: str) -> str:
    """Return a text in lower case and in a form of Unicode. Lower case may have to be composed once more."""
    return unicodedata.normalize(form, unicodedata.normalize(form, text).lower())


def host_in_ascii(host: str) -> str:
    """Write a normalized host as mail servers look it up: each letter stands for itself (IDNA 2008).

    Python's own codec follows the rules of 2003, by which mail for straße.example goes to the owner of strasse.example.
    """
    labels = (label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in host.split("."))
    return ".".join(labels)


def mailbox(address: str) -> str:
    """The mailbox that a normalized address leads to: without what follows a plus, and without dots where they mean
    nothing, and in one spelling of Unicode. It is for comparing only: nobody writes to it.
    """
    local, _, host = unicodedata.normalize("NFKC", address).rpartition("@")
    host = host_in_ascii(host)
    local = local.partition("+")[0] or local
    if host in _WITHOUT_DOTS:
        local, host = local.replace(".", "") or local, _WITHOUT_DOTS[host]
    return f"{local}@{host}"
