"""The Playground: a chat with any model. The server renders all but the chat itself, which needs a script.

A chat lives in its tab. With history on, it is kept on the server, and has an address of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from web.api import Fault
from web.ids import as_part
from web.models import amount
from web.visit import Page, Visit

Model = Mapping[str, Any]

KEPT_CHATS = 8
"""The newest of them are listed beside the chat."""
_CONVERSATIONS = "/api/chat/conversations/"
_CHARGES = "/activity/charges/"
_UNAUTHORIZED = 401
_REASONS = {"pro_required": "Plan", "invalid_api_key": "needs an account"}
"""What a model's row says when the reader cannot call it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A model in the list of models to choose from."""

    id: str
    name: str = field(repr=False)
    enabled: bool
    reason: str = field(repr=False)
    """Why it cannot be chosen."""
    price: str = field(repr=False)
    """Credits per 1,000 tokens."""
    parameters: str = field(repr=False)
    """The request fields that it takes, with spaces between."""
    reads: str = field(repr=False)
    """What it takes beside text, such as `image`, with spaces between."""
    max_tokens: int | None


async def playground(visit: Visit) -> Response:
    return await _shown(visit)


async def saved_chat(visit: Visit) -> Response:
    """Show a chat of the account's history. Its script reads the messages."""
    chat_id = as_part(visit.request.path_params["conversation_id"])
    saved = await visit.get(f"{_CONVERSATIONS}{chat_id}/", limit=1)
    return await _shown(visit, {"conversation": saved["id"], "title": saved["title"]})


async def _shown(visit: Visit, more: Mapping[str, object] | None = None) -> Response:
    anonymous = None
    if visit.account is None and (anonymous := await allowance(visit)) is None:
        return visit.to_sign_in()
    choices = await text_models(visit)
    keeps = visit.account is not None and (await visit.get("/api/chat/settings/"))["keep_history"]
    saved = (await visit.get(_CONVERSATIONS, limit=KEPT_CHATS))["data"] if keeps or more else []
    values = {
        "choices": choices,
        "chosen": chosen(choices, visit.request.query_params.get("model", "")),
        "named": "model" in visit.request.query_params,
        "keeps": keeps,
        "chats": saved,
        "allowance": anonymous,
        "explains": any(place.startswith(_CHARGES) for place in visit.places),
        "conversation": "",
        "title": "",
        **(more or {}),
    }
    return visit.render("chat.html", values)


async def allowance(visit: Visit) -> Mapping[str, Any] | None:
    """Return what a visitor has of the day. None: this server has no visitors."""
    try:
        left: Mapping[str, Any] = (await visit.get("/api/chat/limit/"))["anonymous"]
    except Fault as fault:
        if fault.status == _UNAUTHORIZED:
            return None
        raise
    return left


async def text_models(visit: Visit) -> Sequence[Choice]:
    """Return the models that chat, those first that the reader can call."""
    models: Sequence[Model] = (await visit.get("/api/chat/models/"))["data"]
    choices = [_choice(model) for model in models if model["modality"] == "text"]
    return sorted(choices, key=lambda choice: not choice.enabled)


def chosen(choices: Sequence[Choice], wanted: str) -> Choice | None:
    """Return the model that is asked for, or a quick one that the reader can call. None: there is none."""
    usable = [choice for choice in choices if choice.enabled]
    named = next((choice for choice in usable if choice.id == wanted), None)
    return named or next((choice for choice in usable if "demo" not in choice.id), usable[0] if usable else None)


def _choice(model: Model) -> Choice:
    rates = model["prices"]["per_1k"]
    price = " / ".join(amount(rates[meter], "credits") for meter in ("input", "output") if meter in rates)
    return Choice(
        id=model["id"],
        name=model["name"],
        enabled=model["enabled"],
        reason="" if model["enabled"] else _REASONS.get(model["disabled_reason"], "not for you"),
        price=price,
        parameters=" ".join(model["supported_parameters"]),
        reads=" ".join(kind for kind in model["input_modalities"] if kind != "text"),
        max_tokens=model["max_output_tokens"],
    )


PAGES = (
    Page("/chat", playground, needs_account=False),
    Page("/chat/{conversation_id}", saved_chat),
)
