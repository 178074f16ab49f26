"""What the owner of an account changes about the own sign-in: the password, and the e-mail address.

Each asks for the current password, so that a browser that was left open, or a stolen cookie, is not enough.
"""

from db import accounts as stored_accounts
from db import people as stored
from db.people import User
from domain import email_addresses, passwords, throttles
from domain.caller import WebSession
from domain.errors import RequestInvalid
from gateway.passwords import Asker
from gateway.people import VERIFICATION_LIFETIME, People, new_link
from gateway.sign_up import mails, post
from gateway.throttles import Client


async def change_password(people: People, who: WebSession, current: str, new: str) -> int:
    """Change the password, and end all other sessions. Returns how many ended.

    Raises `RequestInvalid` for a wrong current password, or a new one that cannot be taken; and `RateLimited`.
    """
    user = await _proven(people, who, current, param="current_password")
    hashed = await people.passwords.hash(passwords.chosen(new, email=user.email, param="new_password"), _asker(who))
    async with people.database.transaction() as session:
        _require_same(user, await stored.of_id(session, user.id, lock=True))
        await stored.set_password(session, user.id, hashed)
        await stored.drop_links(session, user.id, "reset", "change_email")
        ended = await people.sessions.end_all(session, user.id, but=who.session_id)
    people.outbox.send(people.letters.new_password(user.email))
    return ended


async def change_email(people: People, who: WebSession, password: str, email: str, client: Client) -> bool:
    """Change the address. With verification it counts when the link that is mailed to it is opened: then False.

    Raises `RequestInvalid` and `RateLimited`.
    """
    email = email_addresses.normalized(email)
    user = await _proven(people, who, password, param="password")
    if email == user.email:
        raise RequestInvalid("'email' is your address already.", param="email")
    if people.verification:
        link = new_link(email, VERIFICATION_LIFETIME, "new address")
        await people.throttles.take((throttles.MAIL_REQUESTS, client.network), *mails(link, client))
        async with people.database.transaction() as session:
            _require_same(user, await stored.of_id(session, user.id, lock=True))
            free = await stored.add_change_link(session, link.stored, user.id)
        post(people, link, people.letters.verification if free else people.letters.known)
        return False
    async with people.database.transaction() as session:
        await stored_accounts.lock_email(session, email)
        if await stored_accounts.of_email(session, email) is not None:
            raise RequestInvalid("'email': this address cannot be used.", param="email")
        _require_same(user, await stored.of_id(session, user.id, lock=True))
        await stored.change_email(session, user.id, email, verified=False)
        await stored.drop_links(session, user.id, "reset", "verify", "change_email")
    people.outbox.send(people.letters.new_address(user.email))
    return True


async def _proven(people: People, who: WebSession, password: str, *, param: str) -> User:
    """Return the user, who has given the current password. Raises `RequestInvalid` for a wrong one."""
    tries = await people.throttles.take((throttles.OWN_PASSWORD, str(who.user_id)))
    async with people.database.reading() as session:
        user = await stored.of_id(session, who.user_id)
    if not await people.passwords.verify(user.password, password, _asker(who)):
        raise RequestInvalid(f"'{param}' is not your password.", param=param)
    async with people.database.transaction() as session:
        await people.throttles.give_back(session, tries)
    return user


def _asker(who: WebSession) -> Asker:
    return Asker(str(who.user_id), known=True)


def _require_same(compared: User, now: User) -> None:
    """Raises `RequestInvalid` if the password was changed while it was compared."""
    if compared.password != now.password:
        raise RequestInvalid("Your password was changed a moment ago. Sign in again.", param="password")
