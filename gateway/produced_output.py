"""Output of one call as we count it: what has been produced, and what its hold pays for."""

from domain import tokens
from domain.tokens import CountText

RUNAWAY = 64
"""Output tokens that a provider may produce above its limit and half of that, before it is cut."""


class ProducedOutput:
    """Text is counted when the number is needed, not as it comes: bytes are a cheap bound until then."""

    def __init__(self, count: CountText) -> None:
        self._count = count
        self._counted = 0
        self._uncounted: list[str] = []
        self._uncounted_bound = 0
        self.paid = 0
        """Output tokens that the hold pays for, in all choices together."""

    def add(self, text: str) -> None:
        self._uncounted.append(text)
        self._uncounted_bound += _max_tokens(text)

    @property
    def tokens(self) -> int:
        if self._uncounted:
            text, self._uncounted, self._uncounted_bound = "".join(self._uncounted), [], 0
            self._counted += tokens.text_tokens(text, self._count)
        return self._counted

    def missing(self, text: str) -> int:
        """Tokens that the hold does not pay for, if `text` is produced on top."""
        return self._above(text, self.paid)

    def runs_away(self, text: str) -> bool:
        """Whether a provider goes on above the limit it was given. Other vendors' tokens are not quite ours."""
        return self._above(text, self.paid * 3 // 2 + RUNAWAY) > 0

    def _above(self, text: str, limit: int) -> int:
        if self._counted + self._uncounted_bound + _max_tokens(text) <= limit:
            return 0
        return max(0, self.tokens + tokens.text_tokens(text, self._count) - limit)


def _max_tokens(text: str) -> int:
    """No token is shorter than a byte."""
    return len(text) if text.isascii() else len(text.encode())
