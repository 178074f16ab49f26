"""Settings of payments by Stripe."""

import re

from pydantic import BaseModel, SecretStr, field_validator

from settings.fields import listed


class PaymentSettings(BaseModel):
    stripe_webhook_secrets: SecretStr = SecretStr("")
    """Secrets of Stripe's webhook endpoint (`whsec_…`), comma-separated; each may sign. Empty: no payments here."""
    stripe_livemode: bool = True
    """False: events of Stripe's test mode are taken, and those of live mode are refused."""

    @field_validator("stripe_webhook_secrets")
    @classmethod
    def _are_endpoint_secrets(cls, value: SecretStr) -> SecretStr:
        if not all(re.fullmatch(r"whsec_[\x21-\x7e]{16,}", secret) for secret in listed(value.get_secret_value())):
            raise ValueError(
                "write it as whsec_ and 16 characters or more, as Stripe shows it for the endpoint; "
                "several with commas between"
            )
        return value

    @property
    def stripe_secrets(self) -> list[str]:
        return listed(self.stripe_webhook_secrets.get_secret_value())
