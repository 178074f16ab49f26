"""People who sign up and in at the same time, from several processes: one account, one grant, exact limits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import psycopg
import pytest
import structlog

from db import audit
from db.engine import Database
from db.pruning import Pruning
from domain import throttles
from domain.errors import CallerUnknown, LinkUnusable, RateLimited, RequestInvalid, SignInFailed, where
from domain.retention import Retention
from domain.rounds import MaintenanceErrors
from gateway import own_account, sign_in, sign_up
from gateway.accounts import AccountOrder, first_key, open_account
from gateway.passwords import Asker
from gateway.people import People, SignedIn
from gateway.throttles import Client
from logs import OperatorFaults
from tests.support.bank import WRAPPING
from tests.support.people import (
    FREE,
    HOME,
    PASSWORD,
    QUICK,
    CountingHasher,
    RecordedMail,
    again_while_busy,
    caller,
    network,
    opened,
    outcomes,
)
from tests.support.stack import eventually

ANN = "ann@example.test"
NEW = "an even longer sentence"


@pytest.fixture
async def people(database: Database) -> AsyncIterator[People]:
    async with opened(database) as service:
        yield service


@pytest.fixture
async def mail() -> RecordedMail:
    return RecordedMail()


@pytest.fixture
async def verifying(database: Database, mail: RecordedMail) -> AsyncIterator[People]:
    async with opened(database, verification=True, mail=mail) as service:
        yield service


@pytest.fixture
async def processes(app_url: str) -> AsyncIterator[list[People]]:
    """Two, each with a pool of its own. Nobody waits for a connection: after two seconds that would be an error."""
    pools = [Database.open(app_url, pool=12) for _ in range(2)]
    async with opened(pools[0]) as first, opened(pools[1]) as second:
        yield [first, second]
    for pool in pools:
        await pool.close()


async def rows(url: str, query: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return list(await (await connection.execute(query.encode())).fetchall())


async def secret(mail: RecordedMail, number: int = -1) -> str:
    async def arrived() -> bool:
        return len(mail.letters) > max(0, number)

    assert await eventually(arrived)
    return mail.letters[number].text.partition("#")[2].split()[0]


async def test_many_sign_ups_of_one_address_open_one_account(processes: list[People], database_url: str) -> None:
    tried = await outcomes(*(sign_up.sign_up(processes[n % 2], ANN, f"{PASSWORD} {n}", network(n)) for n in range(12)))
    assert sum(isinstance(one, SignedIn) for one in tried) == 1
    assert sum(isinstance(one, RequestInvalid) and one.param == "email" for one in tried) == 11
    assert await rows(database_url, "SELECT count(*), sum(available) FROM accounts") == [(1, FREE)]
    async with processes[0].database.connection() as connection:
        assert (await audit.audit(connection)).clean


async def test_one_mailbox_and_one_network_have_the_free_tier_once(processes: list[People], database_url: str) -> None:
    spellings = [f"j.o.e+{n}@gmail.com" for n in range(6)]
    others = [f"guest{n}@example.test" for n in range(6)]
    of_many, of_one = zip(spellings, map(network, range(6)), strict=True), ((email, HOME) for email in others)
    who = [(processes[n % 2], email, asker) for each in (of_many, of_one) for n, (email, asker) in enumerate(each)]
    await asyncio.gather(
        *(again_while_busy(partial(sign_up.sign_up, people, email, PASSWORD, asker)) for people, email, asker in who)
    )
    sums = await rows(database_url, "SELECT count(*), sum(available), max(available) FROM accounts")
    assert sums == [(12, 2 * FREE, FREE)]
    refs = await rows(database_url, "SELECT ref FROM transactions WHERE kind = 'grant'")
    assert all(str(ref).startswith("free_tier:") and "joe" not in str(ref) for (ref,) in refs)
    assert await rows(database_url, "SELECT count(*) FROM free_tier_networks") == [(4,)]  # and two accounts


async def test_a_link_is_used_once_however_often_at_once(
    verifying: People, mail: RecordedMail, database_url: str
) -> None:
    for number in range(2):  # twice, before the first link is opened
        assert await sign_up.sign_up(verifying, ANN, f"{PASSWORD} {number}", network(number)) is None
        await secret(mail, number)
    links = [await secret(mail, 0), await secret(mail, 1)]
    assert await rows(database_url, "SELECT count(*) FROM users") == [(0,)]
    tried = await outcomes(*(sign_up.verify(verifying, link) for link in links * 4))
    assert sorted(map(type, tried), key=str) == sorted([sign_up.Verified, *[LinkUnusable] * 7], key=str)
    assert await rows(database_url, "SELECT count(*), sum(available) FROM accounts") == [(1, FREE)]
    winner = tried.index(sign_up.Verified(ANN, FREE)) % 2
    assert await sign_in.sign_in(verifying, ANN, f"{PASSWORD} {winner}", HOME)
    with pytest.raises(SignInFailed):
        await sign_in.sign_in(verifying, ANN, f"{PASSWORD} {1 - winner}", HOME)


async def test_of_several_resets_one_counts_and_all_sessions_end(
    verifying: People, mail: RecordedMail, database_url: str
) -> None:
    await sign_up.sign_up(verifying, ANN, PASSWORD, HOME)
    await sign_up.verify(verifying, await secret(mail))
    before = await sign_in.sign_in(verifying, ANN, PASSWORD, HOME)
    links = []
    for number in (1, 2):
        await sign_in.mail_reset(verifying, ANN, network(number))
        links.append(await secret(mail, number))
    tries = [(link, f"{NEW} {n}") for n, link in enumerate(links * 3)]
    tried = await outcomes(*(sign_in.reset_password(verifying, link, password) for link, password in tries))
    assert sum(one is None for one in tried) == 1
    assert sum(isinstance(one, LinkUnusable) for one in tried) == 5
    with pytest.raises(CallerUnknown):
        await caller(verifying, before)
    right = tries[tried.index(None)][1]
    for _, password in tries:
        if password != right:
            with pytest.raises(SignInFailed):
                await sign_in.sign_in(verifying, ANN, password, Client("203.0.113.77"))
    assert await sign_in.sign_in(verifying, ANN, right, HOME)
    assert await rows(database_url, "SELECT count(*) FROM one_time_links") == [(0,)]


async def test_a_mailed_reset_verifies_and_gives_the_free_tier_once(
    verifying: People, mail: RecordedMail, database_url: str
) -> None:
    """An account that the operator has opened has no password and no verified address."""
    async with verifying.database.transaction() as session:
        await open_account(session, WRAPPING, AccountOrder(ANN, first_key("first")))
    for number in range(2):
        await sign_in.mail_reset(verifying, ANN, network(number))
        await sign_in.reset_password(verifying, await secret(mail, 2 * number), f"{NEW} {number}")
    assert await rows(database_url, "SELECT available FROM accounts") == [(FREE,)]
    who = await caller(verifying, await sign_in.sign_in(verifying, ANN, f"{NEW} 1", HOME))
    await own_account.change_email(verifying, who, f"{NEW} 1", "bob@example.test", HOME)
    await sign_up.verify(verifying, await secret(mail, 4))
    await sign_in.mail_reset(verifying, "bob@example.test", network(3))
    await sign_in.reset_password(verifying, await secret(mail, 6), NEW)
    assert await rows(database_url, "SELECT available FROM accounts") == [(FREE,)]  # another mailbox, the same account


async def test_a_reset_ends_what_an_intruder_has_begun(verifying: People, mail: RecordedMail) -> None:
    """Who knew the password asked for another address: after a reset, that link gives nothing."""
    await sign_up.sign_up(verifying, ANN, PASSWORD, HOME)
    await sign_up.verify(verifying, await secret(mail))
    intruder = await caller(verifying, await sign_in.sign_in(verifying, ANN, PASSWORD, network(1)))
    await own_account.change_email(verifying, intruder, PASSWORD, "thief@example.test", network(1))
    change = await secret(mail, 1)
    await sign_in.mail_reset(verifying, ANN, HOME)
    await sign_in.reset_password(verifying, await secret(mail, 2), NEW)
    with pytest.raises(LinkUnusable):
        await sign_up.verify(verifying, change)


async def test_every_address_takes_the_same_work(verifying: People, mail: RecordedMail, database_url: str) -> None:
    """As many hashes, and as many rows: time is not measured."""
    await sign_up.sign_up(verifying, ANN, PASSWORD, HOME)
    await sign_up.verify(verifying, await secret(mail))

    async def work(email: str, request: Request, client: Client) -> object:
        hashes, (before,) = QUICK.runs, await rows(database_url, _WORK)
        (outcome,) = await outcomes(request(email, client))
        (after,) = await rows(database_url, _WORK)
        written = [int(str(new)) - int(str(old)) for old, new in zip(before, after, strict=True)]
        return QUICK.runs - hashes, written, type(outcome)

    requests: list[Request] = [
        lambda email, client: sign_in.sign_in(verifying, email, NEW, client),
        lambda email, client: sign_in.sign_in(verifying, email, "x", client),
        lambda email, client: sign_in.mail_reset(verifying, email, client),
        lambda email, client: sign_up.mail_verification(verifying, email, client),
        lambda email, client: sign_up.sign_up(verifying, email, NEW, client),
    ]
    for number, request in enumerate(requests):
        known = await work(ANN, request, network(2 * number))
        unknown = await work(f"nobody{number}@example.test", request, network(2 * number + 1))
        assert known == unknown, number


_WORK = "SELECT (SELECT count(*) FROM one_time_links), (SELECT count(*) FROM sessions), (SELECT count(*) FROM users)"
Request = Callable[[str, Client], Awaitable[object]]


async def test_tries_are_counted_exactly_over_processes(processes: list[People]) -> None:
    await sign_up.sign_up(processes[0], ANN, PASSWORD, HOME)
    thief = Client("203.0.113.5")
    tried = await outcomes(
        *(sign_in.sign_in(processes[n % 2], ANN, f"{NEW} {n}", thief) for n in range(24)),
    )
    assert sum(isinstance(one, SignInFailed) for one in tried) == 10
    refused = [one for one in tried if isinstance(one, RateLimited)]
    assert len(refused) == 14
    assert all(1 <= one.retry_after.total_seconds() <= 90 for one in refused)
    with pytest.raises(RateLimited):  # the right password helps nobody there
        await sign_in.sign_in(processes[0], ANN, PASSWORD, thief)
    for _ in range(12):  # a try that succeeds does not count
        assert await sign_in.sign_in(processes[1], ANN, PASSWORD, Client("192.0.2.99"))


async def test_nobody_who_guesses_locks_the_owner_out(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    no_try_comes_back = replace(throttles.ADDRESS, per=timedelta(days=30))  # else one does after 36 seconds
    monkeypatch.setattr(throttles, "ADDRESS", no_try_comes_back)
    at_home = await sign_up.sign_up(people, ANN, PASSWORD, HOME)
    assert at_home is not None
    for number in range(12):  # a botnet: from each network all that it has
        await outcomes(*(sign_in.sign_in(people, ANN, f"{NEW} {n}", network(number)) for n in range(10)))
    used_up = await outcomes(*(sign_in.sign_in(people, ANN, f"{NEW} {n}", network(900)) for n in range(10)))
    assert [type(one) for one in used_up].count(SignInFailed) == 3  # every new network has fewer now
    assert await sign_in.sign_in(people, ANN, PASSWORD, Client("192.0.2.50"))  # but the owner's has some
    crowded = replace(network(900), browser=at_home.browser)
    assert await sign_in.sign_in(people, ANN, PASSWORD, crowded)  # and a known browser its own, beside the thief
    stranger = await sign_up.sign_up(people, "bob@example.test", PASSWORD, network(901))
    assert stranger is not None
    with pytest.raises(RateLimited):  # a browser of somebody else is not known here
        await sign_in.sign_in(people, ANN, PASSWORD, replace(network(900), browser=stranger.browser))
    assert (await caller(people, at_home)).user_id


async def test_mails_to_one_address_are_bounded_and_its_owner_gets_one(verifying: People, mail: RecordedMail) -> None:
    await sign_up.sign_up(verifying, ANN, PASSWORD, HOME)
    await sign_up.verify(verifying, await secret(mail))
    tried = await outcomes(*(sign_in.mail_reset(verifying, ANN, network(1)) for _ in range(6)))
    assert [type(one) for one in tried].count(RateLimited) == 3
    await sign_in.mail_reset(verifying, ANN, HOME)
    await outcomes(*(sign_in.mail_reset(verifying, ANN, network(n)) for n in range(2, 20)))
    await secret(mail, 10)
    await asyncio.sleep(0.2)
    assert len(mail.letters) == 11  # the sign-up's, and ten resets
    for number in (-1, 1):  # all of them work: none makes an earlier one useless
        assert await secret(mail, number)
    await sign_in.reset_password(verifying, await secret(mail, 1), NEW)


async def test_mails_of_sign_ups_do_not_use_up_those_of_resets(verifying: People, mail: RecordedMail) -> None:
    """A known address gets no link by a sign-up: its owner would wait for one in vain."""
    await sign_up.sign_up(verifying, ANN, PASSWORD, HOME)
    await sign_up.verify(verifying, await secret(mail))
    for number in range(9):
        await sign_up.sign_up(verifying, ANN, NEW, network(number))
    with pytest.raises(RateLimited):
        await sign_up.sign_up(verifying, ANN, NEW, network(9))
    await sign_up.mail_verification(verifying, ANN, HOME)
    await sign_in.mail_reset(verifying, ANN, HOME)
    await sign_in.reset_password(verifying, await secret(mail, 10), NEW)


async def test_an_address_is_not_changed_by_a_password_of_before(
    verifying: People, mail: RecordedMail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is changed while it is compared: no link is left that gives the account to another address."""
    await sign_up.sign_up(verifying, ANN, PASSWORD, HOME)
    await sign_up.verify(verifying, await secret(mail))
    owner = await caller(verifying, await sign_in.sign_in(verifying, ANN, PASSWORD, HOME))
    verify = verifying.passwords.verify

    async def overtaken(hashed: str | None, presented: str, asker: Asker) -> bool:
        right = await verify(hashed, presented, asker)
        monkeypatch.undo()
        await own_account.change_password(verifying, owner, PASSWORD, NEW)
        return right

    monkeypatch.setattr(verifying.passwords, "verify", overtaken)
    with pytest.raises(RequestInvalid, match="changed a moment ago"):
        await own_account.change_email(verifying, owner, PASSWORD, "thief@example.test", network(1))


