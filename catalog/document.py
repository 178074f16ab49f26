"""Merges two parsed catalog files, and finds all problems in them.

It works on parsed TOML and does no I/O. A problem is the path of a wrong value and a sentence about it.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from catalog import media_price_checks, media_schemas
from catalog.entries import (
    ExchangeEntry,
    ModelEntry,
    OfferEntry,
    PackEntry,
    PaymentsEntry,
    PlanEntry,
    ProviderEntry,
    RouteEntry,
    ServiceTierEntry,
    TierEntry,
)
from catalog.media_entries import CostedByUnits, InputEntry, ParameterEntry, PricedByUnits
from catalog.values import OWN_HEADERS, Entry
from domain.catalog import ADDRESS, KEY, Modality, ProviderKind
from domain.meters import DEFAULT_TIER, Meter
from domain.validation import requirement

Path = tuple[str | int, ...]
Document = dict[str, Any]
Kinds = Mapping[str, ProviderKind]
"""Kinds of providers by the name that `kind` has in the file."""

MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}")
PROVIDER_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
STANDARD_TIERS = frozenset({DEFAULT_TIER, "auto"})
NESTED: dict[str, type[Entry]] = {
    "routes": RouteEntry,
    "tiers": TierEntry,
    "service_tiers": ServiceTierEntry,
    "parameters": ParameterEntry,
    "inputs": InputEntry,
}
DEFINING = {"providers": "kind", "models": "routes"}
SECTIONS = ("exchange", "providers", "models", "plans", "packs", "payments")
MEDIA_KEYS = frozenset(PricedByUnits.model_fields)
UNIT_KEYS = PricedByUnits.unit_keys()
SCHEMA_KEYS = frozenset({"parameters", "inputs", "excluded"})
TOKEN_KEYS = frozenset({f"credits_per_1k_{meter}" for meter in Meter} | {"tiers", "service_tiers"})
UNIT_COSTS = frozenset(CostedByUnits.model_fields)
TOKEN_COSTS = frozenset({f"cost_per_1k_{meter}" for meter in Meter})


@dataclass(frozen=True, slots=True)
class Problem:
    path: Path
    message: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entries:
    """All valid entries, and all problems of the document."""

    exchange: ExchangeEntry = field(default_factory=ExchangeEntry)
    providers: dict[str, ProviderEntry] = field(default_factory=dict)
    models: dict[str, ModelEntry] = field(default_factory=dict)
    plans: dict[str, PlanEntry] = field(default_factory=dict)
    packs: dict[str, PackEntry] = field(default_factory=dict)
    payments: PaymentsEntry = field(default_factory=PaymentsEntry)
    shipped: frozenset[str] = frozenset()
    """Names of providers that are public, since the project's own file has them."""
    problems: list[Problem] = field(default_factory=list)


def merge(shipped: Document, extension: Document) -> Document:
    """Return `shipped` with the entries of `extension` merged over it, field by field.

    A model with its own routes, or a provider with its own kind, replaces the shipped entry whole.
    """
    merged = {**shipped, **extension}
    for section in DEFINING:
        old, new = shipped.get(section), extension.get(section)
        if isinstance(old, dict) and isinstance(new, dict):
            fresh = {
                name: new[name] if replaces(extension, section, name) else _over(old.get(name), new[name])
                for name in new
            }
            merged[section] = {**old, **fresh}
    if isinstance(shipped.get("exchange"), dict) and isinstance(extension.get("exchange"), dict):
        merged["exchange"] = {**shipped["exchange"], **extension["exchange"]}
    return merged


def replaces(extension: Document, section: str, name: str) -> bool:
    """Tell whether this entry replaces the earlier file's entry of this name whole."""
    written = extension.get(section)
    entry = written.get(name) if isinstance(written, dict) else None
    return isinstance(entry, dict) and DEFINING.get(section) in entry


