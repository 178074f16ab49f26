"""The account: e-mail address, password and sessions, each with its own form."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from web.api import Fault
from web.ids import as_part
from web.visit import ALOUD, ENTER, YEAR_SECONDS, Page, Visit

BROWSER = {"letters": ("yout-letters", "off"), "enter": (ENTER, "break"), "aloud": (ALOUD, "on")}
"""What is set in a browser, by the form's field: its cookie, and what that has if it is not as it comes.

`letters`: shortcuts of a single letter, which `js/frame.js` reads.
"""
_ACCEPTED = 202
_SESSIONS = "/api/auth/sessions/"


async def account(visit: Visit) -> Response:
    return await _shown(visit)


async def change_password(visit: Visit) -> Response:
    form = await visit.form()
    passwords = {name: str(form.get(name, "")) for name in ("current_password", "new_password")}
    return await _changed(
        visit, "/api/auth/password/", passwords, "Your password is changed. Other sessions are ended."
    )


async def change_email(visit: Visit) -> Response:
    form = await visit.form()
    credentials = {name: str(form.get(name, "")) for name in ("email", "password")}
    return await _changed(visit, "/api/auth/email/", credentials, "Your address is changed.")


async def end_session(visit: Visit) -> Response:
    session = as_part(visit.request.path_params["session_id"])
    return visit.redirect("/account", await visit.send("DELETE", f"{_SESSIONS}{session}/"))


async def end_other_sessions(visit: Visit) -> Response:
    await visit.send("DELETE", _SESSIONS)
    return visit.redirect("/account")


async def browser(visit: Visit) -> Response:
    """Change how pages behave in this browser, which a cookie remembers."""
    form = await visit.form()
    response = visit.redirect("/account#browser")
    for name, (cookie, value) in BROWSER.items():
        if form.get(name) == value:
            response.set_cookie(cookie, value, max_age=YEAR_SECONDS, samesite="lax")
        elif name in form:
            response.delete_cookie(cookie, samesite="lax")
    return response


async def _changed(visit: Visit, endpoint: str, body: Mapping[str, str], done: str) -> Response:
    try:
        answer = await visit.send("POST", endpoint, body)
    except Fault as fault:
        return await _shown(visit, {"fault": fault, "endpoint": endpoint}, status=fault.status)
    message = answer.body["message"] if answer.status == _ACCEPTED else done
    return await _shown(visit, {"done": message})


async def _shown(visit: Visit, more: Mapping[str, Any] | None = None, status: int = 200) -> Response:
    sessions = (await visit.get(_SESSIONS))["data"]
    chosen = {name for name, (cookie, value) in BROWSER.items() if visit.request.cookies.get(cookie) == value}
    values = {"sessions": sessions, "fault": None, "endpoint": "", "done": "", "chosen": chosen}
    values |= more or {}
    return visit.render("account.html", values, status=status)


PAGES = (
    Page("/account", account),
    Page("/account/password", change_password, ("POST",)),
    Page("/account/email", change_email, ("POST",)),
    Page("/account/browser", browser, ("POST",)),
    Page("/account/sessions/end-others", end_other_sessions, ("POST",)),
    Page("/account/sessions/{session_id}/end", end_session, ("POST",)),
)
