"""Settings of worker processes: what they serve, and how much of it at a time."""

from typing import Literal

from pydantic import BaseModel, Field, SecretStr, field_validator

from domain.secrets import KEY_BYTES, DerivedKeys
from settings.fields import listed


class WorkerSettings(BaseModel):
    worker_queues: str = ""
    """Comma-separated task queues that this worker serves; empty: all of them."""
    worker_role: Literal["all", "workflows", "activities"] = "all"
    """`workflows`: this worker decides and does nothing; it needs neither the database nor the master secret."""
    worker_media_slots: int = Field(default=500, ge=1, le=10_000)
    """Activities of each media queue at a time, at most: they wait for providers."""
    worker_memory_target: float = Field(default=0.8, gt=0, le=1)
    """No more media activities begin while the machine or container uses more than this part of its memory."""
    worker_cpu_target: float = Field(default=0.9, gt=0, le=1)
    """The same of its processors."""
    worker_workflow_slots: int = Field(default=100, ge=2, le=10_000)
    """Decisions of each media queue at a time."""
    temporal_payload_keys: SecretStr = SecretStr("")
    """Comma-separated keys that encrypt what is in Temporal, for a worker without the master secret."""

    @field_validator("temporal_payload_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr) -> SecretStr:
        if any(len(key) != KEY_BYTES for key in _keys(value)):
            raise ValueError("write what `yout secrets payload-keys` prints")
        return value

    @property
    def queues(self) -> list[str]:
        return listed(self.worker_queues)

    @property
    def payload_keys(self) -> DerivedKeys:
        current, *previous = _keys(self.temporal_payload_keys)
        return DerivedKeys(current, tuple(previous))


def _keys(value: SecretStr) -> list[bytes]:
    """Return an empty key for what is none: an error of `fromhex` would tell where it differs."""
    return [_key(key) for key in listed(value.get_secret_value())]


def _key(value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError:
        return b""
