"""`GET /v1/models` for Anthropic's clients: the models that chat, in Anthropic's shape and in pages."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from api.wire.models import CREATED
from domain.catalog import Modality, Model
from domain.errors import RequestInvalid

_CREATED = datetime.fromtimestamp(CREATED, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def listing(models: Sequence[Model], limit: int, after: str | None, before: str | None) -> dict[str, Any]:
    """Return a page: the models behind `after`, or those in front of `before`. Raises for an unknown id."""
    chatting = [model for model in models if model.modality is Modality.TEXT]
    ids = [model.id for model in chatting]
    if before is not None:
        rest = chatting[: _position(ids, before, "before_id")]
        page = rest[-limit:]
    else:
        rest = chatting if after is None else chatting[_position(ids, after, "after_id") + 1 :]
        page = rest[:limit]
    return {
        "data": [entry(model) for model in page],
        "has_more": len(rest) > len(page),
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def _position(ids: list[str], model: str, param: str) -> int:
    if model not in ids:
        raise RequestInvalid(f"'{param}' must be the id of a model.", param=param)
    return ids.index(model)


def entry(model: Model) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.name,
        "created_at": _CREATED,
        "lifecycle": "active",
        "max_input_tokens": model.context_window,
        "max_tokens": model.max_output_tokens,
    }