async def test_a_hash_of_older_parameters_is_made_anew(database: Database, database_url: str) -> None:
    async with opened(database) as older:
        await sign_up.sign_up(older, ANN, PASSWORD, HOME)
    hasher = CountingHasher(time_cost=2, memory_cost=16)
    async with opened(database, hasher=hasher) as newer:
        before = hasher.runs
        for _ in range(2):
            assert await sign_in.sign_in(newer, ANN, PASSWORD, HOME)
        assert hasher.runs - before == 3  # two compared, one made
    ((hashed,),) = await rows(database_url, "SELECT password FROM users")
    assert str(hashed).startswith("$argon2id$v=19$m=16,t=2,p=1$")


async def test_a_password_that_is_changed_meanwhile_opens_nothing(people: People) -> None:
    owner = await caller(people, await sign_up.sign_up(people, ANN, PASSWORD, HOME))
    for number in range(4):
        old, new = (PASSWORD, NEW) if number % 2 == 0 else (NEW, PASSWORD)
        tried = await outcomes(
            own_account.change_password(people, owner, old, new),
            *(sign_in.sign_in(people, ANN, old, network(number)) for _ in range(4)),
        )
        assert not isinstance(tried[0], Exception), tried
        for one in tried[1:]:
            if isinstance(one, SignedIn):  # it was quicker: then the change has ended it
                with pytest.raises(CallerUnknown):
                    await caller(people, one)
            else:
                assert isinstance(one, SignInFailed)
    assert owner.session_id == (await people.sessions.listed(owner))[0].id


