"""What an adapter looks at right before it hands a job over."""

from typing import Protocol


class SubmitLease(Protocol):
    """Whether a job may still be submitted by this attempt. Both raise if not."""

    async def renew(self) -> None:
        """Await it before the job is handed over."""

    def require(self) -> None:
        """Call it as the last thing before: the job must leave within seconds of `renew`."""


class NoLease:
    async def renew(self) -> None: ...

    def require(self) -> None: ...