def _over(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    if ADDRESS in new:  # what is known of another server's privacy holds for that one alone
        old = {key: value for key, value in old.items() if key != "privacy"}
    if UNIT_KEYS & new.keys():  # another unit replaces the old one, with its prices
        old = {key: value for key, value in old.items() if key not in MEDIA_KEYS}
    return {**old, **new}


def parse(document: Document, kinds: Kinds) -> Entries:
    """Validate every entry. Collects all problems instead of raising at the first."""
    entries = Entries()
    for section in document.keys() - set(SECTIONS):
        entries.problems.append(Problem((section,), _unknown(section, SECTIONS)))
    problems = entries.problems
    exchange = _parsed(ExchangeEntry, ("exchange",), document.get("exchange", {}), problems)
    _section(document, "providers", ProviderEntry, entries.providers, problems)
    _section(document, "models", ModelEntry, entries.models, problems)
    _section(document, "plans", PlanEntry, entries.plans, problems)
    _section(document, "packs", PackEntry, entries.packs, problems)
    payments = _parsed(PaymentsEntry, ("payments",), document.get("payments", {}), problems)
    problems += _offer_problems(entries.plans, entries.packs)
    for name, provider in entries.providers.items():
        findings = _provider_problems(name, provider, kinds)
        problems += [Problem(("providers", name, *path), why) for path, why in findings]
    problems += _similar_names(entries.models)
    known = document.get("providers", {})
    for model_id, model in entries.models.items():
        problems += [Problem(("models", model_id, *path), why) for path, why in _model_problems(model_id, model)]
        if isinstance(known, dict):
            findings = _route_problems(model, tuple(known))
            problems += [Problem(("models", model_id, *path), why) for path, why in findings]
    return replace(entries, exchange=exchange or ExchangeEntry(), payments=payments or PaymentsEntry())


EntryT = TypeVar("EntryT", bound=Entry)


def _section(
    document: Document, section: str, shape: type[EntryT], into: dict[str, EntryT], problems: list[Problem]
) -> None:
    written = document.get(section, {})
    if not isinstance(written, dict):
        problems.append(Problem((section,), f"must be tables: [{section}.<name>]"))
        return
    for name, value in written.items():
        entry = _parsed(shape, (section, name), value, problems)
        if entry is not None:
            into[name] = entry


def _parsed(shape: type[EntryT], path: Path, value: object, problems: list[Problem]) -> EntryT | None:
    try:
        return shape.model_validate(value)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_input=False)
        problems += [Problem((*path, *error["loc"]), _sentence(error, shape)) for error in errors]
        return None


_SENTENCES = {
    "missing": "is missing",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "tuple_type": "must be a list",
    "frozen_set_type": "must be a list",
    "string_type": "must be text",
    "string_pattern_mismatch": "is not well-formed",
}


def _sentence(error: ErrorDetails, shape: type[Entry]) -> str:
    """Describe the error without the value, which may be a key."""
    kind, where = error["type"], error["loc"]
    if kind == "extra_forbidden":
        inner = NESTED.get(str(where[0]), shape) if len(where) > 1 else shape
        return _unknown(str(where[-1]), tuple(inner.model_fields))
    return _SENTENCES.get(kind) or requirement(kind, error["msg"], error.get("ctx", {}))


