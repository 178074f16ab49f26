"""Sends a mail through the operator's mail server, by SMTP. It blocks: `gateway/outbox.py` calls it in a thread."""

import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid

from domain.email_addresses import host_in_ascii
from domain.mails import Letter, MailServer

TIMEOUT_SECONDS = 10.0


class SmtpMailer:
    """Implements `gateway.outbox.Mailer`."""

    def __init__(self, server: MailServer, sender: str) -> None:
        self._server = server
        self._sender = Address("Yout", addr_spec=sender)

    def send(self, letter: Letter) -> None:
        with self._connected() as connection:
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
