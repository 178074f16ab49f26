"""A master secret that somebody could guess is refused; one that was made at random never is."""

import base64
import hashlib
import os
import random
import re
from pathlib import Path

import pytest

from domain.weak_secrets import weakness

ROOT = Path(__file__).resolve().parents[3]
WEAK = [
    "",
    os.urandom(15).hex(),
    "0" * 64,
    bytes(32).hex(),
    base64.b64encode(bytes(32)).decode(),
    "ab" * 32,
    "changeme" * 8,
    "changeme-changeme-changeme-changeme",
    "change-me-change-me-change-me-change",
    "secret-secret-secret-secret-secret12",
    "my-super-secret-key-that-is-secret!!",
    "please-change-me-to-a-long-random-string",
    "CHANGE_ME_TO_A_RANDOM_STRING_OF_32_CHARACTERS",
    "your-256-bit-secret-your-512-bit-secret",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "django-insecure-changeme-changeme-changeme",
    "correct horse battery staple correct horse",
    "0123456789abcdef0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "1234567890123456789012345678901234567890",
    "deadbeef" * 8,
    "deadbeefcafebabe0123456789abcdef",
    *(hashlib.sha256(word.encode()).hexdigest() for word in ("", "secret", "changeme", "password", "test", "demo")),
    *(hashlib.sha256(word.encode()).hexdigest().upper() for word in ("secret", "yout")),
    hashlib.md5(b"changeme", usedforsecurity=False).hexdigest(),
]


@pytest.mark.parametrize("secret", WEAK, ids=range(len(WEAK)))
def test_what_people_write_instead_is_refused(secret: str) -> None:
    assert weakness(secret)


def test_what_was_made_at_random_is_not() -> None:
    """The same values in each run: one in ten million is refused, and would fail one run in ten thousand."""
    chance = random.Random(7)
    for _ in range(2000):
        raw = chance.randbytes(32)
        for secret in (raw.hex(), raw[:16].hex(), base64.b64encode(raw).decode(), base64.b32encode(raw).decode()):
            assert weakness(secret) is None, secret


def test_no_value_that_documents_show_is_accepted() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / ".env.example", ROOT / "docker-compose.yml"]
    shown = [
        value
        for document in documents
        for value in re.findall(r"SECRET_KEYS?\s*[=:]\s*\"?([^\s`\"]*)", document.read_text())
    ]
    assert len(shown) > 5
    for value in shown:
        assert weakness(value), value
