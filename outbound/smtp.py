"""Sends a mail through the operator's mail server, by SMTP. It blocks: `gateway/outbox.py` calls it in a thread.

What is wrong with the server itself, its operator reads in the log.
"""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid

from domain.email_addresses import host_in_ascii
from domain.faults import FaultLog
from domain.mails import Letter, MailServer

TIMEOUT_SECONDS = 10.0
REFUSED = ("the mail server refuses the user or the password", "correct them in YOUT_SMTP_URL, and restart")
NO_TLS = ("no TLS with the mail server", "correct the scheme in YOUT_SMTP_URL, or the server's certificate")
AWAY = ("no mail server answers", "see that it runs, and that host and port in YOUT_SMTP_URL are its own")


class SmtpMailer:
    """Implements `gateway.outbox.Mailer`."""

    def __init__(self, server: MailServer, sender: str, faults: FaultLog | None = None) -> None:
        self._server = server
        self._faults = faults
        self._sender = Address("Yout", addr_spec=sender)

    @property
    def place(self) -> str:
        return f"{self._server.host}:{self._server.port}"

    def send(self, letter: Letter) -> None:
        with self._watched():
            connection = self._connected()
        with connection:
            connection.send_message(self.message(letter))

    def check(self) -> None:
        """Connect and sign in, and send nothing. Raises what the library raises."""
        with self._connected() as connection:
            connection.noop()

    def message(self, letter: Letter) -> EmailMessage:
        """Write the mail. The library refuses a line break in a header."""
        local, _, host = letter.to.rpartition("@")
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender
        message["To"] = Address(username=local, domain=host_in_ascii(host))
        message["Subject"] = letter.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=self._sender.domain)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        return message

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except (smtplib.SMTPException, OSError) as error:
            if self._faults is not None:
                what, remedy = cause(error)
                self._faults.report(what, where=self.place, remedy=remedy)
            raise
        if self._faults is not None:
            self._faults.clear(self.place)

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        connection: smtplib.SMTP
        if server.scheme == "smtps":
            secure = ssl.create_default_context()
            connection = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_SECONDS, context=secure)
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
        try:
            if server.scheme == "smtp+starttls":
                connection.starttls(context=ssl.create_default_context())
            if server.user:
                connection.login(server.user, server.password)
        except BaseException:
            connection.close()
            raise
        return connection


def cause(error: smtplib.SMTPException | OSError) -> tuple[str, str]:
    """Return why nobody can send mails there, and what to do."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return REFUSED
    return NO_TLS if isinstance(error, ssl.SSLError) else AWAY
