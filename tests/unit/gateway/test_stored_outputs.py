"""A round of deletion over a store and rows in memory: what one job's objects do to the others'."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.errors import ServiceUnavailable
from domain.media import OutputFolder
from gateway.stored_outputs import Pace, StoredOutputsMaintenance
from tests.support.temporal.fakes import Fakes

LIFETIME = timedelta(hours=24)


class Rows:
    """Rows whose outputs have all expired."""

    def __init__(self, folders: Collection[OutputFolder]) -> None:
        self.waiting = list(folders)
        self.later: list[UUID] = []
        self.marked: list[UUID] = []
        self.searched: tuple[Collection[OutputFolder], Collection[OutputFolder]] = ((), ())
        self.position: str | None = ""

    async def due(self, limit: int) -> list[OutputFolder]:
        left = {*self.later, *self.marked}
        return [folder for folder in self.waiting if folder.job_id not in left][:limit]

    async def deleted(self, job_id: UUID) -> None:
        self.marked.append(job_id)

    async def retry_after(self, job_id: UUID, pause: timedelta) -> None:
        self.later.append(job_id)

    async def orphans(self, old: Collection[OutputFolder], recent: Collection[OutputFolder]) -> list[OutputFolder]:
        self.searched = old, recent
        return [*old, *recent]

    async def scan_position(self, pause: timedelta) -> str | None:
        return self.position

    async def scanned(self, position: str) -> None:
        self.position = position or None


class Bench:
    def __init__(self, jobs: int = 4) -> None:
        self.fakes, self.storage = Fakes(), Fakes().storage
        self.folders = [OutputFolder(uuid4(), uuid4()) for _ in range(jobs)]
        for folder in self.folders:
            for index in range(2):
                key = f"{folder.prefix}/{index}.png"
                self.storage.objects[key] = (b"x", "image/png")
                self.storage.written_at[key] = datetime.now(UTC)
        self.rows = Rows(self.folders)
        pace = Pace(max_deletion=timedelta(seconds=2))
        self.outputs = StoredOutputsMaintenance(self.rows, self.storage, self.fakes.errors, lambda: LIFETIME, pace)

    def named(self) -> list[object]:
        return [line["where"] for line in self.fakes.log.lines]


@pytest.mark.parametrize("how", ["stuck", "silent"])
async def test_objects_that_cannot_be_deleted_keep_no_others(how: str) -> None:
    bench = Bench()
    bad, *others = bench.folders
    getattr(bench.storage, how).add(f"{bad.prefix}/0.png")
    assert await bench.outputs.delete_expired() == 3
    assert bench.rows.marked == [folder.job_id for folder in others]
    assert bench.rows.later == [bad.job_id]
    assert bench.named() == [f"delete_expired_outputs job {bad.job_id}"]
    assert all(key.startswith(bad.prefix) for key in bench.storage.objects)


@pytest.mark.parametrize("how", ["stuck", "silent"])
async def test_an_orphan_that_cannot_be_deleted_stops_no_search(how: str) -> None:
    bench = Bench()
    bad = bench.folders[0]
    getattr(bench.storage, how).update(f"{bad.prefix}/{index}.png" for index in range(2))
    assert await bench.outputs.delete_orphans() == 3
    assert bench.rows.position is None
    assert bench.named() == [f"delete_orphaned_outputs job {bad.job_id}"]
    assert len(bench.storage.objects) == 2


async def test_only_what_is_older_than_any_output_counts_as_old() -> None:
    bench = Bench(2)
    old, recent = bench.folders
    bench.storage.written_at[f"{old.prefix}/1.png"] -= LIFETIME + timedelta(days=1, seconds=1)
    bench.storage.written_at[f"{recent.prefix}/1.png"] -= LIFETIME + timedelta(hours=23)
    await bench.outputs.delete_orphans()
    assert bench.rows.searched == ({old}, {recent})


async def test_a_store_that_is_away_ends_the_round_and_marks_nothing() -> None:
    bench = Bench(9)
    bench.storage.stuck = set(bench.storage.objects)
    with pytest.raises(ServiceUnavailable):
        await bench.outputs.delete_expired()
    assert bench.rows.marked == []
    assert len(bench.rows.later) == 3
    assert len(bench.storage.objects) == 18
