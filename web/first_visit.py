"""`GET /`: what this is, and a first question without an account. Whoever is signed in goes on to the Playground."""

from starlette.responses import Response

from web import chat
from web.visit import Page, Visit

IDEAS = {
    "Explain a regular expression": r"Explain this regular expression, part by part: ^(?=.*\d)[a-z][\w.-]{2,30}$",
    "Write a commit message": "Write a commit message: subject in the imperative, then why. The change:\n\n",
    "Compare two contracts": "Compare these two contracts. List what differs, and what it means for me.\n\nA: \n\nB: ",
}
"""What they put into the composer, by what they are called."""


async def first_visit(visit: Visit) -> Response:
    if visit.account is not None:
        return visit.redirect("/chat")
    allowance = await chat.allowance(visit)
    models = await chat.text_models(visit) if allowance is not None else []
    chosen = chat.chosen(models, "")
    values = {
        "allowance": allowance,
        "models": models if chosen else [],
        "others": [model for model in models if not model.enabled],
        "chosen": chosen,
        "ideas": IDEAS,
    }
    return visit.render("first-visit.html", values)


PAGES = (Page("/", first_visit, needs_account=False),)
