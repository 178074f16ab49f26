"""A word that no machine would say by itself goes through every endpoint of a real stack, and is looked for afterwards.

In the database's files and its log of writes, in Temporal's, in every log, in the demo provider's spool and in our
own storage. The faults come with it: failing, broken and killed.
"""

import re
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from domain.ids import workflow_id
from temporal.codec import ENCODING, EncryptionCodec
from tests.support import leak_scan, stripe_events
from tests.support.canaries import ADDRESS, ASKED, CLIENT, ERASED, LABEL, MOVED, NAMED, PASSWORDS, RAW, SAVED
from tests.support.canary_fields import DOCUMENT
from tests.support.canary_run import Left, run
from tests.support.doubles.echo_provider import KEY, WORD
from tests.support.media_stack import KEYRING
from tests.support.stack import SECRET
from tests.support.stripe_events import SECRET as STRIPE_SECRET

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def left(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Left]:
    async with run(tmp_path_factory.mktemp("privacy"), tmp_path_factory.mktemp("privacy-catalog")) as left:
        yield left


async def test_nothing_that_was_said_is_saved_anywhere(left: Left) -> None:
    assert leak_scan.of(left.folder, leak_scan.spellings(ASKED, NAMED, RAW, WORD)) == []
    for what, text in left.shown.items():
        assert not leak_scan.within(text.encode(), leak_scan.spellings(ASKED, NAMED, RAW, WORD)), what


async def test_no_key_and_no_secret_is_saved_anywhere(left: Left) -> None:
    tokens = [token.removeprefix("yout-")[4:-4] for token in [*left.tokens, *left.secrets.tokens]]  # what is not shown
    assert len(tokens) == 6
    assert leak_scan.of(left.folder, leak_scan.spellings(*tokens)) == []
    assert leak_scan.of(left.folder, leak_scan.spellings(SECRET, STRIPE_SECRET, KEY, parts=False)) == []


async def test_no_password_link_or_cookie_is_saved(left: Left) -> None:
    assert (len(left.secrets.links), len(left.secrets.cookies)) == (4, 4)
    needles = {**leak_scan.spellings(*PASSWORDS, *left.secrets.links)}
    needles |= {
        f"cookie {name}": each for name, each in leak_scan.spellings(*left.secrets.cookies, parts=False).items()
    }
    assert leak_scan.of(left.folder, needles) == []  # a visitor's cookie begins with the day


async def test_no_visitors_address_and_nothing_personal_of_a_payment_is_saved(left: Left) -> None:
    client = ip_address(CLIENT)
    needles = leak_scan.spellings(CLIENT, client.exploded, client.packed, stripe_events.PERSONAL, parts=False)
    assert leak_scan.of(left.folder, needles) == []


async def test_an_address_and_the_name_of_a_key_are_in_the_database_alone(left: Left) -> None:
    assert leak_scan.of(left.folder, leak_scan.spellings(ADDRESS.partition("@")[0])) == []  # it was changed
    for word in (MOVED.partition("@")[0], LABEL):
        finds = leak_scan.of(left.folder, leak_scan.spellings(word))
        places = {Path(find.partition(":")[0]).relative_to(left.folder).parts[:2] for find in finds}
        assert places == {("postgres", "data")}, word


async def test_what_was_to_be_saved_is_encrypted_where_it_lies(left: Left) -> None:
    """Each was read again through the API while the stack ran."""
    assert len(left.secrets.slugs) == 2
    assert leak_scan.of(left.folder, leak_scan.spellings(SAVED, ERASED, *left.secrets.slugs)) == []


async def test_what_was_erased_is_not_there_even_encrypted(left: Left) -> None:
    """In no table at once, in no file once dead rows and old WAL are gone; no output, no history."""
    assert len(left.purged.sealed) > 15
    assert left.purged.still == set()
    needles = {f"{place} {number}": value[:32] for number, (value, place) in enumerate(left.purged.sealed.items())}
    finds = [find.partition(": ") for find in leak_scan.of(left.folder / "postgres", needles)]
    files = [(Path(path).name, needle.partition(" ")[0]) for path, _, needle in finds]
    assert {(left.tables.get(name, name), place) for name, place in files} == set()
    needles = {f"{number}": output for number, output in enumerate(left.purged.outputs)}
    assert leak_scan.of(left.folder / "state" / "media", needles) == []
    assert not {workflow_id(UUID(job)) for job in left.erased.jobs} & set(left.histories)


async def test_every_text_that_a_client_may_send_carried_a_word(left: Left) -> None:
    assert left.carried.missing(DOCUMENT) == []


async def test_no_process_of_the_stack_could_leave_a_core_dump(left: Left) -> None:
    limits = {name: re.search(r"^Max core file size +(\S+) +(\S+)", text, re.M) for name, text in left.limits.items()}
    assert set(limits) == {"api", "worker", "PostgreSQL", "Temporal"}
    for name, limit in limits.items():
        assert limit is not None
        assert limit.groups() == ("0", "0"), name


async def test_the_search_finds_what_is_there(left: Left) -> None:
    """The names of models are everybody's: where content would lie, they do."""
    for where in ("postgres/data", "temporal"):
        assert leak_scan.of(left.folder / where, {"model": b"demo-image-slow"})
    job = left.jobs[0]["job_uuid"]
    assert leak_scan.of(left.folder / "temporal", {"job": job.encode()})
    assert leak_scan.of(left.folder / "state" / "demo", {"job": job.encode()})
    assert (left.folder / "state" / "api.log").stat().st_size > 0
    assert any((left.folder / "postgres" / "data" / "pg_wal").iterdir())


async def test_temporal_is_told_ids_and_under_seal(left: Left) -> None:
    """No payload is readable without our key, and those that are, with it, hold nothing that was said."""
    assert {workflow_id(UUID(job["job_uuid"])) for job in left.jobs} <= set(left.histories)
    payloads = [payload for events in left.histories.values() for payload in leak_scan.payloads(events)]
    assert len(payloads) > 5 * len(left.jobs)
    assert {payload.metadata["encoding"] for payload in payloads} == {ENCODING}
    needles = leak_scan.spellings(ASKED, NAMED, RAW, WORD, SAVED, ERASED, *left.tokens)
    for opened in await EncryptionCodec(KEYRING).decode(payloads):
        assert not [name for name, needle in needles.items() if needle in opened.SerializeToString()]
    whole = b"".join(event.SerializeToString() for events in left.histories.values() for event in events)
    assert not [name for name, needle in needles.items() if needle in whole]
