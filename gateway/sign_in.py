"""Sign-in, and a new password for whoever has forgotten it.

A hash is compared for an unknown address as well, so that it takes the same work as a wrong password.
"""

from uuid import UUID

from db import accounts as stored_accounts
from db import people as stored
from db.engine import Session
from db.people import User
from db.throttles import Try
from domain import email_addresses, passwords
from domain.errors import AccountSuspended, LinkUnusable, SignInFailed
from gateway.passwords import Asker
from gateway.people import RESET_LIFETIME, OneTimeLink, People, SignedIn, digest_of, new_link
from gateway.sign_up import mail_link
from gateway.throttles import Client

_NOBODY = UUID(int=0)


async def sign_in(people: People, email: str, password: str, client: Client) -> SignedIn:
    """Begin a session. Raises `SignInFailed` for a wrong address or password, `RateLimited` and `ServiceUnavailable`.

    Whoever does not know the password does not learn that the account is suspended.
    """
    email = email_addresses.normalized(email)
    async with people.database.reading() as session:
        user = await stored.of_email(session, email)
    known = people.browsers.name_of(client.browser, user.id if user else _NOBODY)
    tries = await people.throttles.take_sign_in(email, client, known_browser=known)
    asker = Asker(client.network) if known is None or user is None else Asker(str(user.id), known=True)
    right = await people.passwords.verify(user.password if user else None, password, asker)
    if user is None or user.password is None or not right:
        raise SignInFailed
    renewed = None
    if people.passwords.outdated(user.password):
        renewed = await people.passwords.hash(passwords.normalized(password), asker)
    async with people.database.transaction() as session:
        return await _signed_in(people, session, user, tries, renewed)


async def _signed_in(
    people: People, session: Session, compared: User, tries: list[Try], renewed: str | None
) -> SignedIn:
    user = await stored.of_id(session, compared.id, lock=True)
    if user.password != compared.password:
        raise SignInFailed  # it was changed while it was compared
    if user.suspended:
        raise AccountSuspended
    if renewed is not None:
        await stored.set_password(session, user.id, renewed)
    await people.throttles.give_back(session, tries)
    begun = await people.sessions.begin(session, user.id)
    return SignedIn(user.account_id, begun, people.browsers.written(user.id))


async def mail_reset(people: People, email: str, client: Client) -> None:
    """Mail a link that sets a new password, if the address has an account. Raises `RequestInvalid`, `RateLimited`."""
    link = new_link(email_addresses.normalized(email), RESET_LIFETIME, "reset")
    await mail_link(people, link, client, stored.add_reset_link, people.letters.reset)


async def reset_password(people: People, token: str, password: str) -> None:
    """Set a new password by a link, and end all sessions. Of several uses at once, one counts.

    A link that was mailed verifies the address too. Raises `LinkUnusable` and `RequestInvalid`.
    """
    digest = digest_of(token)
    async with people.database.reading() as session:
        email = await stored.link_lives(session, digest, "reset")
    if email is None:
        raise LinkUnusable
    chosen = passwords.chosen(password, email=email)
    hashed = await people.passwords.hash(chosen, Asker(email, known=True))
    async with people.database.transaction() as session:
        await stored_accounts.lock_email(session, email)  # several links of one address are used one after another
        link = await stored.use_link(session, digest, "reset")
        if link is None or link.user_id is None:
            raise LinkUnusable
        user = await stored.of_id(session, link.user_id, lock=True)
        if user.email != link.email:
            raise LinkUnusable
        await stored.set_password(session, user.id, hashed)
        if link.mailed:
            await stored.verify_email(session, user.id, link.email)
            await people.free_tier.give(session, user.account_id, link.email)
        await stored.drop_links(session, user.id, "reset", "change_email")
        await people.sessions.end_all(session, user.id)
    people.outbox.send(people.letters.new_password(user.email))


async def operators_reset_link(session: Session, email: str) -> OneTimeLink | None:
    """Make a link that sets a new password, for the operator to hand over. None for an unknown address."""
    link = new_link(email_addresses.normalized(email), RESET_LIFETIME, "reset")
    return link if await stored.add_reset_link(session, link.stored, mailed=False) else None
