"""The models of this server, their prices and limits. Filters work on the server, and live in the address."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from web.api import Fault
from web.numbers import CREDITS_PER_DOLLAR
from web.visit import Page, Visit

Model = Mapping[str, Any]

KINDS = {
    "text": "Text",
    "image": "Image",
    "video": "Video",
    "speech": "Speech",
    "transcription": "Transcription",
    "embedding": "Embedding",
}
UNITS = {"credits": "Credits per 1,000", "usd": "US$ per million"}
TRIED_AT = {"text": "/chat", "image": "/studio/image", "video": "/studio/video", "speech": "/studio/speech"}
"""The page on which models of a kind are tried."""
_CALLS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "text": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello!"}]}),
    "image": ("/api/media/image/", {"prompt": "A lake at dawn"}),
    "video": ("/api/media/video/", {"prompt": "A lake at dawn"}),
    "speech": ("/api/media/speech/", {"input": "Welcome to the museum."}),
    "embedding": ("/v1/embeddings", {"input": "A lake at dawn"}),
}
"""Where models of a kind are called, and with what."""
_YOURS = "…"
"""Stands for what the caller alone can give, such as the id of an upload."""
_PLACES = 4


@dataclass(frozen=True, slots=True)
class Trait:
    """What some models have, as a filter and as a tag."""

    filter: str
    tag: str
    of: Callable[[Model], bool]


TRAITS: Mapping[str, Trait] = {
    "mine": Trait("Available to me", "", lambda model: model["enabled"]),
    "vision": Trait("Sees images", "vision", lambda model: "image" in model["input_modalities"]),
    "tools": Trait("Calls tools", "tools", lambda model: "tools" in model["supported_parameters"]),
    "reasoning": Trait("Reasons", "reasoning", lambda model: "reasoning_effort" in model["supported_parameters"]),
    "fast": Trait("Fast", "fast", lambda model: "fast" in model["tags"]),
    "private": Trait("Nothing is stored", "stores nothing", lambda model: model["zero_retention"]),
}


async def models(visit: Visit) -> Response:
    query = visit.request.query_params
    inactive = query.get("inactive") == "1"
    everything = await _every(visit, inactive=inactive)
    kinds = {kind: sum(kind == model["modality"] for model in everything) for kind in KINDS}
    kind = query.get("kind", "") if query.get("kind") in KINDS else "text"
    chosen = [name for name in query.getlist("has") if name in TRAITS]
    words = query.get("q", "")[:200].lower().split()
    of_kind = [model for model in everything if model["modality"] == kind]
    sort = _sort(query.get("sort", ""), kind)
    traits = ordered([model for model in of_kind if _fits(model, chosen, ())], sort)
    shown = sum(_has(model, words) for model in traits)
    unit = "usd" if query.get("unit") == "usd" else "credits"
    link = _Links(kind, chosen, unit, query.get("q", "")[:200], "1" if inactive else "", sort)
    values = {
        "models": [(model, prices(model, unit), _has(model, words)) for model in traits] if shown else [],
        "shown": shown,
        "kinds": {name: count for name, count in kinds.items() if count},
        "of_kind": len(of_kind),
        "chosen": chosen,
        "kind": kind,
        "unit": unit,
        "try_at": TRIED_AT.get(kind),
        "q": query.get("q", "")[:200],
        "link": link,
        "ways": [] if shown else _ways(everything, link, words),
        "inactive": inactive,
        "columns": _columns(kind),
        "sort": sort,
        **_NAMES,
    }
    return visit.render("models.html", values)


def _sort(written: str, kind: str) -> str:
    """Return a column of the kind, with `-` before it for the largest first. Without one it is the price."""
    known = written.removeprefix("-") in _columns(kind)
    return written if known else "-input" if kind == "text" else "-price"


def _columns(kind: str) -> Sequence[str]:
    """Return the columns with numbers, by which models are ordered."""
    return ("context", "input", "output") if kind == "text" else ("price",)


def ordered(models: Sequence[Model], sort: str) -> Sequence[Model]:
    """Order models by a column. Prices of one unit stay together, and what has no number comes last."""
    column, largest_first = sort.removeprefix("-"), sort.startswith("-")
    numbers = [(_number_of(model, column), model) for model in models]
    known = [(*number, model) for number, model in numbers if number is not None]
    known.sort(key=lambda one: one[1], reverse=largest_first)
    known.sort(key=lambda one: one[0])
    return [*(model for _, _, model in known), *(model for number, model in numbers if number is None)]


def _number_of(model: Model, column: str) -> tuple[str, float] | None:
    """Return what the table shows in a column: of what, and how much."""
    price = model["prices"]
    rates = price["per_1k"]
    if column == "price":
        unit = (price["unit"] or "", price["per_unit"])
        named = min(rates.items(), key=_place) if rates else unit
    else:
        named = ("", model["context_window"] if column == "context" else rates.get(column))
    return None if named[1] is None else named


async def model(visit: Visit) -> Response:
    wanted = visit.request.path_params["model_id"]
    row = next((model for model in await _every(visit, inactive=True) if model["id"] == wanted), None)
    if row is None:
        raise Fault(404, "This server has no such model.")
    values = {
        "model": row,
        "prices": prices(row, "credits"),
        "try_at": TRIED_AT.get(row["modality"]),
        "call": call(row, visit.api.server.public_url),
        **_NAMES,
    }
    return visit.render("model.html", values)


def call(model: Model, server: str) -> str:
    """Return a call in curl, with what the model must have. A recording goes as a file of a form."""
    authorized = '-H "Authorization: Bearer $YOUT_KEY"'
    if model["modality"] == "transcription":
        form = (f"-F model={model['id']}", "-F file=@recording.mp3")
        return _lines(f"curl {server}/v1/audio/transcriptions", authorized, *form)
    path, fields = _CALLS[model["modality"]]
    body = json.dumps({"model": model["id"], **_required(model), **fields}, ensure_ascii=False)
    return _lines(f"curl {server}{path}", authorized, '-H "Content-Type: application/json"', f"-d '{body}'")


def _required(model: Model) -> Mapping[str, object]:
    """Return the fields and files without which the model takes no call."""
    schema = model["parameters"] or {}
    fields = {name: schema["properties"][name] for name in schema.get("required", ())}
    files = {role: _YOURS for role, each in model["inputs"].items() if each["required"]}
    given = {name: each.get("default", next(iter(each.get("enum", ())), _YOURS)) for name, each in fields.items()}
    return given | files


def _lines(*lines: str) -> str:
    return " \\\n  ".join(lines)


async def _every(visit: Visit, *, inactive: bool) -> Sequence[Model]:
    models: Sequence[Model] = (await visit.get("/api/chat/models/", inactive="true" if inactive else None))["data"]
    return models


@dataclass(frozen=True, slots=True)
class _Links:
    """Addresses of this page that differ from the present one in one thing."""

    kind: str
    has: Sequence[str] = field(repr=False)
    unit: str
    q: str = field(repr=False)
    inactive: str
    sort: str

    def to(self, **changed: str) -> str:
        return self._address(list(self.has), changed)

    def sorted(self, column: str) -> str:
        """The column's largest first; from there, its smallest."""
        return self.to(sort=column if self.sort == f"-{column}" else f"-{column}")

    def toggled(self, name: str) -> str:
        return self._address(_without(self.has, name) + ([name] if name not in self.has else []), {})

    def _address(self, has: list[str], changed: Mapping[str, str]) -> str:
        fields = {"kind": self.kind, "unit": self.unit, "q": self.q, "inactive": self.inactive}
        fields |= {"sort": self.sort, **changed}
        if _sort(fields["sort"], fields["kind"]) == _sort("", fields["kind"]):
            del fields["sort"]
        pairs = [(name, value) for name, value in fields.items() if value]
        return f"/models?{urlencode([*pairs, *(('has', one) for one in has)])}"


