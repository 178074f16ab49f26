"""Mails as they are written for a mail server: whatever is in an address, it stays an address."""

from datetime import timedelta
from email.message import EmailMessage

import pytest

from domain.mails import MailServer
from gateway.letters import Letters
from outbound.smtp import SmtpMailer

MAILER = SmtpMailer(MailServer.of("smtp://localhost"), "no-reply@yout.example")


def message(address: str) -> EmailMessage:
    return MAILER.message(Letters("https://yout.example/").reset(address, "s" * 43, timedelta(hours=1)))


@pytest.mark.parametrize(
    "address", ["ann@example.test\nBcc: bob@example.test", "ann@example.test\r\n\r\nHello", "ann\n@example.test"]
)
def test_no_address_becomes_a_header(address: str) -> None:
    """None gets so far: `email_addresses.normalized` refuses it."""
    with pytest.raises(ValueError, match=r"CR|LF|linefeed|newline|nvalid"):
        message(address)


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("jürgen@bücher.example", "jürgen@xn--bcher-kva.example"),
        ("o'hara+x@example.test", "o'hara+x@example.test"),
        ("ann@straße.example", "ann@xn--strae-oqa.example"),
    ],
)
def test_an_address_in_other_letters(address: str, written: str) -> None:
    assert message(address)["To"].addresses[0].addr_spec == written
