"""Bounds how many clients of an account, and how many in all, listen to events of this process at a time."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from domain.errors import RateLimited, ServiceUnavailable

_RETRY_AFTER = timedelta(seconds=5)


@dataclass(slots=True)
class Listeners:
    max_of_account: int
    max_in_all: int
    _of_accounts: Counter[UUID] = field(default_factory=Counter)

    @contextmanager
    def place(self, account_id: UUID) -> Iterator[None]:
        """Have a place until the end of the block. Raises `RateLimited` or `ServiceUnavailable` when there is none."""
        if self._of_accounts[account_id] >= self.max_of_account:
            message = f"An account listens to {self.max_of_account} streams of events at a time. End one, or poll."
            raise RateLimited(message, retry_after=_RETRY_AFTER)
        if self._of_accounts.total() >= self.max_in_all:
            raise ServiceUnavailable("Too many clients listen to events for the moment. Poll, or try again.")
        self._of_accounts[account_id] += 1
        try:
            yield
        finally:
            self._of_accounts[account_id] -= 1
            if not self._of_accounts[account_id]:
                del self._of_accounts[account_id]
