"""What a password may be. Any characters, in any script; its length is what counts.

A password is compared in Unicode's form NFKC: the same characters come from different keyboards in different codes.
"""

import unicodedata
from itertools import pairwise

from domain.common_passwords import is_common
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
    own = {email.casefold(), email.partition("@")[0].casefold()}
    if password.casefold() in own or is_common(password) or _is_monotonous(password):
        raise RequestInvalid(f"'{param}' is too easy to guess. Choose another one.", param=param)
    return password


def _is_monotonous(password: str) -> bool:
    """Tell whether it has two different characters at most, or goes on like `abcdefgh` and `87654321`."""
    steps = {ord(after) - ord(before) for before, after in pairwise(password)}
    return len(set(password)) < 3 or len(steps) == 1
