"""Settings of requests to callers' URLs: webhooks, and input files."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network

from pydantic import BaseModel, Field, field_validator

from settings.fields import Days, networks


class WebhookSettings(BaseModel):
    webhooks_allow_loopback: bool = False
    """For development only: URLs of callers may be of this machine, with http and any port."""
    denied_networks: str = ""
    """Comma-separated networks, as 203.0.113.0/24, that no URL of a caller may reach beside those that are not public:
    this server's own public addresses."""

    max_webhook_endpoints: int = Field(default=16, ge=0, le=1000)
    """Endpoints that an account may register."""
    webhook_retention: Days = timedelta(days=30)
    """How long events, and the log of their deliveries with the bodies, are kept."""

    @field_validator("denied_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        try:
            networks(value)
        except ValueError:
            raise ValueError("write networks as 203.0.113.0/24 or 2001:db8::/32, with commas between them") from None
        return value

    @property
    def denied(self) -> list[IPv4Network | IPv6Network]:
        return networks(self.denied_networks)
