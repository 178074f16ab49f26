"""What a check of `yout doctor` found: one sentence, and what to do."""

from dataclasses import dataclass
from enum import StrEnum

TIMEOUT_SECONDS = 15.0
"""How long a group of checks may take. Modules of checks import all that they need at their top, before that time runs:
on a busy machine the imports alone take longer."""


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    """It works, and an operator should know."""
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """No secret and no user's text may be in it."""

    check: str
    level: Level
    what: str
    remedy: str = ""


def ok(check: str, what: str) -> Finding:
    return Finding(check, Level.OK, what)


def warn(check: str, what: str, remedy: str) -> Finding:
    return Finding(check, Level.WARN, what, remedy)


def fault(check: str, what: str, remedy: str) -> Finding:
    return Finding(check, Level.FAULT, what, remedy)
