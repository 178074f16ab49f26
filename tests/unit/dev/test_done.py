"""What `make dev` did before is done again when anything changes that it was done by."""

from pathlib import Path

import pytest

from dev import plan
from dev.done import Done
from dev.supervisor import MIGRATING

SOURCES = ("folder/one.py", "folder/deeper/two.sql", "single.sql")


@pytest.fixture
def done(tmp_path: Path) -> Done:
    for name in SOURCES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("first")
    mark = Done(tmp_path / "mark", ("do", "it"), (tmp_path / "folder", tmp_path / "single.sql"))
    assert not mark.already
    mark.note()
    return mark


def test_it_is_done_once(done: Done) -> None:
    assert done.already


@pytest.mark.parametrize("name", SOURCES)
def test_each_source_counts(done: Done, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("second")
    assert not done.already


def test_another_command_is_another_step(done: Done) -> None:
    assert not Done(done.mark, ("do", "more"), done.sources).already


def test_a_migration_run_is_known_by_all_that_it_does() -> None:
    assert all((plan.ROOT / name).exists() for name in MIGRATING)
    assert {"db/migrations", "db/functions.sql", "db/roles.py", "db/migrate.py"} <= set(MIGRATING)
