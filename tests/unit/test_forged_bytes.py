"""What this server signs, seals or hashes, changed byte by byte: no other spelling of it is taken, and none breaks."""

import re
import string
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain import keys, sessions, shares
from domain.errors import LinkInvalid, RequestInvalid
from domain.purge_receipts import ReceiptInvalid, SigningKey, verify
from domain.sealing import SealBroken, seal, unseal
from domain.secrets import DerivedKeys
from domain.signed_urls import SignedUrls
from domain.visitors import VisitorCookies
from gateway.known_browsers import KnownBrowsers
from providers.stripe_events import StripeEvents
from tests.support import stripe_events

CHARACTERS = string.printable + "\0\u00fc\u0661\u212a\uff21"
NOW, DAY = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), date(2026, 1, 2)
ANN, BOB = UUID("01890000-0000-7000-8000-000000000001"), UUID("01890000-0000-7000-8000-000000000002")
KEYS, OTHER_KEYS = DerivedKeys(b"s" * 32, (b"p" * 32,)), DerivedKeys(b"o" * 32)
URLS = SignedUrls(KEYS, "https://yout.example", timedelta(hours=1))
PATH = "0f" * 16 + "/" + "a1" * 16 + "/0.png"
EXP, SIG = re.findall("(?:exp|sig)=([^&]+)", URLS.url(PATH, NOW)[0])
COOKIES, BROWSERS = VisitorCookies(KEYS), KnownBrowsers(KEYS)
SIGNER = SigningKey(b"r" * 32)
RECEIPT = SIGNER.sign({"number": 1, "previous": None, "subject": SIGNER.subject(ANN), "erased": {"messages": 3}})
TOKEN, SECRET, SLUG = keys.mint(b"k" * 32), sessions.secret(b"c" * 32), shares.slug_of(b"g" * shares.SLUG_ENTROPY_BYTES)
TOMORROW = int(datetime.now(UTC).timestamp()) + 86_400
"""Signed when the tests are collected, and valid for as long as they run: an old signature is not taken."""
RAW, HEADER = stripe_events.signed(stripe_events.event("product.created", {"id": "prod_1"}), timestamp=TOMORROW)


def spellings(genuine: str) -> Iterator[str]:
    """One character another, missing, more or doubled, at every place; cut at every place; with what base64 ignores."""
    for place in range(len(genuine) + 1):
        before, after = genuine[:place], genuine[place:]
        yield from (before + other + after[1:] for other in CHARACTERS if other != after[:1] and after)
        yield from (before + more + after for more in (*"A=\n .%", after[:1]) if more)
        yield from (before + after[1:], before, after)
    yield from (genuine + genuine, genuine.swapcase(), genuine + "==", f" {genuine}", f"{genuine}\n", f'"{genuine}"')


def _link(sig: str = SIG, exp: str = EXP, path: str = PATH) -> bool:
    with suppress(LinkInvalid):
        return bool(URLS.check(path, exp, sig, NOW))
    return False


def _receipt(**changes: object) -> bool:
    with suppress(ReceiptInvalid):
        verify(RECEIPT | changes, {SIGNER.kid: SIGNER.public})
        return True
    return False


def _event(header: str) -> bool:
    with suppress(RequestInvalid):
        READER.read(RAW, header)
        return True
    return False


READER = StripeEvents([stripe_events.SECRET, "whsec_another_0123456789"], livemode=True)
VISITOR, BROWSER = COOKIES.written(ANN, DAY), BROWSERS.written(ANN)
READERS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "a link's signature": (SIG, _link),
    "a link's end": (EXP, lambda exp: _link(exp=exp)),
    "a link's object": (PATH, lambda path: _link(path=path)),
    "a visitor": (VISITOR, lambda value: COOKIES.read(value, DAY) is not None),
    "a known browser": (BROWSER, lambda value: BROWSERS.name_of(value, ANN) is not None),
    "a receipt's signature": (RECEIPT["signature"], lambda value: _receipt(signature=value)),
    "a receipt's key": (SIGNER.kid, lambda value: _receipt(kid=value)),
    "a session": (SECRET, lambda value: sessions.digest(value) == sessions.digest(SECRET)),
    "an API key": (TOKEN, lambda value: keys.well_formed(value) and keys.digest(value) == keys.digest(TOKEN)),
    "a slug": (SLUG, lambda value: shares.slug_hash(value) == shares.slug_hash(SLUG)),
    "an event's signature": (HEADER.partition("v1=")[2], lambda v1: _event(HEADER.partition("v1=")[0] + "v1=" + v1)),
}


@pytest.mark.parametrize("name", READERS)
def test_one_spelling_alone_is_taken(name: str) -> None:
    genuine, opens = READERS[name]
    assert opens(genuine)
    taken = [value for value in dict.fromkeys(spellings(genuine)) if value != genuine and opens(value)]
    assert taken == []


def test_an_events_time_is_signed() -> None:
    time, _, signature = HEADER.partition(",")
    assert _event(HEADER)
    for value in spellings(time.removeprefix("t=")):
        if value.strip() != time.removeprefix("t="):
            assert not _event(f"t={value},{signature}"), value


def test_a_value_of_another_is_not_taken() -> None:
    assert COOKIES.read(VISITOR, DAY + timedelta(days=1)) is None
    assert VisitorCookies(OTHER_KEYS).read(VISITOR, DAY) is None
    assert BROWSERS.name_of(BROWSER, BOB) is None
    assert KnownBrowsers(OTHER_KEYS).name_of(BROWSER, ANN) is None
    assert not _link(path=PATH.replace("0f", "1f"))
    with pytest.raises(ReceiptInvalid):
        verify(RECEIPT | {"kid": SigningKey(b"x" * 32).kid}, {SigningKey(b"x" * 32).kid: SigningKey(b"x" * 32).public})


@pytest.mark.parametrize(
    "more", [{"number": 2}, {"erased": {}}, {"previous": ""}, {"x": 1}, {"kid": None}, {"alg": "none"}]
)
def test_all_of_a_receipt_is_signed(more: dict[str, Any]) -> None:
    assert not _receipt(**more)
    for name in RECEIPT:
        with pytest.raises(ReceiptInvalid):
            verify({key: value for key, value in RECEIPT.items() if key != name}, {SIGNER.kid: SIGNER.public})


@pytest.mark.parametrize("signature", [None, 1, True, [], {}, "\ud800", "A" * 100_000])
def test_a_signature_that_is_none_is_refused(signature: object) -> None:
    assert not _receipt(signature=signature)


def test_sealed_bytes_open_only_as_they_are() -> None:
    key, aad = b"d" * 32, "messages|1|1"
    sealed = seal(key, b"a prompt", aad=aad, nonce=b"n" * 12)
    changed = [
        sealed[:at] + bytes([sealed[at] ^ 1 << bit]) + sealed[at + 1 :] for at in range(len(sealed)) for bit in range(8)
    ]
    changed += [sealed[:at] for at in range(len(sealed))] + [sealed[at:] for at in range(1, len(sealed))]
    changed += [sealed + b"\0", b"\0" + sealed, sealed + sealed]
    for value in changed:
        with pytest.raises(SealBroken):
            unseal(key, value, aad=aad)
    assert unseal(key, sealed, aad=aad) == b"a prompt"
