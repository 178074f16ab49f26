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

    def add(self, text: str, *, tolerant: bool) -> int:
        """`text` is produced, if the hold pays for it. The tokens that it does not pay for.

        `tolerant` of a provider that was sent its limit: other vendors' tokens are not quite ours.
        """
        limit = self.paid * 3 // 2 + RUNAWAY if tolerant else self.paid
        size = len(text) if text.isascii() else len(text.encode())  # no token is shorter than a byte
        if self._counted + self._uncounted_bound + size > limit:
            above = self.tokens + tokens.text_tokens(text, self._count) - limit
            if above > 0:
                return above
        self._uncounted.append(text)
        self._uncounted_bound += size
        return 0

    @property
    def tokens(self) -> int:
        if self._uncounted:
            text, self._uncounted, self._uncounted_bound = "".join(self._uncounted), [], 0
            self._counted += tokens.text_tokens(text, self._count)
        return self._counted
