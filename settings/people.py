"""Settings of people: sign-in, mails, the free tier, and visitors."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, field_validator

from domain import email_addresses
from domain.errors import RequestInvalid
from domain.mails import MailServer
from domain.sessions import SessionLifetime
from domain.visitors import VisitorRules
from settings.fields import Seconds, absent, networks


class PeopleSettings(BaseModel):
    trusted_proxies: str = ""
    """Comma-separated networks of the proxies whose `X-Forwarded-For` names the client. Empty: the peer is it."""
    session_idle_lifetime: Seconds = timedelta(days=14)
    """A session that is not used ends after this time."""
    session_lifetime: Seconds = timedelta(days=90)
    """A session ends after this time in any case."""
    visitor_messages_day: int = Field(default=20, ge=0, le=10_000)
    """Messages of a person without an account in a UTC day. 0: such callers are refused."""
    visitor_credits_day: int = Field(default=500_000, ge=0, le=10**12)
    """The most that all of them together may cost in a day."""
    visitor_max_tokens: int = Field(default=1024, ge=1)
    """The longest answer that they get."""
    visitor_max_body_bytes: int = Field(default=32 * 1024, ge=1024, le=64 * 1024)
    visitor_concurrent_calls: int = Field(default=2, ge=1)
    """Messages of one of them that a process answers at a time. More wait."""
    max_visitor_calls: int = Field(default=32, ge=1)
    """Messages of all of them that are answered at a time."""
    email_verification: bool = True
    """An account is opened when its owner opens a link that was mailed to the address. False: at once."""
    free_tier_credits: int = Field(default=50_000, ge=0)
    """Credits of a new account, once for each mailbox, and for each network if no address is verified. 0: none."""
    smtp_url: Annotated[SecretStr | None, BeforeValidator(absent)] = None
    """smtps://user:password@host, smtp+starttls://…, or smtp://host; omitted: no mail is sent."""
    mail_from: Annotated[str | None, BeforeValidator(absent)] = None
    """The address that mails come from; omitted: no-reply at the public host."""

    @field_validator("trusted_proxies")
    @classmethod
    def _has_networks(cls, value: str) -> str:
        try:
            networks(value)
        except ValueError:
            raise ValueError("write it as networks with commas between them, such as 10.0.0.0/8, ::1") from None
        return value

    @field_validator("smtp_url")
    @classmethod
    def _is_a_mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            MailServer.of(value.get_secret_value())
        return value

    @field_validator("mail_from")
    @classmethod
    def _is_an_email_address(cls, value: str | None) -> str | None:
        try:
            return None if value is None else email_addresses.normalized(value)
        except RequestInvalid:
            raise ValueError("write it as name@host") from None

    @property
    def proxy_networks(self) -> list[IPv4Network | IPv6Network]:
        return networks(self.trusted_proxies)

    @property
    def mail_server(self) -> MailServer | None:
        return None if self.smtp_url is None else MailServer.of(self.smtp_url.get_secret_value())

    @property
    def session_lifetimes(self) -> SessionLifetime:
        return SessionLifetime(self.session_idle_lifetime, self.session_lifetime)

    @property
    def visitor_rules(self) -> VisitorRules:
        bounds = self.visitor_max_tokens, self.visitor_max_body_bytes
        calls = self.visitor_concurrent_calls, self.max_visitor_calls
        return VisitorRules(self.visitor_messages_day, self.visitor_credits_day, *bounds, *calls)
