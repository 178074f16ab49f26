"""A mail, and the operator's server that takes it."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from domain.hosts import is_loopback

PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
FORM = (
    "write it as smtps://user:password@host, smtp+starttls://user:password@host, or smtp://host without a password, "
    "each with :port if it is not the usual one"
)


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to one address. `kind` names it in the log, which has no address."""

    kind: str
    to: str = field(repr=False)
    subject: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails go. Raises ValueError for a URL that is none."""

    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> "MailServer":
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS[parts.scheme]
        except (ValueError, KeyError):
            raise ValueError(FORM) from None
        if not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise ValueError(FORM)
        server = cls(parts.scheme, parts.hostname, port, unquote(parts.username or ""), unquote(parts.password or ""))
        if server.password and parts.scheme == "smtp" and not is_loopback(parts.hostname):
            raise ValueError("a password does not go over smtp:// in the clear: write smtp+starttls:// or smtps://")
        return server
