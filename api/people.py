"""`/api/auth/…`: sign up, in and out; the own sessions, password and e-mail address; links that were mailed."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.body import OpenRoute, StrictRoute
from api.deps import AnyCaller, AskingClient, CurrentResources, SignedIn
from api.resources import Resources
from db import people as stored
from domain.caller import WebSession
from gateway import own_account, sign_in, sign_up
from gateway import people as use_cases

everybody = APIRouter(prefix="/api/auth", tags=["sign-in"], route_class=OpenRoute)
signed_in = APIRouter(prefix="/api/auth", tags=["sign-in"], route_class=StrictRoute)

Email = Annotated[str, Field(min_length=1, max_length=320)]
Password = Annotated[str, Field(max_length=1000, repr=False, description="8 to 200 characters.")]
Token = Annotated[str, Field(max_length=200, repr=False, description="The secret of a mailed link, after its `#`.")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Credentials(_Body):
    email: Email = Field(repr=False)
    password: Password


class Address(_Body):
    email: Email = Field(repr=False)


class OneTimeToken(_Body):
    token: Token


class NewPassword(_Body):
    token: Token
    password: Password


class PasswordChange(_Body):
    current_password: Password
    new_password: Password


class Me(BaseModel):
    """The account of the caller. `email` is null for a caller with a key."""

    model_config = ConfigDict(from_attributes=True)

    account_id: UUID
    email: str | None = Field(repr=False)
    email_verified: bool
    created_at: datetime
    balance: int
    held: int
    plan: str | None
    plan_active: bool
    running_jobs: int
    """Media jobs that have not ended. More than 10 are 10."""


class Pending(BaseModel):
    """What was asked for happens when the link is opened that is mailed to the address, if there is one to mail."""

    status: str = "pending"
    message: str = Field(repr=False)


class Verified(BaseModel):
    email: str = Field(repr=False)
    email_verified: bool = True
    free_credits: int | None = Field(
        description="What the account got by this. 0: its mailbox had the free tier before, or there is none. "
        "Null: none was due, as for a new address of an account."
    )


class EndedSessions(BaseModel):
    ended_sessions: int


class ListedSession(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    """The latest: a session that is not used ends earlier."""
    current: bool
    """True for the session that asks."""


class SessionList(BaseModel):
    data: list[ListedSession]
    has_more: bool = False
    next: str | None = None


_CONFIRM = Pending(message="Open the link that is mailed to you. It works for 24 hours.")
_CHOOSE = Pending(message="If this address has an account, a link is mailed to it. It works for an hour.")
_ASK = Pending(message="This server sends no mail. Ask its operator for the link.")


def _awaited(resources: CurrentResources, mailed: Pending) -> Pending:
    """Say how a link comes."""
    return mailed if resources.people.outbox.sends else _ASK


@everybody.post("/signup/", status_code=201, responses={202: {"model": Pending}})
async def create_account(
    body: Credentials, client: AskingClient, resources: CurrentResources, request: Request, response: Response
) -> Me | Pending:
    """Open an account. When addresses are verified, the answer is 202: the account is opened by the link that is mailed
    to the address, and a known address is answered alike. Otherwise it is 201, and the caller is signed in.
    """
    begun = await sign_up.sign_up(resources.people, body.email, body.password, client)
    if begun is None:
        response.status_code = 202
        return _awaited(resources, _CONFIRM)
    return await _signed_in(resources, request, response, begun)


@everybody.post("/login/")
async def log_in(
    body: Credentials, client: AskingClient, resources: CurrentResources, request: Request, response: Response
) -> Me:
    """Begin a session, by a cookie. The answer does not tell whether the address or the password is wrong."""
    begun = await sign_in.sign_in(resources.people, body.email, body.password, client)
    return await _signed_in(resources, request, response, begun)


@everybody.post("/logout/", status_code=204)
async def log_out(resources: CurrentResources, request: Request) -> Response:
    """End the session of the cookie, in every process, and remove the cookie. Idempotent."""
    secret = resources.cookie.secret(request.scope)
    if secret is not None:
        resources.cookie.require_same_origin(request.scope)
        await resources.sessions.end_by_secret(secret)
    return Response(status_code=204, headers={"set-cookie": resources.cookie.cleared()})


@everybody.post("/verify/")
async def verify_address(body: OneTimeToken, resources: CurrentResources) -> Verified:
    """Confirm an address by the token that was mailed to it. It works once. Opens the account of a sign-up; then sign
    in with the password.
    """
    verified = await sign_up.verify(resources.people, body.token)
    return Verified(email=verified.email, free_credits=verified.free_credits)


@everybody.post("/verify/resend/", status_code=202)
async def mail_verification_again(body: Address, client: AskingClient, resources: CurrentResources) -> Pending:
    """Mail the link once more, if one is awaited for this address. The answer does not tell whether it is."""
    await sign_up.mail_verification(resources.people, body.email, client)
    return _awaited(resources, _CONFIRM)


@everybody.post("/reset/", status_code=202)
async def forget_password(body: Address, client: AskingClient, resources: CurrentResources) -> Pending:
    """Mail a link that sets a new password, if this address has an account. The answer does not tell whether it has.

    Where no mail is sent, the operator hands out links.
    """
    await sign_in.mail_reset(resources.people, body.email, client)
    return _awaited(resources, _CHOOSE)


@everybody.post("/reset/confirm/", status_code=204)
async def choose_password(body: NewPassword, resources: CurrentResources) -> Response:
    """Set a new password by the token that was mailed. It works once, and ends all sessions of the user."""
    await sign_in.reset_password(resources.people, body.token, body.password)
    return Response(status_code=204)


@signed_in.get("/me/")
async def me(caller: AnyCaller, resources: CurrentResources) -> Me:
    """Tell who is signed in, or whose account the key is of."""
    profile = await _me(resources, caller.account_id)
    return profile if isinstance(caller.credential, WebSession) else profile.model_copy(update={"email": None})


@signed_in.get("/sessions/")
async def list_sessions(who: SignedIn, resources: CurrentResources) -> SessionList:
    """List the sessions of the user, the last seen first. `last_seen_at` is exact to five minutes."""
    rows = await resources.sessions.listed(who)
    return SessionList(data=[ListedSession.model_validate(row) for row in rows])


@signed_in.delete("/sessions/")
async def end_other_sessions(who: SignedIn, resources: CurrentResources) -> EndedSessions:
    """End all sessions but the one that asks. Their next request is 401, in every process."""
    return EndedSessions(ended_sessions=await resources.sessions.end_others(who))


@signed_in.delete("/sessions/{session_id}/", status_code=204)
async def end_session(session_id: UUID, who: SignedIn, resources: CurrentResources) -> Response:
    """End a session. Its next request is 401, in every process."""
    await resources.sessions.end(who, session_id)
    ours = session_id == who.session_id
    return Response(status_code=204, headers={"set-cookie": resources.cookie.cleared()} if ours else {})


@signed_in.post("/password/")
async def change_password(body: PasswordChange, who: SignedIn, resources: CurrentResources) -> EndedSessions:
    """Change the password, and end all other sessions."""
    ended = await own_account.change_password(resources.people, who, body.current_password, body.new_password)
    return EndedSessions(ended_sessions=ended)


@signed_in.post("/email/", responses={202: {"model": Pending}})
async def change_email(
    body: Credentials, who: SignedIn, client: AskingClient, resources: CurrentResources, response: Response
) -> Me | Pending:
    """Change the address, with the current password. When addresses are verified, the answer is 202, and the new one
    counts when the link is opened that is mailed to it.
    """
    changed = await own_account.change_email(resources.people, who, body.password, body.email, client)
    if not changed:
        response.status_code = 202
        return _awaited(resources, _CONFIRM)
    async with resources.database.reading() as session:
        account_id = (await stored.of_id(session, who.user_id)).account_id
    return await _me(resources, account_id)


async def _signed_in(resources: Resources, request: Request, response: Response, begun: use_cases.SignedIn) -> Me:
    """Answer with the new session's cookie. The session that the browser had until now ends."""
    cookie = resources.cookie
    if (before := cookie.secret(request.scope)) is not None:
        await resources.sessions.end_by_secret(before)
    response.headers.append("set-cookie", cookie.written(begun.session.secret, resources.sessions.lifetime.absolute))
    response.headers.append("set-cookie", cookie.browser_written(begun.browser))
    return await _me(resources, begun.account_id)


async def _me(resources: Resources, account_id: UUID) -> Me:
    return Me.model_validate(await stored.profile(resources.database, account_id))
