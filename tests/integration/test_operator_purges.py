"""`yout purges list`: which purges run, what they have left, and which come no further."""

from pathlib import Path
from uuid import UUID

import pytest

from db import purges
from db.engine import Database
from db.writer import LedgerWriter
from tests.integration.test_operator import Operator
from tests.support import purging

AGED = "UPDATE purges SET progressed_at = now() - interval '{minutes} min' WHERE id = :id RETURNING 1"


@pytest.fixture
def operator(database_url: str) -> Operator:
    return Operator(database_url)


def aged(operator: Operator, purge_id: UUID, minutes: int) -> None:
    operator.behind(lambda database, _: purging.do(database, AGED.format(minutes=minutes), id=purge_id))


def noted(operator: Operator, purge_id: UUID, step: str, **erased: int) -> tuple[str, bool]:
    """The step afterwards, and whether it counts as stuck."""

    async def note(database: Database, _: LedgerWriter) -> None:
        async with database.transaction() as session:
            await purges.note(session, purge_id, step, **erased)

    operator.behind(note)
    (listed,) = operator.report("purges", "list")
    return listed["step"], listed["stuck_seconds"] is not None


def test_a_purge_is_followed_from_its_request_to_its_end(operator: Operator, tmp_path: Path) -> None:
    ann, bob = operator.account(), operator.account()
    operator.call(ann, charged=100)
    first = operator.behind(lambda database, _: purging.begin(database, ann))
    second = operator.behind(lambda database, _: purging.begin(database, bob))
    listed = operator.report("purges", "list")
    assert [row["purge_id"] for row in listed] == [str(first), str(second)]
    one = listed[0]
    assert (one["account_id"], one["step"], one["part"]) == (str(ann.account_id), "accepted", None)
    assert (one["left"]["usage_entries"], one["left"]["data_keys"], one["left"]["movements"]) == (1, 1, 2)
    assert (one["completed_at"], one["stuck_seconds"]) == (None, None)
    assert len(operator.report("purges", "list", "--limit", "1")) == 1
    assert [row["purge_id"] for row in operator.report("purges", "list", "--account", str(bob.account_id))] == [
        str(second)
    ]

    async def completed(database: Database, _: LedgerWriter) -> None:
        steps = purging.steps(database, tmp_path)
        await steps.cut(first)
        await steps.survey(first)
        await steps.shred(first)
        while not (await steps.delete_rows(first) and await steps.roll_up(first)):
            pass
        assert await steps.conclude(first)

    operator.behind(completed)
    listed = operator.report("purges", "list")
    assert [row["purge_id"] for row in listed] == [str(second), str(first)], "what runs comes first"
    assert (listed[1]["step"], listed[1]["left"]) == ("completed", {})
    aged(operator, first, 60)
    assert "no progress" not in operator.text("purges", "list"), "it has ended"


def test_a_purge_that_comes_no_further_is_told(operator: Operator) -> None:
    ann = operator.account()
    purge_id = operator.behind(lambda database, _: purging.begin(database, ann))
    aged(operator, purge_id, 9)
    assert "no progress" not in operator.text("purges", "list")
    aged(operator, purge_id, 25)
    table, complaint = operator.text("purges", "list").rsplit("\n", 1)
    assert "data_keys 1" in table
    assert complaint == (
        f"purge {purge_id}: no progress for 25 min: is a worker running on its queues purge, ledger, maintenance and "
        f"media-…? If so, Temporal's workflow purge-{purge_id} shows the last failure"
    )
    assert noted(operator, purge_id, "rows") == ("rows", False)
    aged(operator, purge_id, 25)
    assert "is a worker running on its queue purge?" in operator.text("purges", "list")
    assert noted(operator, purge_id, "objects") == ("rows", True), "a step that is repeated is no progress"
    assert noted(operator, purge_id, "rows") == ("rows", True)
    assert noted(operator, purge_id, "rows", messages=2) == ("rows", False)
