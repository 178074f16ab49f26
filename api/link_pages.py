"""`GET /verify` and `GET /reset`: small pages that mailed links open, until the web app has its own.

The secret is after the `#` of the address: the browser does not send it, the page's script does, when its reader asks
for it. A program that looks at links in mails uses none up.
"""

import base64
from hashlib import sha256

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter()
_SCRIPT = """
const form = document.querySelector("form"), said = document.querySelector("output");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = {token: location.hash.slice(1), ...Object.fromEntries(new FormData(form))};
  const headers = {"content-type": "application/json"};
  try {
    const answer = await fetch(form.dataset.asks, {method: "POST", headers, body: JSON.stringify(body)});
    said.textContent = answer.ok ? form.dataset.done : (await answer.json()).error.message;
    form.querySelector("button").disabled = answer.ok;
  } catch {
    said.textContent = "The server did not answer. Try again.";
  }
});
"""
_HASH = base64.b64encode(sha256(_SCRIPT.encode()).digest()).decode()
_HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; script-src 'sha256-{_HASH}'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}


def _page(title: str, form: str) -> HTMLResponse:
    page = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{title} · Yout</title>\n<h1>{title}</h1>\n{form}\n"
        f'<p><output role="status"></output></p>\n<script type="module">{_SCRIPT}</script>\n</html>\n'
    )
    return HTMLResponse(page, headers=_HEADERS)


@router.get("/verify", include_in_schema=False)
async def verify() -> HTMLResponse:
    return _page(
        "Confirm your e-mail address",
        '<form data-asks="/api/auth/verify/" data-done="Your address is confirmed. You can sign in now.">\n'
        "<button>Confirm</button>\n</form>",
    )


@router.get("/reset", include_in_schema=False)
async def reset() -> HTMLResponse:
    return _page(
        "Choose a new password",
        '<form data-asks="/api/auth/reset/confirm/" data-done="Your password is set. You can sign in now.">\n'
        '<label>New password <input name="password" type="password" minlength="8" maxlength="200" required '
        'autocomplete="new-password" autofocus></label>\n<button>Set password</button>\n</form>',
    )