def _without(names: Sequence[str], name: str) -> list[str]:
    return [other for other in names if other != name]


def _fits(model: Model, traits: Sequence[str], words: Sequence[str]) -> bool:
    return all(TRAITS[name].of(model) for name in traits) and _has(model, words)


def _has(model: Model, words: Sequence[str]) -> bool:
    return all(word in _text(model) for word in words)


def _ways(models: Sequence[Model], link: _Links, words: Sequence[str]) -> Sequence[tuple[str, str, int]]:
    """Return what to change of filters that nothing fits: what it is called, its address, and how many fit then."""
    changes = [
        *([("Without these words", link.to(q=""), link.kind, link.has, ())] if words else []),
        *(
            (f"Without “{TRAITS[name].filter}”", link.toggled(name), link.kind, _without(link.has, name), words)
            for name in link.has
        ),
        *((label, link.to(kind=kind), kind, link.has, words) for kind, label in KINDS.items()),
    ]
    ways = [
        (label, address, sum(model["modality"] == kind and _fits(model, has, left) for model in models))
        for label, address, kind, has, left in changes
    ]
    return [way for way in ways if way[-1]]


def _text(model: Model) -> str:
    return " ".join((model["id"], model["name"], model["provider"], model["description"], *model["tags"])).lower()


def prices(model: Model, unit: str) -> Sequence[tuple[str, str, str]]:
    """Return what a model costs: for what, how much, and a note such as the price of long inputs.

    Input and output come first.
    """
    price = model["prices"]
    lines = [
        (_METERS.get(meter, meter.replace("_", " ")), amount(rate, unit), _tiers(price, meter, unit))
        for meter, rate in sorted(price["per_1k"].items(), key=_place)
    ]
    if price["per_unit"] is not None:
        ranges = [*price["variants"].values(), *(one["per_unit"] for one in price["by_parameters"])]
        note = f"{number(min(ranges))} to {number(max(ranges))} by what is chosen" if len(set(ranges)) > 1 else ""
        lines.append((f"each {price['unit']}", number(price["per_unit"]), note))
    if price["per_input_image"] is not None:
        lines.append(("each input image", number(price["per_input_image"]), ""))
    if price["per_1k_prompt_characters"] is not None:
        lines.append(("1,000 characters of the prompt", number(price["per_1k_prompt_characters"]), ""))
    return lines


