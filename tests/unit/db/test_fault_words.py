"""What the operator is told of a database's fault, whatever language the server speaks."""

import psycopg
import pytest
from psycopg import errors

from db.faults import describe

URL = "postgresql://yout:secret@db.example:5432/yout"
AT = 'connection failed: connection to server at "10.0.0.5", port 5432 failed: '


@pytest.mark.parametrize(
    "words",
    [
        "FATAL:  Passwort-Authentifizierung f\u00fcr Benutzer \u00bbyout\u00ab fehlgeschlagen",
        "FATAL:  la autentificaci\u00f3n password fall\u00f3 para el usuario \u00abyout\u00bb",
        "\u0412\u0410\u0416\u041d\u041e:  \u043f\u043e\u043b\u044c",
        "FATAL:  Datenbank \u00bbyout\u00ab existiert nicht",
    ],
)
def test_a_refusal_in_another_language_is_a_refusal(words: str) -> None:
    fault = describe(psycopg.OperationalError(AT + words), URL)
    assert fault.what == "the database refuses the connection"
    assert fault.remedy == "see its log; mend YOUT_DATABASE_URL"
    assert "secret" not in str(fault)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ('FATAL:  password authentication failed for user "yout"', "the database refuses the password"),
        ("Connection refused\n\tIs the server running there?", "nothing listens there for the database"),
        ("SSL error: certificate verify failed", "the database and this client do not agree on TLS"),
        ("server closed the connection unexpectedly", "the connection to the database was lost"),
    ],
)
def test_what_libpq_tells_is_told(words: str, what: str) -> None:
    assert describe(psycopg.OperationalError(AT + words), URL).what == what


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (errors.InvalidPassword("Passwort-Authentifizierung"), "the database refuses the password"),
        (errors.DiskFull("kein Platz"), "the database's disk is full"),
        (errors.InsufficientPrivilege("keine Berechtigung"), "the database user lacks rights"),
        (errors.OutOfMemory("Speicher"), "the database has run out of something"),
        (errors.IoError("konnte nicht lesen"), "the database's machine has a fault"),
        (errors.DataCorrupted("ung\u00fcltige Seite"), "the database has a fault of its own"),
        (errors.DatabaseDropped("wurde entfernt"), "the database was stopped or stopped this"),
        (errors.ConnectionFailure("verloren"), "the connection to the database was lost"),
    ],
)
def test_a_code_tells_in_every_language(error: psycopg.Error, what: str) -> None:
    assert describe(error, URL).what == what
