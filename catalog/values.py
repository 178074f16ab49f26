"""The values that a catalog file may have, each with a sentence for one that is wrong."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, Strict

from domain.money import PRICE_PLACES
from domain.request_fields import NEVER_SENT, OUTPUT_LIMITS

MAX_PRICE = 10**9


def exact(value: object, places: int, sentence: str) -> Decimal:
    """Take an exact number as it was written. A float has lost digits; a string is an error."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(sentence)
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -places or not 0 <= number <= MAX_PRICE:
        raise ValueError(sentence)
    return number


def _price(value: object) -> Decimal:
    return exact(value, PRICE_PLACES, f"must be a decimal number ≥ 0 with at most {PRICE_PLACES} places")


def _dollars(value: object) -> Decimal:
    return exact(value, 12, "must be a decimal number ≥ 0 with at most 12 places")


def _rate(value: object) -> Decimal:
    sentence = "must be a decimal number > 0 with at most 12 places"
    rate = exact(value, 12, sentence)
    if not rate:
        raise ValueError(sentence)
    return rate


ENDPOINTS = ("/chat/completions", "/chat", "/completions", "/embeddings", "/responses", "/messages", "/models")


def _base_url(value: object) -> str:
    """Check the address. The errors contain no part of it: a password may be in it."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    address = value.strip().rstrip("/")
    parts = _split(address) if _printable(address) and " " not in address else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("is not well-formed: it begins with http:// or https:// and a host, without spaces")
    if "@" in parts.netloc:
        raise ValueError("must not have a user name or password: give the key as api_key_env")
    if "?" in address or "#" in address:
        raise ValueError("must not have a query or a fragment: give what the server needs as headers")
    for endpoint in ENDPOINTS:
        if parts.path.lower().endswith(endpoint):
            raise ValueError(f"must end before {endpoint}: the endpoint's own path follows it")
    return address


def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises if it is not a number up to 65,535
    except ValueError:
        return None
    return parts


def credential(text: str) -> str:
    """Return a key or header value without white space around it. Raises ValueError if a header cannot carry it."""
    stripped = _on_one_line(text.strip())
    if not _printable(stripped):
        raise ValueError("has a line end, a control character or a letter that no HTTP header can carry")
    return stripped


def _on_one_line(text: str) -> str:
    """A key file in JSON, such as a service account's, is written on many lines. Other text stays as it is."""
    if not text.startswith("{"):
        return text
    try:
        return json.dumps(json.loads(text), separators=(",", ":"))
    except ValueError:
        return text


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _secret(secret: SecretStr) -> SecretStr:
    stripped = credential(secret.get_secret_value())
    if not stripped:
        raise ValueError("must not be empty")
    return SecretStr(stripped)


Price = Annotated[Decimal, BeforeValidator(_price)]
Rate = Annotated[Decimal, BeforeValidator(_rate)]
Dollars = Annotated[Decimal, BeforeValidator(_dollars)]
Count = Annotated[int, Strict(), Field(ge=1, le=100_000_000)]
Flag = Annotated[bool, Strict()]
Word = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
ServiceTierName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]
OWN_HEADERS = frozenset(
    {"host", "content-length", "content-type", "user-agent", "accept-encoding", "connection", "transfer-encoding"}
    | {"expect", "keep-alive", "te", "trailer", "upgrade"}
)
"""Headers of a request to a provider that this program sends itself, or never sends."""
HeaderValue = Annotated[SecretStr, AfterValidator(_secret)]
BaseURL = Annotated[str, BeforeValidator(_base_url)]
FieldName = Annotated[str, Field(pattern=r"^(\*|[A-Za-z_][A-Za-z0-9_.-]{0,63})$")]
"""The name of a request field that is sent upstream; `*` means every field."""


def _can_be_sent(names: frozenset[str]) -> frozenset[str]:
    if never := sorted(names & NEVER_SENT):
        raise ValueError(f"must not name {', '.join(never)}: no provider is ever sent that")
    return names


def _can_be_lost(names: frozenset[str]) -> frozenset[str]:
    if needed := sorted(names & {"*", "messages", "model", "store", "provider"}):
        raise ValueError(f"must not name {', '.join(needed)}: a provider is always sent that")
    if set(OUTPUT_LIMITS) <= names:
        raise ValueError(f"must not name both {' and '.join(OUTPUT_LIMITS)}: one of them carries what is held")
    return names


Drops = Annotated[frozenset[FieldName], AfterValidator(_can_be_lost)]


def _can_be_renamed(renames: dict[str, str]) -> dict[str, str]:
    _can_be_sent(frozenset(renames) | frozenset(renames.values()))
    return renames


PlainName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
Renames = Annotated[dict[PlainName, PlainName], AfterValidator(_can_be_renamed)]
Passes = Annotated[frozenset[FieldName], AfterValidator(_can_be_sent)]


class Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True)


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


KeyVariable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
KeyVariables = Annotated[tuple[KeyVariable, ...], Field(max_length=16), BeforeValidator(_one_or_more)]
"""Environment variables that have a provider's keys: a name, or a list of names."""


def _duration(value: object) -> timedelta:
    sentence = "must be a number of seconds above 0, an hour at most"
    seconds = exact(value, 3, sentence)
    if not 0 < seconds <= 3600:
        raise ValueError(sentence)
    return timedelta(seconds=float(seconds))


Duration = Annotated[timedelta, BeforeValidator(_duration)]
