"""How much work one page may cause. A shared page is written by anybody and read by everybody."""

import time
from collections.abc import Callable
from dataclasses import dataclass


class TooMuch(Exception):
    """A text would take more work than is left: it is shown as plain text."""


@dataclass(slots=True)
class Budget:
    """What is left for a page. What no longer fits is shown as plain text."""

    characters: int = 200_000
    """Of Markdown."""
    tokens: int = 40_000
    """That Markdown becomes: a table's empty cells, and what references repeat, count too."""
    brackets: int = 4_000
    """Outside of code blocks. Each may begin a link, and is looked at again and again."""
    links: int = 200_000
    """Characters of addresses: a reference repeats its address wherever it is used."""
    code: int = 100_000
    """Characters of code that is highlighted."""
    seconds: float = 0.2
    """Of computing for highlighting: a lexer may be slow on hostile code."""
    clock: Callable[[], float] = time.thread_time

    def take(self, what: str, amount: int) -> None:
        """Raises `TooMuch`."""
        left: int = getattr(self, what)
        if amount > left:
            raise TooMuch
        setattr(self, what, left - amount)
