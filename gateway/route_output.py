"""What the present route of a stream has sent so far, and what of it waits."""

from dataclasses import dataclass, field

from domain import usage
from domain.pricing import Usage
from gateway.routing import Attempt
from providers.base import Delta


@dataclass(slots=True)
class RouteOutput:
    attempt: Attempt | None = None
    accepted: bool = False
    report: Usage | None = None
    report_is_old: bool = False
    """True if text has arrived since the report."""
    opening: list[Delta] = field(default_factory=list)
    """Chunks without content. They wait for the first one with content."""
    last: list[Delta] = field(default_factory=list)
    """Chunks that end the choices. They are held back until the charge has committed."""
    ended: set[int] = field(default_factory=set)

    def note(self, delta: Delta, last: Delta | None) -> None:
        """Note a delta. `last` is the part of it that ends choices."""
        self.accepted = True
        if last is not None:
            self.last.append(last)
        self.ended.update(delta.finished)

    def note_report(self, report: Usage) -> None:
        self.report, self.report_is_old = usage.latest(self.report, report), False

    def used(self, counted: Usage, *, complete: bool) -> Usage:
        """Return the reported usage, but at least our count if the answer is cut off or text came after the report."""
        if self.report is None:
            return counted
        return self.report if complete and not self.report_is_old else usage.at_least(self.report, counted)

    def unended(self, choices: int) -> list[int]:
        return [n for n in range(choices) if n not in self.ended]

    def end(self, choices: int, reason: str) -> Delta | None:
        """Give a finish reason to each choice that has none, as when the credits ran out. Return the chunk of it."""
        missing = self.unended(choices)
        if not missing:
            return None
        ends = [{"index": n, "delta": {}, "finish_reason": reason} for n in missing]
        self.last.append(Delta({"choices": ends}, finished=tuple(missing)))
        return self.last[-1]
