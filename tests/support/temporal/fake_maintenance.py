"""What the rounds of maintenance and the audit need, in memory."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from tests.support.temporal.script import Script


@dataclass(frozen=True)
class FakeReport:
    counts: dict[str, int]
    accounts: int = 3

    @property
    def clean(self) -> bool:
        return not self.counts

    @property
    def drift_credits(self) -> int:
        return sum(self.counts.values())


class FakeAuditor:
    def __init__(self, script: Script) -> None:
        self._script = script
        self.counts: dict[str, int] = {}

    async def run(self) -> FakeReport:
        await self._script.at("auditor.run")
        return FakeReport(self.counts)


class FakeHolds:
    """Each round of the sweeper ends as many holds as `expired` says, until there are none."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.expired: list[int] = []

    async def sweep(self) -> int:
        await self._script.at("holds.sweep")
        return self.expired.pop(0) if self.expired else 0

    async def forget(self) -> int:
        await self._script.at("holds.forget")
        return 0


class FakeLog:
    """What an operator is told of maintenance."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def report(self, what: str, *, where: str, remedy: str, **values: object) -> None:
        self.lines.append({"what": what, "where": where, "remedy": remedy} | values)

    def clear(self, where: str) -> None:
        self.lines = [line for line in self.lines if line["where"] != where]


class FakeOutputs:
    """Rounds of deletion that find nothing to do."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def delete_expired(self) -> int:
        await self._script.at("outputs.delete_expired")
        return 0

    async def delete_orphans(self) -> int:
        await self._script.at("outputs.delete_orphans")
        return 0


@dataclass(frozen=True)
class FakeBatch:
    given: int
    after: tuple[datetime, UUID] | None


@dataclass
class FakePlans:
    """Each batch gives what `batches` says; the next one begins where the one before ended."""

    script: Script
    batches: list[int] = field(default_factory=list)
    pages: list[tuple[datetime, UUID] | None] = field(default_factory=list)

    async def give(self, after: tuple[datetime, UUID] | None) -> FakeBatch:
        await self.script.at("plans.give")
        self.pages.append(after)
        number = len(self.pages)
        given = self.batches[number - 1] if number <= len(self.batches) else 0
        more = number < len(self.batches)
        return FakeBatch(given, (datetime(2026, 1, number, tzinfo=UTC), UUID(int=number)) if more else None)

    async def collect(self) -> int:
        await self.script.at("plans.collect")
        return 0