def _place(priced: tuple[str, float]) -> int:
    return next((place for place, meter in enumerate(_FIRST) if meter == priced[0]), len(_FIRST))


def _tiers(price: Mapping[str, Any], meter: str, unit: str) -> str:
    """Return what long inputs cost where that is another price."""
    return ", ".join(
        f"{amount(tier['per_1k'][meter], unit)} above {tier['above'] // 1000:,}k"
        for tier in price["tiers"]
        if tier["per_1k"].get(meter, price["per_1k"][meter]) != price["per_1k"][meter]
    )


def amount(credits_per_1k: float, unit: str) -> str:
    """Write a price per 1,000 in credits, or per million in dollars."""
    if unit == "credits":
        return number(credits_per_1k)
    return f"${number(float(Decimal(str(credits_per_1k)) * 1000 / CREDITS_PER_DOLLAR))}"


def number(value: float) -> str:
    return f"{value:,.{_PLACES}f}".rstrip("0").rstrip(".")


_FIRST = ("input", "output")
_METERS = {
    "input": "Input",
    "output": "Output",
    "cached_input": "Cached input",
    "cache_write": "Cache write",
    "web_search": "Web searches, per 1,000",
    "request": "Requests, per 1,000",
}
"""What is counted. What does not say of how many is tokens."""
_NAMES = {"kind_names": KINDS, "unit_names": UNITS, "traits": TRAITS}

PAGES = (Page("/models", models, needs_account=False), Page("/models/{model_id}", model, needs_account=False))
