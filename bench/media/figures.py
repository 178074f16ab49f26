"""What a run is told to measure, and the figures that it gives."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from statistics import median


class Part(StrEnum):
    ACCEPT = "accept"
    LISTEN = "listen"
    MAKE = "make"
    BEGIN = "begin"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    parts: Sequence[Part] = tuple(Part)
    rounds: int = 5
    """Of what is measured in turns: a ratio for each of them."""
    calls: int = 100
    """Of each kind in a round."""
    jobs: int = 300
    """Made by one worker, and by two; and those that begin beside another account's."""
    turns: int = 2
    """Of one worker and two."""
    waiting: int = 5000
    listeners: int = 1000
    changes: int = 20
    """In a round of deliveries."""
    seconds: float = 60.0
    """To look at what waits."""
    timeout: float = 900.0
    """Seconds to order what waits, and as many until its vendor has it. What is left then begins beside the rest."""


SHORT = Plan(rounds=3, calls=25, jobs=100, turns=1, waiting=300, listeners=100, changes=5, seconds=10, timeout=20)
"""Of a few minutes. Its jobs still begin while another account orders."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A value for each round."""

    part: Part
    name: str
    rounds: Sequence[float]
    digits: int = 1

    @property
    def value(self) -> str:
        return self._written(median(self.rounds))

    @property
    def spread(self) -> str:
        if len(self.rounds) == 1:
            return ""
        return f"{self._written(min(self.rounds))} to {self._written(max(self.rounds))}"

    def _written(self, number: float) -> str:
        return f"{number:,.{self.digits}f}"


@dataclass(slots=True)
class Machine:
    day: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d}")
    cores: int = field(default_factory=lambda: os.cpu_count() or 0)
    python: str = field(default_factory=platform.python_version)
    load: list[float] = field(default_factory=list)
    """The load average over a minute, before each part and at the end."""

    def note_load(self) -> None:
        self.load.append(round(os.getloadavg()[0], 1))


@dataclass(slots=True)
class Result:
    plan: Plan
    machine: Machine = field(default_factory=Machine)
    figures: list[Figure] = field(default_factory=list)
