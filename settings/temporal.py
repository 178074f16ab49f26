"""Settings of the connection to Temporal."""

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, field_validator

from domain import namespaces
from settings.fields import absent


class TemporalSettings(BaseModel):
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = Field(default="default", min_length=1)
    temporal_maintenance_namespace: Annotated[str | None, BeforeValidator(absent)] = None
    """Omitted: named after that of the jobs."""
    temporal_tls: bool = False
    temporal_api_key: Annotated[SecretStr | None, BeforeValidator(absent)] = None

    @field_validator("temporal_address")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not re.fullmatch(r"(\[[0-9a-fA-F:.%]+\]|[^\s/:]+):\d{1,5}", value):
            raise ValueError("write it as host:port")
        return value

    @property
    def temporal_server(self) -> tuple[str, str, bool, str | None]:
        """Address, namespace, TLS, API key."""
        key = self.temporal_api_key.get_secret_value() if self.temporal_api_key else None
        return self.temporal_address, self.temporal_namespace, self.temporal_tls, key

    @property
    def maintenance_namespace(self) -> str:
        return self.temporal_maintenance_namespace or namespaces.of_maintenance(self.temporal_namespace)
