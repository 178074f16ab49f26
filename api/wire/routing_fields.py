"""Reads the fields by which a request chooses models and routes, on every wire alike: `models`, `provider`, `route`.

They are those of OpenRouter. No provider is ever sent them. What is not supported is refused by its name.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from domain.errors import RequestInvalid
from gateway.preferences import Preferences, Sort

FIELDS = frozenset({"models", "provider", "route"})
MAX_MODELS = 8
MAX_NAMES = 32
MAX_NAME = 128
_OF_PRIVACY: Mapping[str, tuple[Any, ...]] = {"data_collection": ("allow", "deny"), "zdr": (True, False)}
"""Values of fields that `api.privacy` reads."""


def split(body: dict[str, Any]) -> tuple[dict[str, Any], Preferences | None]:
    """Return the body without these fields, and what they say. Raises `RequestInvalid` that names the field."""
    if FIELDS.isdisjoint(body):
        return body, None
    route = body.get("route")
    if route not in (None, "fallback"):
        raise RequestInvalid("'route' must be fallback.", param="route")
    names = _names(body.get("models"), "models", MAX_MODELS)
    rest = {name: value for name, value in body.items() if name not in FIELDS}
    if rest.get("model") is None and names:
        rest["model"] = names[0]
    models = tuple(name for name in dict.fromkeys(names) if name != rest.get("model"))
    return rest, Preferences(models=models, **_provider(body.get("provider")))


def _provider(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RequestInvalid("'provider' must be an object.", param="provider", code="invalid_type")
    wanted: dict[str, Any] = {}
    for name, each in value.items():
        param = f"provider.{str(name)[:64]}"
        if each is None or each in _OF_PRIVACY.get(name, ()):
            continue
        read = _READ.get(name)
        if read is None:
            raise RequestInvalid(f"'{param}' is not supported here.", param=param, code="unsupported_parameter")
        wanted |= read(each, param)
    return wanted


def _names(value: object, param: str, max_names: int = MAX_NAMES) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise RequestInvalid(f"'{param}' must be an array of strings.", param=param, code="invalid_type")
    if len(value) > max_names or not all(0 < len(name) <= MAX_NAME for name in value):
        raise RequestInvalid(f"'{param}' may have {max_names} names, of up to {MAX_NAME} characters each.", param=param)
    return tuple(value)


def _flag(value: object, param: str) -> bool:
    if not isinstance(value, bool):
        raise RequestInvalid(f"'{param}' must be a boolean.", param=param, code="invalid_type")
    return value


def _sort(value: object, param: str) -> Sort:
    if not isinstance(value, str) or value not in set(Sort):
        raise RequestInvalid(f"'{param}' must be price, throughput or latency.", param=param)
    return Sort(value)


def _max_price(value: object, param: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RequestInvalid(f"'{param}' must be an object.", param=param, code="invalid_type")
    wanted: dict[str, Any] = {}
    for name, each in value.items():
        where = f"{param}.{str(name)[:64]}"
        if each is None:
            continue
        if name not in ("prompt", "completion"):
            raise RequestInvalid(f"'{where}' is not supported here.", param=where, code="unsupported_parameter")
        wanted[f"max_{name}"] = _dollars(each, where)
    return wanted


def _dollars(value: object, param: str) -> Decimal:
    try:
        dollars = Decimal(str(value)) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except InvalidOperation:
        dollars = None
    if dollars is None or not dollars.is_finite() or not 0 <= dollars < 10**9:
        raise RequestInvalid(f"'{param}' must be dollars per million tokens.", param=param)
    return dollars


_READ: Mapping[str, Callable[[object, str], dict[str, Any]]] = {
    "order": lambda value, param: {"order": _names(value, param)},
    "only": lambda value, param: {"only": _names(value, param)},
    "ignore": lambda value, param: {"ignore": _names(value, param)},
    "allow_fallbacks": lambda value, param: {"allow_fallbacks": _flag(value, param)},
    "require_parameters": lambda value, param: {"require_parameters": _flag(value, param)},
    "sort": lambda value, param: {"sort": _sort(value, param)},
    "max_price": _max_price,
}
