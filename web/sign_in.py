"""Signing in, up and out, a forgotten password, and the pages that mailed links open."""

from starlette.responses import Response

from web.api import Fault
from web.visit import THEME, THEMES, YEAR_SECONDS, Page, Visit, local

_CREATED, _ACCEPTED = 201, 202


async def sign_in(visit: Visit) -> Response:
    """Show the form, or begin a session with it."""
    if visit.account is not None and visit.request.method == "GET":
        return visit.redirect(_next(visit))
    return await _enter(visit, "sign-in.html", "/api/auth/login/")


async def sign_up(visit: Visit) -> Response:
    """Show the form, or open an account with it. Where addresses are verified, a page says to open the mailed link.

    An account that begins without credits goes on to the page that says why.
    """
    if visit.account is not None and visit.request.method == "GET":
        return visit.redirect(_next(visit))
    return await _enter(visit, "sign-up.html", "/api/auth/signup/")


async def _enter(visit: Visit, template: str, endpoint: str) -> Response:
    values: dict[str, object] = {"address_given": "", "fault": None, "next": _next(visit)}
    if visit.request.method == "GET":
        return visit.render(template, values)
    form = await visit.form()
    email = str(form.get("email", ""))
    goal = local(str(form.get("next", "")))
    try:
        answer = await visit.send("POST", endpoint, {"email": email, "password": str(form.get("password", ""))})
    except Fault as fault:
        more = {"retry-after": fault.retry_after} if fault.retry_after else None
        return visit.render(
            template, values | {"address_given": email, "fault": fault, "next": goal}, status=fault.status, headers=more
        )
    if answer.status == _ACCEPTED:
        return visit.render("mailed.html", {"message": answer.body["message"], "address_given": email})
    without_credits = answer.status == _CREATED and visit.api.server.free_credits and not answer.body["balance"]
    return visit.redirect("/plan?new" if without_credits else goal, answer)


async def sign_out(visit: Visit) -> Response:
    """End the session, and let the browser forget what it has of this server."""
    response = visit.redirect("/", await visit.send("POST", "/api/auth/logout/"))
    response.headers["clear-site-data"] = '"cache", "storage"'
    return response


async def forgot(visit: Visit) -> Response:
    """Mail a link that sets a new password. The answer does not tell whether the address has an account."""
    if visit.request.method == "GET":
        return visit.render("forgot.html", {"address_given": "", "fault": None})
    email = str((await visit.form()).get("email", ""))
    try:
        answer = await visit.send("POST", "/api/auth/reset/", {"email": email})
    except Fault as fault:
        return visit.render("forgot.html", {"address_given": email, "fault": fault}, status=fault.status)
    return visit.render("mailed.html", {"message": answer.body["message"], "address_given": email})


async def verify(visit: Visit) -> Response:
    """A mailed link opens this. Its secret is behind the `#`, which a browser does not send: the script does."""
    return visit.render("verify.html", secret=True)


async def reset(visit: Visit) -> Response:
    return visit.render("reset.html", secret=True)


async def theme(visit: Visit) -> Response:
    """Choose light, dark, or what the system has, and go back to the page."""
    form = await visit.form()
    chosen = str(form.get("theme", ""))
    response = visit.redirect(local(str(form.get("next", "")), "/"))
    if chosen in THEMES:
        response.set_cookie(THEME, chosen, max_age=YEAR_SECONDS, samesite="lax")
    else:
        response.delete_cookie(THEME, samesite="lax")
    return response


def _next(visit: Visit) -> str:
    return local(visit.request.query_params.get("next", ""))


BOTH = ("GET", "POST")
PAGES = (
    Page("/sign-in", sign_in, BOTH, needs_account=False),
    Page("/sign-up", sign_up, BOTH, needs_account=False),
    Page("/sign-out", sign_out, ("POST",), needs_account=False, with_account=False),
    Page("/forgot", forgot, BOTH, needs_account=False, with_account=False),
    Page("/verify", verify, needs_account=False, with_account=False),
    Page("/reset", reset, needs_account=False, with_account=False),
    Page("/theme", theme, ("POST",), needs_account=False, with_account=False),
)
