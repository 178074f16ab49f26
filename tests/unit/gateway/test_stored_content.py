"""What is stored has words for every table of an account, and times as people say them."""

from datetime import timedelta

import pytest

from db.erasure import ERASED, RETAINED
from db.stored_rows import OUTPUTS
from domain.retention import Keeping, span
from gateway.stored_content import ERASED_WORDS, RETAINED_TITLES

DAY = timedelta(days=1)


def test_everything_that_a_purge_knows_has_words() -> None:
    assert set(ERASED_WORDS) == {entry.name for entry in ERASED} | {OUTPUTS}
    assert set(RETAINED_TITLES) == {entry.table for entry in RETAINED}


def test_every_rule_takes_the_times_of_this_server() -> None:
    times = Keeping(outputs=7 * DAY, uploads=DAY, replays=DAY, webhooks=None, jobs=90 * DAY, usage=None).words()
    written = {name: rule.format(**times) for name, (_, rule) in ERASED_WORDS.items()}
    assert written["outputs"].endswith("7 days, or as your plan says, or until you delete them")
    assert written["usage_entries"].endswith("No content. for ever")
    assert not any("{" in rule for rule in written.values())


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (None, "for ever"),
        (DAY, "24 hours"),
        (7 * DAY, "7 days"),
        (1.5 * DAY, "36 hours"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(seconds=90), "90 seconds"),
        (timedelta(seconds=1), "1 second"),
    ],
)
def test_a_time_is_written_in_its_largest_whole_unit(time: timedelta | None, words: str) -> None:
    assert span(time) == words
