"""Settings of what clients and operators see of media jobs."""

from pydantic import BaseModel, Field


class JobSettings(BaseModel):
    max_listeners_per_account: int = Field(default=100, ge=1)
    """Streams of events that an account may have open at a process."""
    max_listeners: int = Field(default=5000, ge=1)
    """Of all accounts together."""