async def test_an_address_without_verification_changes_at_once(people: People) -> None:
    owner = await caller(people, await sign_up.sign_up(people, ANN, PASSWORD, HOME))
    await sign_up.sign_up(people, "bob@example.test", PASSWORD, HOME)
    for email, password, error in (
        ("bob@example.test", PASSWORD, RequestInvalid),
        ("new@example.test", NEW, RequestInvalid),
        ("nonsense", PASSWORD, RequestInvalid),
    ):
        with pytest.raises(error):
            await own_account.change_email(people, owner, password, email, HOME)
    assert await own_account.change_email(people, owner, PASSWORD, "new@example.test", HOME)
    assert await sign_in.sign_in(people, "new@example.test", PASSWORD, HOME)
    with pytest.raises(SignInFailed):
        await sign_in.sign_in(people, ANN, PASSWORD, HOME)
    again = await sign_up.sign_up(people, ANN, PASSWORD, network(7))
    assert again is not None  # the mailbox had its credits: it is the ledger that knows


async def test_the_credits_are_not_given_again_after_a_change(people: People, database_url: str) -> None:
    owner = await caller(people, await sign_up.sign_up(people, ANN, PASSWORD, HOME))
    await own_account.change_email(people, owner, PASSWORD, "new@example.test", HOME)
    await sign_up.sign_up(people, ANN, PASSWORD, network(7))
    assert await rows(database_url, "SELECT sum(available) FROM accounts") == [(FREE,)]


async def test_what_is_too_old_is_deleted(people: People, database_url: str) -> None:
    await sign_up.sign_up(people, ANN, PASSWORD, HOME)
    living = await sign_in.sign_in(people, ANN, PASSWORD, HOME)
    for _ in range(2):
        await outcomes(sign_in.sign_in(people, ANN, NEW, network(1)), sign_in.mail_reset(people, ANN, network(1)))
    backdated = (
        "UPDATE sessions SET last_seen_at = last_seen_at - interval '15 days' WHERE id <> %s",
        "UPDATE one_time_links SET expires_at = expires_at - interval '2 hours'",
        "UPDATE throttles SET until = until - interval '2 hours'",
    )
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        for statement in backdated:
            await connection.execute(statement.encode(), [living.session.id] if "%s" in statement else [])
    errors = MaintenanceErrors(OperatorFaults(structlog.get_logger(__name__)), where)
    await Pruning(people.database, Retention(), errors).forget()
    assert await rows(database_url, _WORK) == [(0, 1, 1)]
    assert await rows(database_url, "SELECT count(*) FROM throttles") == [(0,)]
    assert await caller(people, living)
