"""Which master secrets are refused: those that somebody could guess. Pure.

It is no measure of entropy. It finds what people write instead of a random value: nothing much, the same again and
again, a placeholder out of an example, or the digest of one.
"""

import hashlib
import re
from itertools import pairwise

MIN_CHARACTERS = 32
MIN_DIFFERENT = 8
"""A random value of 32 hexadecimal digits has fewer different ones once in ten million times."""
MIN_OF_ITS_OWN = 16
"""Letters and digits that are left without the words of placeholders."""
PLACEHOLDERS = (
    *("correcthorsebatterystaple", "placeholder", "development", "production", "characters", "credentials", "insecure"),
    *(
        "password",
        "passw0rd",
        "changeme",
        "changeit",
        "changethis",
        "replace",
        "example",
        "sample",
        "default",
        "secret",
    ),
    *(
        "dummy",
        "private",
        "random",
        "string",
        "letmein",
        "qwerty",
        "master",
        "please",
        "signing",
        "session",
        "encryption",
    ),
    *(
        "django",
        "flask",
        "admin",
        "super",
        "token",
        "least",
        "bytes",
        "value",
        "local",
        "minimum",
        "notasecret",
        "insert",
    ),
    *(
        "postgres",
        "yout",
        "test",
        "demo",
        "this",
        "with",
        "here",
        "your",
        "long",
        "salt",
        "some",
        "must",
        "goes",
    ),
    *("todo", "user", "root", "host", "http", "jwt", "app", "api", "key", "the", "change", "not", "for", "and", "prod"),
    *("dev", "me", "my", "at", "to", "be", "is", "it", "in", "of", "an", "or", "bit", "hex"),
    *("0123456789", "1234567890", "12345678", "123456", "12345", "1234", "123", "abcdefghijklmnopqrstuvwxyz", "abcdef"),
    *("abcd", "abc", "deadbeef", "cafebabe", "256", "512", "32"),
)
"""Longer ones first, of those that begin alike."""
_WORDS = re.compile("|".join(PLACEHOLDERS))
_DIGESTED = ("", *PLACEHOLDERS, "change-me", "change_me", "your-secret-key", "your-256-bit-secret", "hello", "foo", "a")
_DIGESTS = frozenset(
    hashing(word.encode()).hexdigest()
    for word in _DIGESTED
    for hashing in (hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.sha512)  # to recognise them
)


def weakness(secret: str) -> str | None:
    """What is wrong with a master secret, in a few words that do not tell it; None if nothing is."""
    if len(secret) < MIN_CHARACTERS:
        return f"is shorter than {MIN_CHARACTERS} characters"
    if len(set(secret)) < MIN_DIFFERENT or _repeats(secret):
        return "repeats itself"
    if _counts(secret):
        return "is a sequence"
    if secret.lower() in _DIGESTS or len(_of_its_own(secret)) < MIN_OF_ITS_OWN:
        return "is a placeholder that others know"
    return None


def _repeats(secret: str) -> bool:
    """Something shorter, at least twice; the last time it may be cut."""
    return any(secret.startswith(secret[size:]) for size in range(1, len(secret) // 2 + 1))


def _counts(secret: str) -> bool:
    """Most characters follow from the two before them."""
    steps = [ord(after) - ord(before) for before, after in pairwise(secret)]
    return 2 * sum(step == last for last, step in pairwise(steps)) > len(steps)


def _of_its_own(secret: str) -> str:
    return _WORDS.sub("", re.sub("[^a-z0-9]", "", secret.lower()))
