"""Settings of what clients and operators see of media jobs."""

from collections.abc import Sequence

from pydantic import BaseModel, Field, SecretStr, field_validator

from domain.weak_secrets import weakness
from settings.fields import listed


class JobSettings(BaseModel):
    max_listeners_per_account: int = Field(default=100, ge=1)
    """Streams of events that an account may have open at a process."""
    max_listeners: int = Field(default=5000, ge=1)
    """Of all accounts together."""
    codec_tokens: SecretStr = SecretStr("")
    """Comma-separated `name:token` of operators who may decrypt what is in Temporal. Empty: nobody may.

    A name may have several tokens, while one is rotated.
    """
    codec_origins: str = ""
    """Comma-separated origins of Temporal's UI, whose pages may ask for it."""

    @field_validator("codec_tokens")
    @classmethod
    def _has_names_and_strong_tokens(cls, value: SecretStr) -> SecretStr:
        for name, token in _pairs(value):
            if not name.isidentifier() or not token:
                raise ValueError("write it as name:token, with commas between them")
            if weak := weakness(token):
                raise ValueError(f"a token {weak}: make one with `openssl rand -hex 32`")
        return value

    @property
    def codec_operators(self) -> Sequence[tuple[str, str]]:
        return _pairs(self.codec_tokens)

    @property
    def allowed_codec_origins(self) -> list[str]:
        return listed(self.codec_origins)


def _pairs(value: SecretStr) -> list[tuple[str, str]]:
    given = (pair.partition(":") for pair in listed(value.get_secret_value()))
    return [(name, token) for name, _, token in given if name or token]
