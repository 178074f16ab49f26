"""What a password may be. Any characters, in any script; its length is what counts.

A password is compared in Unicode's form NFKC: the same characters come from different keyboards in different codes.
"""

import unicodedata

from domain.errors import RequestInvalid

MIN_CHARACTERS = 8
MAX_CHARACTERS = 200
"""Longer ones are refused: to hash a text takes work in proportion to its length."""


def normalized(text: str) -> str:
    """Return the form in which a password is hashed."""
    return unicodedata.normalize("NFKC", text)


def possible(text: str) -> bool:
    """Tell whether a text can be somebody's password."""
    return len(text) <= MAX_CHARACTERS and MIN_CHARACTERS <= len(normalized(text)) <= MAX_CHARACTERS


def chosen(text: str, *, email: str, param: str = "password") -> str:
    """Return the password that a user chooses, in the form in which it is hashed. Raises `RequestInvalid`."""
    if not possible(text):
        raise RequestInvalid(f"'{param}' must have {MIN_CHARACTERS} to {MAX_CHARACTERS} characters.", param=param)
    password = normalized(text)
    if password.casefold() in (email.casefold(), email.partition("@")[0].casefold()) or len(set(password)) < 3:
        raise RequestInvalid(f"'{param}' is too easy to guess. Choose another one.", param=param)
    return password
