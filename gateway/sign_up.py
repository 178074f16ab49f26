"""Sign-up. With verification, an account is opened when its owner opens the link that was mailed to the address.

Until then there is no account, only the link: so nobody reserves the address of somebody else, and whoever opens the
link has the password that came with it. A known address is answered alike; its owner gets a mail that says so.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from db import accounts as stored_accounts
from db import people as stored
from db.engine import Session
from domain import email_addresses, passwords, throttles
from domain.errors import LinkUnusable, RequestInvalid
from gateway.ids import new_id
from gateway.letters import Writing
from gateway.passwords import Asker
from gateway.people import VERIFICATION_LIFETIME, OneTimeLink, People, SignedIn, digest_of, new_link
from gateway.throttles import Client

AddLink = Callable[[Session, stored.NewLink], Awaitable[bool]]
VERIFYING = ("sign_up", "verify", "change_email")
"""The purposes of links that verify an address."""


@dataclass(frozen=True, slots=True)
class Verified:
    email: str = field(repr=False)
    free_credits: int | None
    """What its account got by that. 0: the mailbox had them before, or there is no free tier. None: none were due."""
    replaced: str | None = field(default=None, repr=False)
    """The address before, of a user who changed it."""


async def sign_up(people: People, email: str, password: str, client: Client) -> SignedIn | None:
    """Open an account, or, with verification, mail a link that does: then None.

    Raises `RequestInvalid` for a password or an address that cannot be taken, `RateLimited` and `ServiceUnavailable`.
    """
    email = email_addresses.normalized(email)
    password = passwords.chosen(password, email=email)
    link = new_link(email, VERIFICATION_LIFETIME, "sign-up")
    limits = [(throttles.SIGN_UPS, client.network), *(mails(link, client) if people.verification else [])]
    await people.throttles.take(*limits)
    hashed = await people.passwords.hash(password, Asker(client.network))
    if not people.verification:
        return await _opened_at_once(people, email, hashed, client)
    async with people.database.transaction() as session:
        new = await stored.add_sign_up_link(session, link.stored, hashed)
    post(people, link, people.letters.verification if new else people.letters.known)
    return None


async def _opened_at_once(people: People, email: str, hashed: str, client: Client) -> SignedIn:
    async with people.database.transaction() as session:
        await stored_accounts.lock_email(session, email)
        if await stored_accounts.of_email(session, email) is not None:
            raise RequestInvalid("'email': this address cannot be used for a new account. Sign in.", param="email")
        account_id, user_id = await _open_account(people, session, email, hashed)
        await people.free_tier.give(session, account_id, email, client.network)
        begun = await people.sessions.begin(session, user_id)
    return SignedIn(account_id, begun, people.browsers.written(user_id))


async def _open_account(people: People, session: Session, email: str, hashed: str) -> tuple[UUID, UUID]:
    account_id, user_id = new_id(), new_id()
    wrapping = people.free_tier.wrapping
    await stored_accounts.create(session, wrapping, account_id=account_id, user_id=user_id, email=email)
    await stored.set_password(session, user_id, hashed)
    return account_id, user_id


async def mail_verification(people: People, email: str, client: Client) -> None:
    """Mail the link again, to an address of which one is awaited. Raises `RequestInvalid` and `RateLimited`."""
    link = new_link(email_addresses.normalized(email), VERIFICATION_LIFETIME, "verification")
    await mail_link(people, link, client, stored.add_verification_link, people.letters.verification)


async def operators_link(session: Session, email: str) -> OneTimeLink | None:
    """Make that link for the operator to hand over. None if none is awaited for this address."""
    link = new_link(email_addresses.normalized(email), VERIFICATION_LIFETIME, "verification")
    return link if await stored.add_verification_link(session, link.stored) else None


async def verify(people: People, token: str) -> Verified:
    """Use a link that verifies an address. It signs nobody in: the password does.

    Opens the account of a sign-up, and gives it the free tier. Raises `LinkUnusable`.
    """
    digest = digest_of(token)
    async with people.database.transaction() as session:
        email = await stored.link_lives(session, digest, *VERIFYING)
        if email is None:
            raise LinkUnusable
        await stored_accounts.lock_email(session, email)
        link = await stored.use_link(session, digest, *VERIFYING)
        if link is None:
            raise LinkUnusable
        verified = await _verified(people, session, link)
    if verified.replaced is not None:
        people.outbox.send(people.letters.new_address(verified.replaced))
    return verified


async def _verified(people: People, session: Session, link: stored.Link) -> Verified:
    """Do what the link is for."""
    taken = await stored_accounts.of_email(session, link.email)
    if link.purpose == "sign_up":
        if taken is not None or link.password is None:
            raise LinkUnusable
        account_id, user_id = await _open_account(people, session, link.email, link.password)
        await stored.verify_email(session, user_id, link.email)
        await stored.drop_sign_ups(session, link.email)
        return Verified(link.email, await _free_credits(people, session, account_id, link.email))
    assert link.user_id is not None  # noqa: S101  # a constraint of the table
    user = await stored.of_id(session, link.user_id, lock=True)
    if link.purpose == "verify":
        if not await stored.verify_email(session, user.id, link.email):
            raise LinkUnusable
        return Verified(link.email, await _free_credits(people, session, user.account_id, link.email))
    if taken is not None:
        raise LinkUnusable
    await stored.change_email(session, user.id, link.email, verified=True)
    # What was mailed to the address before must not open the account any more.
    await stored.drop_links(session, user.id, "reset", "verify", "change_email")
    await stored.drop_sign_ups(session, link.email)
    return Verified(link.email, None, replaced=user.email)


async def _free_credits(people: People, session: Session, account_id: UUID, email: str) -> int:
    return people.free_tier.credits if await people.free_tier.give(session, account_id, email) else 0


def mails(link: OneTimeLink, client: Client) -> list[tuple[throttles.Throttle, str]]:
    """The limits of mails to an address, whether it has an account or not.

    Whoever uses up resets sends the owner working links. Mails of other kinds, which may have none, use up no resets.
    """
    name = f"{link.wanted}\n{link.stored.email}"
    return [(throttles.MAILS_FROM_NETWORK, f"{name}\n{client.network}"), (throttles.MAILS, name)]


async def mail_link(people: People, link: OneTimeLink, client: Client, add: AddLink, write: Writing) -> None:
    """Mail a link if `add` stores it for an account: it takes the same work if not. Raises `RateLimited`."""
    await people.throttles.take((throttles.MAIL_REQUESTS, client.network), *mails(link, client))
    async with people.database.transaction() as session:
        known = await add(session, link.stored)
    if known:
        post(people, link, write)


def post(people: People, link: OneTimeLink, write: Writing) -> None:
    people.outbox.send(write(link.stored.email, link.secret, link.stored.lifetime))
