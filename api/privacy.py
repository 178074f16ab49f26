"""What a call requires of providers: `privacy` in its body, a header, or OpenRouter's words for the same.

It is read here for every client wire, and taken out of the body: no wire and no provider sees it.
"""

from collections.abc import Mapping
from typing import Any

from domain.errors import RequestInvalid
from domain.privacy import Privacy, PrivacyClass

FIELD = "privacy"
HEADER = b"x-yout-privacy"
STRICT = b"x-yout-strict"


def required(body: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> PrivacyClass:
    """Return the weakest class of a route that may answer. Raises `RequestInvalid`."""
    wishes = (named(body.get(FIELD)), named(headers.get(HEADER, b"").decode("latin-1") or None))
    return PrivacyClass.strongest(*(wish.required for wish in wishes), _of_preferences(body.get("provider")))


def named(value: object) -> Privacy:
    """Read the name of a privacy. None is the default."""
    if value is None:
        return Privacy.DEFAULT
    if not isinstance(value, str):
        raise RequestInvalid(f"'{FIELD}' must be a string.", param=FIELD, code="invalid_type")
    try:
        return Privacy(value.strip().lower())
    except ValueError:
        raise RequestInvalid(f"'{FIELD}' must be strict or default.", param=FIELD) from None


def strict(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a parameter that no provider takes is to be refused, and not dropped."""
    return headers.get(STRICT, b"").strip().lower() == b"true"


def without(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != FIELD} if FIELD in body else body


def header(privacy_class: PrivacyClass) -> list[tuple[bytes, bytes]]:
    """Return the header that names the class of the route which answers."""
    return [(b"x-yout-privacy-class", privacy_class.encode())]


def _of_preferences(provider: object) -> PrivacyClass:
    """Read OpenRouter's `provider.zdr` and `provider.data_collection`."""
    if not isinstance(provider, dict):
        return PrivacyClass.UNKNOWN
    if provider.get("zdr") is True:
        return PrivacyClass.ZERO_RETENTION
    return PrivacyClass.NO_TRAINING if provider.get("data_collection") == "deny" else PrivacyClass.UNKNOWN
