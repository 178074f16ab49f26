"""What the gateway asks of an upstream. Each provider kind implements one or both of these Protocols."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from domain.media import MediaRequest


class Stage(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a submitted job stands at the provider."""

    stage: Stage
    percent: int | None = None
    failure: str | None = None
    """One of our own error codes when `stage` is FAILED; the provider's text stays in the adapter."""


@dataclass(frozen=True, slots=True)
class Made:
    """One finished file at the provider, ready to be read once."""

    content_type: str
    extension: str
    chunks: AsyncIterator[bytes]
    width: int | None = None
    height: int | None = None
    duration: float | None = None


class MediaProvider(Protocol):
    """A provider of media jobs. Raises `domain.errors.Upstream*` only; its own text never leaves the adapter."""

    @property
    def find_is_complete(self) -> bool:
        """Whether `find` knows every submission that was accepted: only then is one in doubt made again."""

    async def submit(self, request: MediaRequest, reference: str) -> str:
        """Start the work and return the provider's id of it. Not idempotent unless the provider says so."""

    async def find(self, reference: str) -> str | None:
        """The id of work that was submitted under `reference`; None when there is none (or it cannot be told)."""

    async def poll(self, provider_job_id: str) -> Progress: ...

    def fetch(self, provider_job_id: str) -> AsyncIterator[Made]:
        """The finished files, in order."""

    async def cancel(self, provider_job_id: str) -> Progress:
        """Ask to stop, and tell what became of it: the provider's truth decides about the money."""

    async def discard(self, provider_job_id: str) -> None:
        """Forget output at the provider, once copied or given up. Safe to do twice, safe to do late."""


@dataclass(frozen=True, slots=True)
class ChatCall:
    """One chat request to one route. `body` is OpenAI's shape, the gateway's lingua franca, already cleaned."""

    model: str
    """The provider's own name of the model."""
    body: dict[str, Any]
    output_limit: int
    """Tokens per choice that the hold pays for: what goes upstream as the limit."""
    capabilities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    body: dict[str, Any]
    """OpenAI's non-stream response, as the provider sent it."""


@dataclass(frozen=True, slots=True)
class ChatChunk:
    body: dict[str, Any]
    """One OpenAI stream chunk, as the provider sent it."""


class ChatProvider(Protocol):
    """A provider of chat. Raises `domain.errors.Upstream*` or `RequestInvalid`, never its own text."""

    async def complete(self, call: ChatCall) -> ChatAnswer: ...

    def stream(self, call: ChatCall) -> AsyncGenerator[ChatChunk, None]:
        """Chunks until the provider said it is done.

        Ending without `[DONE]` or a finish reason raises UpstreamError.
        """