def _unknown(key: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return "is not a known key" + (f"; did you mean {close[0]}?" if close else "")


Finding = tuple[Path, str]


def _header_problems(provider: ProviderEntry) -> Iterator[Finding]:
    """Find headers that may not be set or would be sent twice. Names of HTTP headers ignore case."""
    seen = set() if provider.keyless else {"authorization"}
    for name in provider.headers:
        if name.lower() in OWN_HEADERS:
            yield ("headers", name), "is not a header that a provider can be given"
        elif name.lower() in seen:
            yield ("headers", name), "would be sent twice: give it once, or the key as api_key_env alone"
        seen.add(name.lower())


def _provider_problems(name: str, provider: ProviderEntry, kinds: Kinds) -> Iterator[Finding]:
    if not PROVIDER_NAME.fullmatch(name):
        yield (), "a provider's name has lower-case letters, digits and dashes only"
    kind = kinds.get(provider.kind)
    if kind is None:
        *names, last = sorted(kinds)
        yield ("kind",), f"must be {', '.join(names)} or {last}"
        return
    if ADDRESS in kind.needs and provider.base_url is None:
        yield (ADDRESS,), "is missing"
    if KEY in kind.needs and provider.keyless and not provider.headers:
        yield ("api_key_env",), f"is missing (or api_key): a provider of kind {provider.kind} needs a key"
    yield from _header_problems(provider)
    for option in sorted(kind.options & kind.needs - provider.options.keys()):
        yield ("options", option), f"is missing: a provider of kind {provider.kind} needs it"
    for option in sorted(provider.options.keys() - kind.options):
        yield ("options", option), _unknown(option, tuple(kind.options))


def _offer_problems(plans: Mapping[str, PlanEntry], packs: Mapping[str, PackEntry]) -> Iterator[Problem]:
    """Find names that are not well-formed, and names or ids at Stripe that stand for two things."""
    sold: dict[str, Path] = {}
    offers: list[tuple[tuple[str, str], OfferEntry]] = [(("plans", name), plan) for name, plan in plans.items()]
    offers += [(("packs", name), pack) for name, pack in packs.items()]
    for path, offer in offers:
        if not PROVIDER_NAME.fullmatch(path[1]):
            yield Problem(path, "a plan's or pack's name has lower-case letters, digits and dashes only")
        ids: list[tuple[Path, str]] = [
            (path, path[1]),
            *(((*path, "stripe", index), good) for index, good in enumerate(offer.stripe)),
        ]
        for where, name in ids:
            if (known := sold.setdefault(name, path)) is not path:
                yield Problem(where, f"'{name}' stands for {'.'.join(map(str, known))} already")


def _similar_names(models: Iterable[str]) -> Iterator[Problem]:
    """Find model names that differ in case alone: clients and list prices do not distinguish them."""
    first: dict[str, str] = {}
    for model_id in models:
        known = first.setdefault(model_id.lower(), model_id)
        if known != model_id:
            yield Problem(("models", model_id), f"differs from '{known}' in upper and lower case only")


def _model_problems(model_id: str, model: ModelEntry) -> Iterator[Finding]:
    if not MODEL_ID.fullmatch(model_id):
        yield (), "a model's name has letters, digits and . _ : / @ + - only"
    foreign = MEDIA_KEYS if model.modality.priced_by_tokens else TOKEN_KEYS
    for key in foreign & model.model_fields_set:
        yield (key,), f"is not how a model of modality {model.modality} is priced"
    yield from _media_problems(model)
    yield from _tier_problems(model.tiers)
    for name, service_tier in model.service_tiers.items():
        if name in STANDARD_TIERS:
            yield ("service_tiers", name), "is what the model's own prices are for"
        for path, why in _tier_problems(service_tier.tiers):
            yield ("service_tiers", name, *path), why


def _media_problems(model: ModelEntry) -> Iterator[Finding]:
    if not model.modality.priced_by_tokens:
        findings = list(media_schemas.problems(model))
        yield from findings or media_price_checks.problems(model)
        return
    for key in SCHEMA_KEYS & model.model_fields_set:
        yield (key,), "is for models of images, video, speech and transcription"
    if model.deadline is not None:
        yield ("deadline",), "is of media models only"


def _tier_problems(tiers: tuple[TierEntry, ...]) -> Iterator[Finding]:
    above = [tier.above for tier in tiers]
    if above != sorted(set(above)):
        yield ("tiers",), "must be in ascending order of `above`, each once"


def _route_problems(model: ModelEntry, providers: tuple[str, ...]) -> Iterator[Finding]:
    seen = set()
    for index, route in enumerate(model.routes):
        if route.provider not in providers:
            close = difflib.get_close_matches(route.provider, providers, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            yield ("routes", index, "provider"), f"there is no provider '{route.provider}'{hint}"
        if (route.provider, route.model) in seen:
            yield ("routes", index), "is the same as another route of this model"
        seen.add((route.provider, route.model))
        for key, why in _cost_problems(model, route):
            yield ("routes", index, key), why


def _cost_problems(model: ModelEntry, route: RouteEntry) -> Iterator[tuple[str, str]]:
    """Find wrong costs. Costs by tokens need input and output; `media_price_checks` has those of media."""
    by_tokens, given = model.modality.priced_by_tokens, route.model_fields_set
    for key in sorted((UNIT_COSTS if by_tokens else TOKEN_COSTS) & given):
        yield key, f"is not how a model of modality {model.modality} is billed"
    if route.service_tiers and (not by_tokens or route.cost_per_1k_input is None):
        yield "service_tiers", "needs cost_per_1k_input and cost_per_1k_output of the standard tier beside it"
    for name in sorted(STANDARD_TIERS & route.service_tiers.keys()):
        yield "service_tiers", f"has {name}, which is what the route's own costs are for"
    needed = {"cost_per_1k_input"} | ({"cost_per_1k_output"} if model.modality is Modality.TEXT else set())
    if by_tokens and TOKEN_COSTS & given:
        for key in sorted(needed - given):
            yield key, "is missing: a cost by tokens needs it (0 is allowed)"
