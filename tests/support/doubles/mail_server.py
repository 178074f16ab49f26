"""A real SMTP server that keeps what it is sent."""

import email
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from dev import ports

_SECRET = re.compile(r"#([A-Za-z0-9_-]{43})")


@dataclass(slots=True)
class MailServer:
    """Refuses so many mails for the moment, and takes the others."""

    refusing: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    refused: int = 0
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    async def handle_DATA(self, _: Any, __: Any, envelope: Envelope) -> str:  # aiosmtpd's name
        assert isinstance(envelope.original_content, bytes)
        with self._arrived:
            if self.refused < self.refusing:
                self.refused += 1
                return "451 come back later"
            message = email.message_from_bytes(envelope.original_content, policy=default)
            assert isinstance(message, EmailMessage)
            assert envelope.rcpt_tos == [message["To"].addresses[0].addr_spec]
            self.mails.append(message)
            self._arrived.notify_all()
        return "250 kept"

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["To"].addresses[0].addr_spec == address]

    def awaited(self, address: str, count: int = 1) -> list[EmailMessage]:
        """All mails to the address, when there are so many."""
        deadline = time.monotonic() + 30
        with self._arrived:
            while len(self.to(address)) < count:
                assert self._arrived.wait(max(0.0, deadline - time.monotonic())), f"no mail {count} came"
            return self.to(address)

    def secret(self, address: str, count: int = 1) -> str:
        """The secret of the link in the newest mail to the address."""
        match = _SECRET.search(text_of(self.awaited(address, count)[-1]))
        assert match is not None
        return match[1]


def text_of(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


@contextmanager
def running(server: MailServer, **more: Any) -> Iterator[str]:
    """The address at which it listens, as host and port."""
    port = ports.free()
    controller = Controller(server, hostname="127.0.0.1", port=port, **more)
    controller.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        controller.stop()


def only(user: str, password: str) -> Any:
    """Lets this user in."""

    def authenticate(_: Any, __: Any, ___: Any, ____: str, given: object) -> AuthResult:
        right = isinstance(given, LoginPassword) and given == LoginPassword(user.encode(), password.encode())
        return AuthResult(success=right, handled=right)

    return authenticate
